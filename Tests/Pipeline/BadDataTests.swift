import Foundation
import Imaging
import TestSupport
import Testing

extension Pipeline {
    /// Files of a dataset that are damaged or wrong: found by `data check`, named by a run that meets one.
    @Suite struct BadDataTests {
        enum Fault: String, CaseIterable, CustomTestStringConvertible {
            case corruptJPEG, truncatedPNG, labelValue200, wrongSizeLabel, imageThatIsText

            var testDescription: String { rawValue }

            /// Spoils a file of the training split.
            ///
            /// - Returns: its path.
            func spoil(_ data: String) throws -> String {
                let image = "\(data)/train/00005.jpg"
                let label = "\(data)/trainannot/00005.png"
                func bytes(_ path: String) throws -> [UInt8] { try ImageFile.readBytes(path).array() }
                switch self {
                case .corruptJPEG:
                    // The start is a JPEG's and its tables are gone.
                    let old = try bytes(image)
                    try ImageFile.write(Array(old.prefix(20)) + [UInt8](repeating: 0x41, count: old.count), to: image)
                    return image
                case .imageThatIsText:
                    try ImageFile.write(Array("no image".utf8), to: image)
                    return image
                case .truncatedPNG:
                    let old = try bytes(label)
                    try ImageFile.write(Array(old.prefix(old.count * 2 / 3)), to: label)
                case .labelValue200:
                    let map = LabelMap(width: 64, height: 48) { for i in 0..<$0.count { $0[i] = i == 70 ? 200 : 2 } }
                    try ImageFile.write(try PNG.encode(map), to: label)
                case .wrongSizeLabel:
                    let map = LabelMap(width: 32, height: 48) { for i in 0..<$0.count { $0[i] = 2 } }
                    try ImageFile.write(try PNG.encode(map), to: label)
                }
                return label
            }

            /// What is said of it, after the file's path.
            var message: String {
                switch self {
                case .corruptJPEG: "corrupt JPEG: JPEG datastream contains no image"
                case .imageThatIsText: "is neither a JPEG nor a PNG file"
                case .truncatedPNG: "corrupt or truncated PNG: the file ends too early"
                case .labelValue200:
                    "label value 200 at column 6, row 1 is outside the classes; allowed are 0-9 (classes), 255 (ignored)"
                case .wrongSizeLabel: "32x48"
                }
            }
        }

        @Test(arguments: Fault.allCases)
        func faultIsFoundByTheCheckAndNamedByTheRun(fault: Fault) throws {
            let play = try Playground(ownData: true)
            let path = try fault.spoil(play.data)

            let check = try play.command("data", "check", "recipe.yaml")
            #expect(check.code == 1, "\(check)")
            #expect(check.output.contains("1 problem found:"), "\(check)")
            let line = try #require(check.output.split(separator: "\n").last.map(String.init))
            #expect(line.hasPrefix("  \(path): "), "\(check)")
            #expect(line.contains(fault.message), "\(check)")

            let run = try play.launch().wait()
            #expect(run.code == 1, "\(run)")
            #expect(run.message.hasPrefix("picoflow: compute-1 failed first: "), "\(run)")
            #expect(run.message.contains(path) && run.message.contains(fault.message), "\(run)")
            #expect(!run.errors.contains("Fatal error"), "\(run)")
            #expect(play.stages().isEmpty)
        }

        /// Also where it goes back over such steps, though the file has been mended since.
        @Test func imageThatCannotBeReadIsIgnoredWhereTheRecipeSaysSo() throws {
            let play = try Playground(ownData: true)
            let image = "\(play.data)/train/00005.jpg"
            let sound = try ImageFile.readBytes(image).array() as [UInt8]
            _ = try Fault.imageThatIsText.spoil(play.data)
            let run = try play.launch(["--set", "dataset.unreadable=ignore"]).wait()
            #expect(run.code == 0, "\(run)")
            func skipped() throws -> [String] {
                try String(contentsOfFile: play.run + "/journal.jsonl", encoding: .utf8).split(separator: "\n")
                    .map(String.init).filter { $0.contains("sample-skipped") }
            }
            // Eight images, two a step.
            #expect(try skipped().count == Playground.iterations * 2 / 8)
            #expect(try skipped().allSatisfy { $0.contains("train\\/00005.jpg") || $0.contains(image) })
            let weights = try play.weights()

            try ImageFile.write(sound, to: image)
            try FileManager.default.removeItem(atPath: play.run + "/checkpoints/step-000080")
            let again = try play.start(["launch", "--resume", play.run]).wait()
            #expect(again.code == 0, "\(again)")
            #expect(try play.weights() == weights)
            #expect(try skipped().count == Playground.iterations * 2 / 8, "nothing new is left out")
        }

        @Test func soundDatasetPassesTheCheck() throws {
            let play = try Playground()
            let check = try play.command("data", "check", "recipe.yaml", "--json")
            #expect(check.code == 0, "\(check)")
            let report = try #require(JSONSerialization.jsonObject(with: Data(check.output.utf8)) as? [String: Any])
            #expect((report["problems"] as? [Any])?.isEmpty == true)
        }

        @Test func missingPartnersAreBothReported() throws {
            let play = try Playground(ownData: true)
            try FileManager.default.removeItem(atPath: play.data + "/trainannot/00001.png")
            try FileManager.default.removeItem(atPath: play.data + "/val/00000.jpg")
            let check = try play.command("data", "check", "recipe.yaml")
            #expect(check.code == 1)
            #expect(check.output.contains("2 problems found:"), "\(check)")
            #expect(check.output.contains("\(play.data)/train/00001.jpg: has no label map"), "\(check)")
            #expect(check.output.contains("\(play.data)/valannot/00000.png: has no image"), "\(check)")
        }
    }
}
