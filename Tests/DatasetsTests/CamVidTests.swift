import Basics
import Foundation
import Imaging
import Testing

@testable import Datasets

@Suite struct CamVidTests {
    @Test func samplesAreSortedByNameAndNumbered() throws {
        let scratch = try Scratch.camvid()
        let index = try Dataset.open(scratch.settings)
        let samples = try index.samples(of: "train")
        #expect(samples.map(\.name) == ["a", "b"] && samples.map(\.id) == [0, 1])
        #expect(samples[0].imagePath == scratch.path + "/train/a.jpg")
        #expect(samples[0].labelPath == scratch.path + "/trainannot/a.png")
        #expect(index.splits.map(\.name) == ["train", "val"])
        #expect(index.classNames.count == 11 && index.classNames[8] == "Car" && index.palette[8] == RGB8(64, 0, 128))
    }

    @Test func pngImagesServeAsWell() throws {
        let scratch = try Scratch.camvid()
        try scratch.remove("train/a.jpg")
        try scratch.file("train/a.png", PNG.encode(image(8, 6)))
        let index = try Dataset.open(scratch.settings)
        let sample = try Dataset.readSample(index.samples(of: "train")[0], mapping: index.labelMapping)
        #expect(sample.image == image(8, 6))
        #expect(sample.label == labels(8, 6) { x, _ in UInt8(x) })
    }

    @Test func elevenIsIgnored() throws {
        let raw = labels(4, 1) { x, _ in [0, 10, 11, 3][x] }
        let mapped = try CamVid.labelMapping.apply(to: raw, file: "l")
        #expect(mapped.values.array(of: UInt8.self) == [0, 10, 255, 3])
        #expect(CamVid.labelMapping.allowed == "0-10 (classes), 11 (ignored)")
    }

    @Test func whatIsMissingIsSaidInOneLineWithTheWayToGetIt() throws {
        let scratch = try Scratch.camvid()
        func failure(_ change: () throws -> Void) throws -> String {
            try change()
            let text = message { _ = try Dataset.open(scratch.settings).samples(of: "train") }
            #expect(!text.contains("\n"))
            return text
        }
        var settings = scratch.settings
        settings.root = ""
        #expect(message { _ = try Dataset.open(settings) }.hasPrefix("dataset.root is not set; CamVid comes with"))
        settings.root = scratch.path + "/nowhere"
        let missing = message { _ = try Dataset.open(settings) }
        #expect(
            missing.hasPrefix("\(scratch.path)/nowhere: no such folder (dataset.root)") && missing.contains("git clone")
        )
        #expect(
            try failure { try scratch.remove("trainannot/b.png") }
                == "\(scratch.path)/train/b.jpg: has no label map in \(scratch.path)/trainannot (1 of split 'train' lack theirs)"
        )
        #expect(try failure { try scratch.remove("train/b.jpg") } == "")
        #expect(try failure { try scratch.remove("train/a.jpg") }.hasPrefix("\(scratch.path)/train: holds no .jpg"))
        #expect(
            try failure { try scratch.remove("trainannot") }.hasPrefix("\(scratch.path)/trainannot: no such folder"))
        #expect(try failure { try scratch.remove("train") }.contains("has no folders train and trainannot"))
    }

    @Test func aLabelMapWithoutImageIsAnError() throws {
        let scratch = try Scratch.camvid()
        try scratch.remove("train/b.jpg")
        #expect(
            message { _ = try Dataset.open(scratch.settings).samples(of: "train") }.contains(
                "trainannot/b.png: has no image"))
    }

    @Test func twoImagesOfOneNameAreAnError() throws {
        let scratch = try Scratch.camvid()
        try scratch.file("train/a.png", PNG.encode(image(8, 6)))
        #expect(message { _ = try Dataset.open(scratch.settings) }.contains("have the same name"))
    }

    @Test func unknownSplitsNameTheKnownOnes() throws {
        let scratch = try Scratch.camvid()
        let index = try Dataset.open(scratch.settings)
        #expect(
            message { _ = try index.samples(of: "trian") }
                == "\(scratch.path): has no split 'trian' (has train, val); did you mean 'train'?")
    }

    @Test(.enabled(if: isFolder(shared("camvid")), "needs CamVid in ../shared/camvid"))
    func theRealDatasetIsComplete() throws {
        var settings = try Scratch().settings
        settings.root = shared("camvid")
        let index = try Dataset.open(settings)
        #expect(try index.samples(of: "train").count == 367)
        #expect(try index.samples(of: "val").count == 101)
        let report = try DataCheck.run(settings)
        #expect(!report.hasProblems, "\(report.text())")
        for split in report.splits {
            #expect(split.absentClasses.isEmpty && split.sizes == [.init(size: "480x360", images: split.images)])
            let counted = split.classes.reduce(split.ignoredPixels) { $0 + $1.pixels }
            #expect(counted == Int64(split.images * 480 * 360))
        }
    }
}
