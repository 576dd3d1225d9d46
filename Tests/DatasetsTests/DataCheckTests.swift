import Basics
import Configuration
import Foundation
import Imaging
import Testing

@testable import Datasets

@Suite struct DataCheckTests {
    @Test func soundDataIsCounted() throws {
        let scratch = try Scratch.camvid()
        var seen: [Int] = []
        let report = try DataCheck.run(scratch.settings) { done, total in
            #expect(total == 3)
            seen.append(done)
        }
        #expect(seen == [0, 2, 3])
        #expect(!report.hasProblems)
        let train = report.splits[0]
        #expect(train.images == 2 && train.sizes == [.init(size: "8x6", images: 2)] && train.ignoredPixels == 0)
        #expect(train.classes.map(\.pixels) == [12, 12, 12, 12, 12, 12, 12, 12, 0, 0, 0])
        #expect(train.classes.map(\.images) == [2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0])
        #expect(train.absentClasses == ["Car", "Pedestrian", "Bicyclist"])
        let text = report.text()
        #expect(text.contains("split train: 2 images, 8x6"))
        #expect(text.contains("  absent in train: Car, Pedestrian, Bicyclist"))
        #expect(text.contains("  0 Sky             12  12.50%       2"))
        #expect(text.contains("  8 Car              0   0.00%  absent"))
        #expect(text.hasSuffix("no problems found"))
    }

    @Test func everyFaultIsReportedAndTheRestStillCounted() throws {
        let scratch = try Scratch.camvid()
        for name in ["d", "e", "f", "g", "h"] {
            try scratch.file("train/\(name).jpg", JPEG.encode(image(8, 6)))
            try scratch.file("trainannot/\(name).png", PNG.encode(labels(8, 6) { _, _ in 11 }))
        }
        try scratch.remove("trainannot/d.png")
        try scratch.remove("train/e.jpg")
        try scratch.file("trainannot/f.png", PNG.encode(labels(8, 5) { _, _ in 0 }))
        try scratch.file("trainannot/g.png", PNG.encode(labels(8, 6) { _, _ in 200 }))
        try scratch.file("train/h.jpg", [0xff, 0xd8, 0xff, 0])
        let report = try DataCheck.run(scratch.settings)
        let found = report.problems.map { "\($0.file.dropFirst(scratch.path.count + 1)): \($0.what)" }
        #expect(found.count == 5)
        #expect(found[0] == "train/d.jpg: has no label map" && found[1] == "trainannot/e.png: has no image")
        #expect(found[2] == "trainannot/f.png: is 8x5 but its image is 8x6")
        #expect(found[3].hasPrefix("trainannot/g.png: label value 200 at column 0, row 0"))
        #expect(found[4].hasPrefix("train/h.jpg: corrupt"))
        #expect(report.splits[0].classes[0].pixels == 12 + 40, "a, b and f")
        #expect(report.splits[0].ignoredPixels == 48, "h's label map is sound")
        #expect(
            report.text(mostProblems: 2).contains("5 problems found:")
                && report.text(mostProblems: 2).hasSuffix("… and 3 more"))
    }

    @Test func aSplitThatTheRecipeNamesMustExist() throws {
        let scratch = try Scratch.camvid()
        var settings = scratch.settings
        settings.evaluationSplit = "test"
        let report = try DataCheck.run(settings)
        let what = "has no split 'test' (dataset.evaluationSplit); there are train, val; \(CamVid.source.hint)"
        #expect(report.problems.map(\.what) == [what])
        settings.evaluationSplit = "tset"
        #expect(
            try DataCheck.run(settings).problems.map(\.what) == [
                "has no split 'tset' (dataset.evaluationSplit); there are train, val"
            ])
    }

    @Test func aSplitThatTheRecipeNamesNeedsLabelMaps() throws {
        let tree = try TinyTree.sample(.folder)
        try tree.scratch.file("d.yaml", tree.scratch.bytes("d.yaml") + Array("\n  wild: {images: val}\n".utf8))
        var settings = tree.settings
        settings.evaluationSplit = "wild"
        #expect(
            try DataCheck.run(settings).problems.map(\.what)
                == ["has no label maps in split 'wild' (dataset.evaluationSplit)"])
    }

    @Test func theReportSurvivesJSON() throws {
        let scratch = try Scratch.camvid()
        let report = try DataCheck.run(scratch.settings)
        let back = try JSONDecoder().decode(DataCheckReport.self, from: JSONEncoder().encode(report))
        #expect(back == report)
    }

    @Test func aDatasetThatIsNotThereIsAnError() {
        var settings = DatasetSettings()
        settings.root = "/nowhere"
        #expect(throws: UserError.self) { try DataCheck.run(settings) }
    }
}
