import Basics
import Foundation
import Imaging
import Testing

@testable import Datasets

/// What is particular to the datasets that others publish: their label numbers, and what stands beside the usual splits.
@Suite struct PublishedTablesTests {
    /// The column `trainId` of the label table in the set's own scripts, for the label ids 0 to 33.
    @Test func cityscapesLabelIDsBecomeTrainIDs() {
        let trainIDs: [UInt8] = [
            255, 255, 255, 255, 255, 255, 255, 0, 1, 255, 255, 2, 3, 4, 255, 255, 255, 5, 255, 6, 7, 8, 9, 10, 11, 12,
            13, 14,
            15, 255, 255, 16, 17, 18,
        ]
        #expect((0...33).map { Cityscapes.labelIDMapping[$0] } == trainIDs)
        #expect(Cityscapes.labelIDMapping[34] == nil && Cityscapes.labelIDMapping[255] == nil)
        #expect(Cityscapes.trainIDMapping.allowed == "0-18 (classes), 255 (ignored)")
        #expect(Cityscapes.labelIDs.map { Cityscapes.labelIDMapping[Int($0)] } == (0..<19).map { UInt8($0) })
        #expect(Cityscapes.classes[13] == ClassInfo(name: "car", color: RGB8(0, 0, 142)))
    }

