import Basics
import Configuration
import Foundation
import Imaging
import Testing

@testable import Datasets

/// What every dataset must do, whatever its tree looks like.
@Suite struct DatasetConformanceTests {
    /// Three training samples whose names sort differently as bytes, as numbers and by locale, and one for validation.
    private static let names = ["b10", "B2", "a-ä"]
    private static let sorted = ["B2", "a-ä", "b10"]

    private func fixture(_ kind: DatasetSettings.Kind) throws -> (scratch: Scratch, settings: DatasetSettings) {
        let scratch = try Scratch()
        var settings = scratch.settings
        settings.kind = kind
        switch kind {
        case .camvid: break
        case .folder:
            try scratch.file(
                "d.yaml",
                Array(
                    """
                    classes: [a, b, c]
                    splits:
                      train: {images: train, labels: trainannot}
                      val: {images: val, labels: valannot}
                    """.utf8))
            settings.description = scratch.path + "/d.yaml"
        }
        for (split, names) in [("train", Self.names), ("val", ["v"])] {
            for name in names {
                try scratch.file("\(split)/\(name).JPG", JPEG.encode(image(7, 5)))
                try scratch.file("\(split)annot/\(name).png", PNG.encode(labels(7, 5) { x, _ in UInt8(x % 3) }))
            }
            try scratch.file("\(split)/.DS_Store", [1])
            try scratch.file("\(split)/notes.txt", [1])
        }
        return (scratch, settings)
    }

    @Test(arguments: DatasetSettings.Kind.allCases)
    func samplesAreInByteOrderNumberedFromZeroAndReadable(kind: DatasetSettings.Kind) throws {
        let (scratch, settings) = try fixture(kind)
        let index = try Dataset.open(settings)
        #expect(index.kind == kind && index.root == scratch.path)
        for (split, names) in [(settings.split, Self.sorted), (settings.evaluationSplit, ["v"])] {
            let samples = try index.samples(of: split)
            #expect(samples.map(\.name) == names && samples.map(\.id) == Array(names.indices))
            for files in samples {
                let sample = try Dataset.readSample(files, mapping: index.labelMapping)
                #expect(sample.image.width == 7 && sample.label.height == 5)
                let values = sample.label.values.array(of: UInt8.self)
                #expect(values.allSatisfy { $0 < index.classes.count || $0 == IgnoreLabel.value })
            }
        }
        #expect(try Dataset.open(settings).samples(of: "train") == index.samples(of: "train"))
    }

    @Test(arguments: DatasetSettings.Kind.allCases)
    func classesMappingAndPaletteAgree(kind: DatasetSettings.Kind) throws {
        let (scratch, settings) = try fixture(kind)
        let index = try Dataset.open(settings)
        #expect(index.labelMapping.classes == index.classes.count)
        #expect(Set(index.classNames).count == index.classes.count && Set(index.palette).count == index.classes.count)
        let used = Set((0...255).compactMap { index.labelMapping[UInt8($0)] })
        #expect(Set((0..<index.classes.count).map { UInt8($0) }).isSubset(of: used), "\(scratch.path)")
    }

    @Test(arguments: DatasetSettings.Kind.allCases)
    func theCheckFindsAFaultInEitherSplit(kind: DatasetSettings.Kind) throws {
        let (scratch, settings) = try fixture(kind)
        #expect(try !DataCheck.run(settings).hasProblems)
        try scratch.file("valannot/v.png", PNG.encode(labels(7, 5) { _, _ in 200 }))
        try scratch.remove("trainannot/B2.png")
        #expect(try DataCheck.run(settings).problems.map(\.split) == ["train", "val"])
        #expect(throws: UserError.self) { try Dataset.open(settings).samples(of: "train") }
    }

    @Test(arguments: DatasetSettings.Kind.allCases)
    func aMissingRootIsAOneLineErrorThatNamesIt(kind: DatasetSettings.Kind) throws {
        var (scratch, settings) = try fixture(kind)
        settings.root = scratch.path + "/gone"
        let text = message { _ = try Dataset.open(settings) }
        #expect(text.hasPrefix("\(scratch.path)/gone: no such folder (dataset.root)") && !text.contains("\n"))
    }
}
