import Basics
import Configuration
import Foundation
import Imaging
import Testing

@testable import Datasets

/// What every dataset must do, in whatever tree it comes.
@Suite struct DatasetConformanceTests {
    @Test(arguments: TreeLayout.allCases)
    func samplesAreInByteOrderNumberedFromZeroAndReadable(layout: TreeLayout) throws {
        let tree = try TinyTree.sample(layout)
        for folder in ["", (tree.imagePath("b10", "train") as NSString).deletingLastPathComponent + "/"] {
            try tree.scratch.file(folder + ".DS_Store", [1])
            try tree.scratch.file(folder + "notes.txt", [1])
        }
        let settings = tree.settings
        let index = try tree.open()
        #expect(index.kind == layout.kind && index.root == tree.scratch.path)
        for (split, names) in [(settings.split, TinyTree.sorted), (settings.evaluationSplit, ["v"])] {
            let samples = try index.samples(of: split)
            #expect(samples.map(\.name) == names && samples.map(\.id) == Array(names.indices))
            for files in samples {
                let sample = try Dataset.readSample(files, mapping: index.labelMapping)
                #expect(sample.image == (try ImageFile.readImage(files.imagePath)))
                #expect(sample.label == labels(7, 5) { x, _ in UInt8(x % index.classes.count) })
            }
        }
        #expect(try tree.open().samples(of: "train") == index.samples(of: "train"))
    }

    @Test(arguments: TreeLayout.allCases)
    func classesMappingAndPaletteAgree(layout: TreeLayout) throws {
        let index = try TinyTree.sample(layout).open()
        #expect(index.labelMapping.classes == index.classes.count)
        #expect(Set(index.classNames).count == index.classes.count)
        // ADE20K's palette as published has one colour for road and skyscraper.
        #expect(Set(index.palette).count == index.classes.count - (layout == .ade20k ? 1 : 0))
        let used = Set((0...500).compactMap { index.labelMapping[$0] })
        #expect(used.subtracting([IgnoreLabel.value]) == Set((0..<index.classes.count).map { UInt8($0) }))
        if let known = Dataset.classes(of: layout.kind) { #expect(known == index.classes) }
    }

    @Test(arguments: TreeLayout.allCases)
    func theCheckFindsAFaultInEitherSplit(layout: TreeLayout) throws {
        let tree = try TinyTree.sample(layout)
        let sound = try DataCheck.run(tree.settings)
        #expect(!sound.hasProblems, "\(sound.text())")
        #expect(sound.splits.map(\.images) == [3, 1] && sound.splits.allSatisfy(\.labelled))
        try tree.label("v", tree.evaluationSplit) { _, _ in tree.wrongValue }
        try tree.scratch.remove(tree.labelPath("B2", "train"))
        let report = try DataCheck.run(tree.settings)
        #expect(report.problems.map(\.split) == ["train", tree.evaluationSplit])
        #expect(report.problems.last?.what.hasPrefix("label value \(tree.wrongValue) at column 0, row 0") == true)
        #expect(
            message { _ = try tree.open().samples(of: "train") }.hasPrefix(
                "\(tree.scratch.path)/\(tree.imagePath("B2", "train")): has no label map in"))
    }