    @Test func cityscapesTestSplitHasImagesOnly() throws {
        let tree = try TinyTree.sample(.cityscapes)
        // The package has blank label maps for it.
        try tree.add("t", to: "test")
        let index = try tree.open()
        #expect(index.splits.map(\.name) == ["train", "val", "test"])
        #expect(try index.samples(of: "test").map(\.labelPath) == [nil])
        #expect(try index.listing(of: "test").labelFolder == nil)
        #expect(try index.listing(of: "train+test").labelFolder == nil)
        #expect(
            try index.samples(of: "train")[0].labelPath?.hasSuffix("gtFine/train/city/B2_gtFine_labelIds.png") == true)
    }

    @Test func cityscapesCitiesAreOneList() throws {
        let tree = try TinyTree.sample(.cityscapes)
        try FileManager.default.createDirectory(
            atPath: tree.scratch.path + "/leftImg8bit/train/aachen", withIntermediateDirectories: true)
        try FileManager.default.createDirectory(
            atPath: tree.scratch.path + "/gtFine/train/aachen", withIntermediateDirectories: true)
        try tree.scratch.file("leftImg8bit/train/aachen/zz_leftImg8bit.png", PNG.encode(image(4, 4)))
        try tree.scratch.file("gtFine/train/aachen/zz_gtFine_labelIds.png", PNG.encode(labels(4, 4) { _, _ in 7 }))
        #expect(try tree.open().samples(of: "train").map(\.name) == TinyTree.sorted + ["zz"])
    }

    @Test func ade20kNumbersItsClassesFromOne() {
        #expect(ADE20K.labelMapping[0] == IgnoreLabel.value)
        #expect(ADE20K.labelMapping[1] == 0 && ADE20K.labelMapping[150] == 149 && ADE20K.labelMapping[151] == nil)
        #expect(ADE20K.labelMapping.allowed == "1-150 (classes), 0 (ignored)")
        #expect(
            ADE20K.classes[0].name == "wall" && ADE20K.classes[149] == ClassInfo(name: "flag", color: RGB8(92, 0, 255)))
    }

    /// Both archives unpacked into one folder, of which the first one's is given as the root.
    @Test func ade20kTestImagesMayStandBesideTheRoot() throws {
        let tree = try TinyTree.sample(.ade20k)
        let outside = tree.scratch.path
        let root = outside + "/ADEChallengeData2016"
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        for folder in ["images", "annotations"] {
            try FileManager.default.moveItem(atPath: "\(outside)/\(folder)", toPath: "\(root)/\(folder)")
        }
        var settings = tree.settings
        settings.root = root
        let without = try Dataset.open(settings, cache: nil)
        #expect(
            message { _ = try without.samples(of: "test") }
                == "\(root): has no split 'test' (has train, val); \(ADE20K.testSource.hint)")
        #expect(message { _ = try without.samples(of: "tset") }.contains("has no split 'tset' (has train, val)"))
        try tree.scratch.file("release_test/testing/x.jpg", JPEG.encode(image(4, 4)))
        #expect(try Dataset.open(settings, cache: nil).samples(of: "test").map(\.name) == ["x"])
        // The same through a link beside which they are; the folder itself has none beside it.
        let elsewhere = try Scratch()
        try FileManager.default.createSymbolicLink(atPath: elsewhere.path + "/ade", withDestinationPath: root)
        try FileManager.default.moveItem(
            atPath: outside + "/release_test", toPath: elsewhere.path + "/release_test")
        settings.root = elsewhere.path + "/ade"
        #expect(try Dataset.open(settings, cache: nil).samples(of: "test").map(\.name) == ["x"])
    }

    @Test func ade20kMayStandBelowTheRootAndHaveTestImages() throws {
        let tree = try TinyTree.sample(.ade20k)
        for folder in ["images", "annotations"] {
            try tree.scratch.folder("ADEChallengeData2016")
            try FileManager.default.moveItem(
                atPath: "\(tree.scratch.path)/\(folder)", toPath: "\(tree.scratch.path)/ADEChallengeData2016/\(folder)")
        }
        try tree.scratch.file("release_test/testing/x.jpg", JPEG.encode(image(4, 4)))
        let index = try tree.open()
        #expect(index.splits.map(\.name) == ["train", "val", "test"])
        #expect(try index.samples(of: "test").map(\.labelPath) == [nil])
        #expect(try index.samples(of: "train").count == 3)
    }

    @Test func pascalContextKeeps59Of459() {
        let names = PASCALContext.classes.map(\.name)
        #expect(names.count == 59 && names == names.sorted())
        func name(_ id: Int) -> String? {
            PASCALContext.labelIDMapping[id].flatMap { $0 == IgnoreLabel.value ? nil : names[Int($0)] }
        }
        #expect(name(2) == "aeroplane" && name(258) == "motorbike" && name(397) == "table" && name(458) == "wood")
        #expect((0...459).filter { name($0) != nil }.count == 59)
        #expect(
            PASCALContext.labelIDMapping[0] == IgnoreLabel.value && PASCALContext.labelIDMapping[1] == IgnoreLabel.value
        )
        #expect(PASCALContext.labelIDMapping[459] == IgnoreLabel.value && PASCALContext.labelIDMapping[460] == nil)
        #expect(PASCALContext.pngMapping.allowed == "1-59 (classes), 0 (ignored)")
    }

    @Test func imagesBesidePASCALContextsListsAreNoneOfIts() throws {
        let tree = try TinyTree.sample(.pascalContext)
        try tree.scratch.file("JPEGImages/other.jpg", JPEG.encode(image(4, 4)))
        #expect(try tree.open().samples(of: "train").count == 3)
        try tree.scratch.file("ImageSets/Main/val.txt", Array("v\r\nlost\r\n".utf8))
        let text = message { _ = try tree.open() }
        #expect(text.hasPrefix("\(tree.scratch.path)/ImageSets/Main/val.txt: names 'lost', which has neither image"))
        try tree.scratch.file("ImageSets/Main/val.txt", Array("v\nv\n".utf8))
        #expect(message { _ = try tree.open() } == "\(tree.scratch.path)/ImageSets/Main/val.txt: names 'v' twice")
    }

    /// `labels.txt` of github.com/nightrome/cocostuff, at both sides of each gap.
    @Test func cocoStuffLeavesOutWhatCOCORemoved() {
        let names = COCOStuff.classes.map(\.name)
        func name(_ id: Int) -> String? { COCOStuff.labelIDMapping[id].map { names[Int($0)] } }
        let expected = [
            11: "fire hydrant", 13: "stop sign", 25: "giraffe", 27: "backpack", 28: "umbrella", 31: "handbag",
            44: "bottle",
            46: "wine glass", 65: "bed", 67: "dining table", 70: "toilet", 72: "tv", 82: "refrigerator", 84: "book",
            90: "toothbrush", 92: "banner", 182: "wood",
        ]
        for (id, label) in expected { #expect(name(id) == label) }
        #expect(
            (1...182).filter { COCOStuff.labelIDMapping[$0] == nil } == [12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91])
        #expect(COCOStuff.labelIDMapping[0] == IgnoreLabel.value && COCOStuff.labelIDMapping[183] == nil)
        #expect(COCOStuff.trainIDMapping.allowed == "1-171 (classes), 0 (ignored)")
    }

    @Test func aMATLABFileOfTheFirstReleaseIsNamed() throws {
        let tree = try TinyTree.sample(.cocoStuff)
        var header = [UInt8](repeating: 32, count: 600)
        header.replaceSubrange(124..<128, with: [0, 2, 0x49, 0x4d])
        try tree.scratch.file(tree.labelPath("v", "test"), header)
        let problems = try DataCheck.run(tree.settings).problems
        #expect(problems.count == 1 && problems[0].what.hasPrefix("is a MATLAB 7.3 file"))
    }
}
