import Basics
import Configuration
import Foundation
import Imaging
import Testing

@testable import Datasets

@Suite struct IndexCacheTests {
    private let scratch: Scratch
    private let cache: IndexCache

    init() throws {
        scratch = try Scratch()
        cache = IndexCache(scratch.path + "/deep/cache", fewest: 1)
    }

    /// Lists a tree and keeps the listing as if its files had been there for a minute.
    @discardableResult
    private func keep(_ settings: DatasetSettings) throws -> DatasetIndex {
        let tree = DatasetTree()
        let index = try Dataset.read(settings, in: tree)
        cache.keep(index, of: settings, seen: tree.witnesses, at: Date(timeIntervalSinceNow: 60))
        // As if long ago: past the tick by which some kernels stamp files, or what the test changes now has the same times.
        usleep(20_000)
        return index
    }

    @Test(arguments: TreeLayout.allCases)
    func aKeptListingIsTheListing(layout: TreeLayout) throws {
        let tree = try TinyTree.sample(layout)
        if layout == .cityscapes { try tree.add("t", to: "test") }
        #expect(cache.index(of: tree.settings) == nil)
        let index = try keep(tree.settings)
        let kept = try #require(cache.index(of: tree.settings))
        #expect(kept.kind == index.kind && kept.root == index.root && kept.classes == index.classes)
        #expect(kept.labelMapping == index.labelMapping && kept.splits == index.splits)
        #expect(try Dataset.open(tree.settings, cache: cache).splits == index.splits)
    }

    @Test(arguments: TreeLayout.allCases)
    func whateverChangesTheListingIsNoticed(layout: TreeLayout) throws {
        let tree = try TinyTree.sample(layout)
        try keep(tree.settings)
        try tree.add("new", to: "train")
        #expect(cache.index(of: tree.settings) == nil)
        #expect(try Dataset.open(tree.settings, cache: cache).samples(of: "train").count == 4)

        try keep(tree.settings)
        try tree.scratch.remove(tree.labelPath("new", "train"))
        #expect(cache.index(of: tree.settings) == nil)
        try tree.label("new", "train") { _, _ in 1 }

        try keep(tree.settings)
        try tree.scratch.remove(tree.imagePath("new", "train"))
        #expect(cache.index(of: tree.settings) == nil)
    }

    @Test func aChangedListOrDescriptionIsNoticed() throws {
        let context = try TinyTree.sample(.pascalContext)
        try keep(context.settings)
        try context.scratch.file("ImageSets/Main/train.txt", Array("B2\n".utf8))
        #expect(cache.index(of: context.settings) == nil)
        #expect(try Dataset.open(context.settings, cache: cache).samples(of: "train").count == 1)
        let own = try TinyTree.sample(.folder)
        try keep(own.settings)
        try own.scratch.file("d.yaml", own.scratch.bytes("d.yaml") + Array("\n  wild: {images: val}\n".utf8))
        #expect(try Dataset.open(own.settings, cache: cache).splits.map(\.name) == ["train", "val", "wild"])
    }

    @Test func aSplitThatAppearsIsNoticed() throws {
        let tree = try TinyTree.sample(.cityscapes)
        try keep(tree.settings)
        try tree.add("t", to: "test")
        #expect(try Dataset.open(tree.settings, cache: cache).splits.map(\.name) == ["train", "val", "test"])
    }

    @Test func aFolderThatHasJustChangedIsNotTrusted() throws {
        let tree = try TinyTree.sample(.camvid)
        _ = try Dataset.open(tree.settings, cache: cache)
        #expect(cache.index(of: tree.settings) == nil)
    }

    @Test func smallAndBrokenDatasetsAreNotKept() throws {
        let tree = try TinyTree.sample(.camvid)
        let reader = DatasetTree()
        let index = try Dataset.read(tree.settings, in: reader)
        let large = IndexCache(scratch.path + "/large", fewest: 5)
        large.keep(index, of: tree.settings, seen: reader.witnesses, at: Date(timeIntervalSinceNow: 60))
        #expect(!isFolder(scratch.path + "/large"))
        try tree.scratch.remove(tree.labelPath("v", "val"))
        try keep(tree.settings)
        #expect(cache.index(of: tree.settings) == nil)
    }

    @Test func aDamagedFileIsAsGoodAsNone() throws {
        let tree = try TinyTree.sample(.ade20k)
        let index = try keep(tree.settings)
        let folder = scratch.path + "/deep/cache"
        let files = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(files.count == 1)
        let file = folder + "/" + files[0]
        let sound = [UInt8](try #require(FileManager.default.contents(atPath: file)))
        for at in stride(from: 0, to: sound.count, by: max(1, sound.count / 100)) {
            var broken = sound
            broken[at] ^= 4
            try Data(broken).write(to: URL(fileURLWithPath: file))
            #expect(cache.index(of: tree.settings) == nil, "byte \(at)")
            try Data(sound.prefix(at)).write(to: URL(fileURLWithPath: file))
            #expect(cache.index(of: tree.settings) == nil, "cut at \(at)")
        }
        #expect(try Dataset.open(tree.settings, cache: cache).splits == index.splits)
        try Data(sound).write(to: URL(fileURLWithPath: file))
        #expect(cache.index(of: tree.settings)?.splits == index.splits)
    }

    @Test func aCacheFolderThatCannotBeWrittenIsNoError() throws {
        let tree = try TinyTree.sample(.camvid)
        try scratch.file("file", [1])
        let cache = IndexCache(scratch.path + "/file/cache", fewest: 1)
        let reader = DatasetTree()
        let index = try Dataset.read(tree.settings, in: reader)
        cache.keep(index, of: tree.settings, seen: reader.witnesses, at: Date(timeIntervalSinceNow: 60))
        #expect(try Dataset.open(tree.settings, cache: cache).splits == index.splits)
    }

    @Test func otherSettingsHaveOtherListings() throws {
        let tree = try TinyTree.sample(.folder)
        try keep(tree.settings)
        var settings = tree.settings
        settings.root = tree.scratch.path + "/"
        #expect(cache.index(of: settings) == nil)
        settings = tree.settings
        settings.split = "val"
        #expect(cache.index(of: settings) != nil, "a listing has all splits")
    }

    /// Prints how long a dataset of 20,000 images takes to open, and asserts nothing about it.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["PICOFLOW_TIMING"] != nil, "set PICOFLOW_TIMING to measure"))
    func openingTwentyThousandImages() throws {
        let tree = try TinyTree(.ade20k)
        for (split, count) in [("training", 18_000), ("validation", 2000)] {
            for folder in ["images", "annotations"] {
                try tree.scratch.folder("\(folder)/\(split)")
                for i in 0..<count {
                    try Data([0]).write(
                        to: URL(
                            fileURLWithPath: "\(tree.scratch.path)/\(folder)/\(split)/ADE_\(split)_\(100_000 + i)."
                                + (folder == "images" ? "jpg" : "png")))
                }
            }
        }
        func milliseconds(_ body: () throws -> Void) rethrows -> [Int] {
            try (0..<5).map { _ in Int(try ContinuousClock().measure(body) / .milliseconds(1)) }
        }
        print(
            "listed:", try milliseconds { _ = try Dataset.open(tree.settings, cache: nil).samples(of: "train") }, "ms")
        try keep(tree.settings)
        print(
            "kept:  ", try milliseconds { _ = try #require(cache.index(of: tree.settings)).samples(of: "train") }, "ms")
    }
}
