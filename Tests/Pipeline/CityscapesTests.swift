import Datasets
import Foundation
import Imaging
import TestSupport
import Testing

extension Pipeline {
    /// A Cityscapes tree from training to what its server is sent.
    @Suite struct CityscapesTests {
        private static let frames = [("train", 4), ("val", 3), ("test", 2)]

        /// Small scenes: stripes of all label ids, brighter or darker by the id. The test split has no labels.
        private func writeTree(_ root: String) throws {
            for (split, count) in Self.frames {
                for frame in 0..<count {
                    let name = "bochum/bochum_000000_00001\(frame)"
                    let label = LabelMap(width: 64, height: 48) { target in
                        for i in 0..<target.count { target[i] = UInt8((i % 64 / 4 + i / 64 / 8 + frame) % 34) }
                    }
                    let image = Image(width: 64, height: 48) { target in
                        for i in 0..<target.count { target[i] = label[i / 3 % 64, i / 3 / 64] * 7 }
                    }
                    try write(PNG.encode(image), "\(root)/leftImg8bit/\(split)/\(name)_leftImg8bit.png")
                    guard split != "test" else { continue }
                    try write(PNG.encode(label), "\(root)/gtFine/\(split)/\(name)_gtFine_labelIds.png")
                }
            }
        }

        private func write(_ bytes: [UInt8], _ path: String) throws {
            let folder = (path as NSString).deletingLastPathComponent
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try ImageFile.write(bytes, to: path)
        }

        @Test(.enabled(if: CityscapesScript.isThere, "the Python package cityscapesscripts is needed"))
        func numbersAndFilesAreThoseOfTheProjectsScript() throws {
            let play = try Playground()
            let root = play.folder("cityscapes")
            try writeTree(root)
            let trained = try play.launch([
                "--set", "dataset={kind: cityscapes, root: \(root), description: null}",
                "--set", "schedule={iterations: 20, warmup: 2, lrWarmup: 0}",
            ]).wait()
            #expect(trained.code == 0, "\(trained)")

            let settings = ["--run", play.run, "--json", "--set", "evaluate={scales: [0.75, 1.5], flip: true}"]
            let ours = try play.start(["eval", "--write", play.folder("val")] + settings).wait()
            #expect(ours.code == 0, "\(ours)")
            let theirs = try CityscapesScript.evaluate(play.folder("val"), against: root)
            let report = try #require(
                JSONSerialization.jsonObject(with: Data(ours.output.utf8)) as? [String: Any])
            let classes = try #require(report["classes"] as? [[String: Any]])
            #expect(classes.count == 19 && theirs.classes.count == 19)
            for (ours, theirs) in zip(classes, theirs.classes) {
                // Parsers of decimals differ in the last place.
                let found = ours["iou"] as? Double
                #expect((found == nil) == (theirs == nil) && abs((found ?? 0) - (theirs ?? 0)) < 1e-14, "\(ours)")
            }
            let mean = try #require(report["mIoU"] as? Double)
            #expect(abs(mean - theirs.mean) < 1e-14 && mean > 0 && mean < 1)

            // The server's own: nothing to measure, files to send.
            let sent = try play.command(
                "eval", "--run", play.run, "--split", "test", "--write", play.folder("test"))
            #expect(sent.code == 0 && sent.output.contains("no mIoU"), "\(sent)")
            #expect(
                play.names(play.folder("test"))
                    == (0..<2).map { "bochum_000000_00001\($0)_leftImg8bit.png" })
            let ids = Set(Submission.cityscapes.values)
            for name in play.names(play.folder("test")) {
                let labels = try ImageFile.readLabels(play.folder("test/" + name))
                #expect((labels.values.array() as [UInt8]).allSatisfy(ids.contains))
            }
            let refused = try play.command("eval", "--run", play.run, "--split", "test")
            #expect(refused.code == 1 && refused.message.contains("--write DIR"), "\(refused)")
        }
    }
}