    @Test(arguments: TreeLayout.allCases)
    func aLabelMapWithoutImageIsAnError(layout: TreeLayout) throws {
        let tree = try TinyTree.sample(layout)
        try tree.scratch.remove(tree.imagePath("B2", "train"))
        #expect(
            message { _ = try tree.open().samples(of: "train") }.hasPrefix(
                "\(tree.scratch.path)/\(tree.labelPath("B2", "train")): has no image in"))
    }

    @Test(arguments: TreeLayout.allCases)
    func aMissingRootIsAOneLineErrorThatNamesIt(layout: TreeLayout) throws {
        let tree = try TinyTree.sample(layout)
        var settings = tree.settings
        settings.root = tree.scratch.path + "/gone"
        let text = message { _ = try Dataset.open(settings) }
        #expect(text.hasPrefix("\(tree.scratch.path)/gone: no such folder (dataset.root)") && !text.contains("\n"))
    }

    /// Each folder and list that the tree is made of, taken away by itself.
    @Test(arguments: TreeLayout.allCases.filter { $0.kind != .folder })
    func aMissingPartIsNamedWithTheWayToGetIt(layout: TreeLayout) throws {
        let tree = try TinyTree.sample(layout)
        var parts: Set<String> = []
        for path in [tree.imagePath("v", "train"), tree.labelPath("v", "train")]
            + [tree.listPath("train")].compactMap({ $0 })
        {
            var part = path
            while part.contains("/") {
                part = (part as NSString).deletingLastPathComponent
                // A city is no fixed part, and the lists of another layout may stand beside this one's.
                if !part.hasSuffix("city") && part != "ImageSets" { parts.insert(part) }
            }
        }
        if let list = tree.listPath("train") { parts.insert(list) }
        #expect(parts.count >= 2)
        for part in parts.sorted() {
            let here = "\(tree.scratch.path)/\(part)"
            try FileManager.default.moveItem(atPath: here, toPath: tree.scratch.path + "/aside")
            let text = message { _ = try tree.open() }
            try FileManager.default.moveItem(atPath: tree.scratch.path + "/aside", toPath: here)
            #expect(text.contains((part as NSString).lastPathComponent) && text.contains("http"), "\(part): \(text)")
            #expect(
                text.contains(tree.scratch.path) && text.contains("dataset.root") && !text.contains("\n"), "\(text)")
        }
        #expect(try tree.open().samples(of: "train").count == 3)
        var settings = tree.settings
        settings.root = ""
        #expect(message { _ = try Dataset.open(settings) }.hasPrefix("dataset.root is not set; "))
    }

    @Test(arguments: TreeLayout.allCases)
    func joinedSplitsAreOneAfterTheOther(layout: TreeLayout) throws {
        let tree = try TinyTree.sample(layout)
        let index = try tree.open()
        let both = try index.samples(of: "train+\(tree.evaluationSplit)")
        #expect(both.map(\.name) == TinyTree.sorted + ["v"] && both.map(\.id) == [0, 1, 2, 3])
        #expect(try index.samples(of: "\(tree.evaluationSplit)+train").map(\.name) == ["v"] + TinyTree.sorted)
        #expect(try index.listing(of: "train+\(tree.evaluationSplit)").labelFolder != nil)
        var settings = tree.settings
        settings.split = "train+\(tree.evaluationSplit)"
        #expect(try !DataCheck.run(settings).hasProblems)
        settings.split = "train+tset"
        #expect(try DataCheck.run(settings).problems.count == 1)
        #expect(message { _ = try index.samples(of: "train+tset") }.contains("has no split 'tset'"))
        #expect(message { _ = try index.samples(of: "train+") }.contains("has no split ''"))
        #expect(message { _ = try index.samples(of: "train+train") } == "split 'train+train' names 'train' twice")
    }

    @Test(arguments: TreeLayout.allCases)
    func imagesOfDifferentSizesAndWithoutColourAreReadable(layout: TreeLayout) throws {
        let tree = try TinyTree.sample(layout)
        try tree.add("c", to: "train", width: 3, height: 11)
        if tree.imagePath("c", "train").lowercased().hasSuffix("jpg") {
            try tree.scratch.file(tree.imagePath("c", "train"), greyJPEG(3, 11))
        } else {
            try tree.scratch.file(tree.imagePath("c", "train"), PNG.encode(labels(3, 11) { _, _ in 90 }))
        }
        let index = try tree.open()
        let sample = try Dataset.readSample(index.samples(of: "train")[3], mapping: index.labelMapping)
        #expect(sample.image.width == 3 && sample.label.height == 11)
        let color = sample.image[1, 1]
        #expect(color.red == color.green && color.green == color.blue && abs(Int(color.red) - 90) < 3)
        let report = try DataCheck.run(tree.settings)
        #expect(!report.hasProblems && report.splits[0].sizes.count == 2)
    }
}
