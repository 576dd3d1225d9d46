import CTurboJPEG
import Foundation
import Imaging
import TestSupport
import Testing

extension Pipeline {
    /// `picoflow recipes`: all that the repository ships can be trained.
    @Suite struct RecipesTests {
        private static let configs = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Configs").path

        @Test func everyShippedRecipeResolvesAndItsNetworkIsBuilt() throws {
            let play = try Playground()
            let ending = try play.command("recipes", Self.configs, "--check")
            #expect(ending.code == 0, "\(ending)")
            let lines = ending.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            let row = try #require(lines.first { $0.first == "cityscapes/segmenter-vitl16-pico-plus" })
            #expect(
                row == [
                    "cityscapes/segmenter-vitl16-pico-plus", "cityscapes", "train", "segmenter", "vitl16", "pico-plus",
                    "80000", row[7], "M", "missing",
                ])
            #expect(try #require(Double(row[7])) > 300)
            #expect(lines.filter { $0.last == "missing" }.count > 80)
            #expect(ending.output.contains("data/cityscapes: no such folder (dataset.root); register at https://"))
            #expect(ending.output.contains("picoflow data synthesize") && !ending.output.contains("broken"))
        }

        @Test func whatIsBrokenIsNamedAndFails() throws {
            let play = try Playground()
            try FileManager.default.createDirectory(
                atPath: play.folder("mine/parts"), withIntermediateDirectories: true)
            try play.folder.write(
                "dataset: {kind: folder, root: \(play.data), description: \(play.data)/dataset.yaml}\n",
                to: "mine/good.yaml")
            try play.folder.write("schedule: {batch: none}\n", to: "mine/parts/not-a-recipe.yaml")
            let good = try play.command("recipes", "mine", "--check")
            #expect(good.code == 0, "\(good)")
            #expect(good.output.contains("present") && good.output.contains("1 recipe in mine"))
            try play.folder.write("dataset: {root: x}\nschedule: {batch: none}\n", to: "mine/bad.yaml")
            for arguments in [["recipes", "mine"], ["recipes", "mine", "--check"]] {
                let ending = try play.start(arguments).wait()
                #expect(ending.code == 1)
                #expect(
                    ending.output.contains("mine/bad.yaml:2: 'schedule.batch' must be an integer, not 'none'"),
                    "\(ending)")
            }
            let missing = try play.command("recipes", "nowhere")
            #expect(
                missing.code == 1
                    && missing.message
                        == "picoflow: nowhere: no such folder; name one that holds recipes, such as PicoFlow's Configs"
            )
        }

        /// Sizes of all kinds, greys and colours, 150 classes: listed, checked, trained on and evaluated.
        @Test func ade20kTrainsAsItIsDownloaded() throws {
            let play = try Playground()
            let root = play.folder("ADEChallengeData2016")
            try Ade20kScenes.write(to: root)
            let options = [
                "--set", "dataset={kind: ade20k, root: \(root), description: null}", "--set",
                "schedule={iterations: 3, warmup: 1}",
            ]
            let check = try play.start(["data", "check", "recipe.yaml"] + options).wait()
            #expect(check.code == 0 && check.output.contains("no problems found"), "\(check)")
            let ending = try play.launch(options).wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(play.metrics().count == 3)
            #expect(ending.output.contains("skyscraper") || ending.errors.contains("skyscraper"), "\(ending)")
        }
    }
}

/// A few images in ADE20K's tree: each of another size, every second one without colour.
private enum Ade20kScenes {
    static func write(to root: String) throws {
        for (folder, count) in [("training", 5), ("validation", 3)] {
            for kind in ["images", "annotations"] {
                try FileManager.default.createDirectory(
                    atPath: "\(root)/\(kind)/\(folder)", withIntermediateDirectories: true)
            }
            for number in 0..<count {
                let (width, height) = (40 + 17 * number, 90 - 13 * number)
                let image = Image(width: width, height: height) { for i in 0..<$0.count { $0[i] = UInt8(i % 253) } }
                // Classes in stripes, the first of them ignored; skyscraper is 49.
                let label = LabelMap(width: width, height: height) { target in
                    for i in 0..<target.count { target[i] = [0, 1, 49, 150][i % width * 4 / width] }
                }
                let name = "ADE_\(folder)_\(number)"
                try ImageFile.write(
                    number % 2 == 0 ? JPEG.encode(image) : grey(width, height),
                    to: "\(root)/images/\(folder)/\(name).jpg")
                try ImageFile.write(PNG.encode(label), to: "\(root)/annotations/\(folder)/\(name).png")
            }
        }
    }

    private static func grey(_ width: Int, _ height: Int) throws -> [UInt8] {
        let encoder = try #require(tjInitCompress())
        defer { tjDestroy(encoder) }
        var output: UnsafeMutablePointer<UInt8>?
        var size: UInt = 0
        defer { tjFree(output) }
        let pixels = (0..<width * height).map { UInt8($0 % 251) }
        try #require(
            tjCompress2(
                encoder, pixels, Int32(width), 0, Int32(height), Int32(TJPF_GRAY.rawValue), &output, &size,
                Int32(TJSAMP_GRAY.rawValue), 90, 0) == 0)
        return Array(UnsafeBufferPointer(start: output, count: Int(size)))
    }
}
