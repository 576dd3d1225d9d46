import Basics
import Configuration
import Foundation
import Imaging
import TestSupport
import Testing

@testable import Datasets

/// What `picoflow init` makes of somebody's folders.
@Suite struct ScaffoldTests {
    /// A pair of one size whose label map holds these values in turn.
    private func write(
        _ name: String, values: [UInt8], in folder: TemporaryFolder, images: String = "images",
        labels: String = "labels", size: (width: Int, height: Int) = (96, 80), labelWidth: Int? = nil
    ) throws {
        for path in [images, labels] {
            try FileManager.default.createDirectory(atPath: folder(path), withIntermediateDirectories: true)
        }
        let image = Image(width: size.width, height: size.height) { target in
            for i in 0..<target.count { target[i] = UInt8(truncatingIfNeeded: i / 7) }
        }
        let label = LabelMap(width: labelWidth ?? size.width, height: size.height) { target in
            for i in 0..<target.count { target[i] = values[i % values.count] }
        }
        try ImageFile.write(PNG.encode(image), to: folder("\(images)/\(name).png"))
        try ImageFile.write(PNG.encode(label), to: folder("\(labels)/\(name).png"))
    }

    private func scaffold(_ folder: TemporaryFolder) throws -> Scaffold {
        try Scaffold(FolderSurvey(images: folder("images"), labels: folder("labels")))
    }

    /// Writes it and has it checked as `picoflow data check` does.
    private func check(_ scaffold: Scaffold, _ folder: TemporaryFolder) throws -> DataCheckReport {
        let files = try scaffold.write(to: folder("mine"), processors: 4)
        let recipe = try Recipe.resolve(path: files.recipe)
        #expect(recipe.augmentation.crop == scaffold.crop && recipe.schedule.batch == scaffold.batch)
        _ = try Topology.resolve(path: files.topology, recipe: recipe)
        let report = try DataCheck.run(recipe.dataset)
        #expect(!report.hasProblems, "\(report.text())")
        return report
    }

    /// Its first bytes, with the EXIF of a photograph that is shown turned by half.
    private func turned(_ file: [UInt8]) -> [UInt8] {
        let tiff: [UInt8] = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0]
        let body = Array("Exif\0\0".utf8) + tiff
        return file[..<2] + [0xff, 0xe1, 0, UInt8(body.count + 2)] + body + file[2...]
    }

    @Test func photographsThatEXIFTurnsAreCounted() throws {
        let folder = try TemporaryFolder("init")
        for i in 0..<4 { try write("photo-\(i)", values: [0, 1], in: folder) }
        for (name, width) in [("photo-1", 96), ("photo-2", 90)] {
            try FileManager.default.removeItem(atPath: folder("images/\(name).png"))
            let image = try Image(
                width: width, height: 80, pixels: SharedBytes([UInt8](repeating: 7, count: width * 240)))
            try ImageFile.write(turned(JPEG.encode(image)), to: folder("images/\(name).jpg"))
        }
        let scaffold = try scaffold(folder)
        #expect(scaffold.warnings.contains { $0.hasPrefix("1 photographs are stored turned") })
        #expect(scaffold.leftOut.count == 1 && scaffold.leftOut[0].contains("not as EXIF turns them"))
        #expect(try check(scaffold, folder).splits.map(\.turned).reduce(0, +) == 1)
    }

    /// A crop of 512 pixels would show little of them.
    @Test func largePhotographsAreReduced() throws {
        let folder = try TemporaryFolder("init")
        for i in 0..<2 { try write("p\(i)", values: [0, 1], in: folder, size: (width: 2048, height: 1536)) }
        let scaffold = try scaffold(folder)
        #expect(scaffold.reduction == 0.67 && scaffold.crop == [512, 512])
        #expect(scaffold.summary.contains("reduced: to 0.67 of their sides"))
        _ = try check(scaffold, folder)
        let recipe = try Recipe.resolve(path: folder("mine/recipe.yaml"))
        #expect(recipe.augmentation.scale == [0.34, 1.34] && recipe.evaluate.scales == [0.67])
    }

    @Test func imagesOf16BitsAreCounted() throws {
        let folder = try TemporaryFolder("init")
        for i in 0..<2 { try write("p\(i)", values: [0, 1], in: folder) }
        var survey = try FolderSurvey(images: folder("images"), labels: folder("labels"))
        #expect(survey.deep == 0)
        survey.deep = 2
        #expect(
            try Scaffold(survey).warnings.contains { $0.hasPrefix("2 images have 16 bits a channel; only the upper 8") }
        )
        let head: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13] + Array("IHDR".utf8)
        let size: [UInt8] = [0, 0, 0, 2, 0, 0, 0, 2]
        #expect(PNG.isDeep(SharedBytes(head + size + [16, 0])) && !PNG.isDeep(SharedBytes(head + size + [8, 0])))
    }

    @Test func theMemoryOfManyImagesIsBounded() throws {
        let folder = try TemporaryFolder("init")
        for i in 0..<2 { try write("p\(i)", values: [0, 1], in: folder) }
        var scaffold = try scaffold(folder)
        scaffold.splits[0].names = (0..<60_000).map { "p\($0)" }
        let files = try scaffold.write(to: folder("mine"), processors: 4)
        let recipe = try Recipe.resolve(path: files.recipe)
        #expect(recipe.contrast.pixelQueue == 10_000 && recipe.contrast.regionCap == 2000)
        #expect(recipe.contrast.lambda == 0.1)
    }

    @Test func imagesAndLabelMapsInOneFolderAreRefused() throws {
        let folder = try TemporaryFolder("init")
        try write("photo", values: [0, 1], in: folder, labels: "images")
        #expect(
            message { _ = try FolderSurvey(images: folder("images"), labels: folder("images")) }
                .hasSuffix("holds images and label maps together; move the label maps to a folder of their own"))
    }

    @Test func oneFolderIsSplitAndItsValuesAreTheClasses() throws {
        let folder = try TemporaryFolder("init")
        for i in 0..<21 { try write("photo-\(i)", values: [0, 1, 2, 255], in: folder) }
        let scaffold = try scaffold(folder)
        #expect(scaffold.classes.map(\.value) == [0, 1, 2] && scaffold.ignore == 255)
        #expect(scaffold.splits.map(\.name) == ["train", "val"])
        #expect(scaffold.splits.map(\.names.count) == [19, 2])
        #expect(Set(scaffold.splits[0].names).isDisjoint(with: scaffold.splits[1].names))
        #expect(scaffold.crop == [64, 96])
        let report = try check(scaffold, folder)
        #expect(report.splits.map(\.name) == ["train", "val"])
    }

    @Test func valuesWithGapsAreMapped() throws {
        let folder = try TemporaryFolder("init")
        for i in 0..<3 { try write("p\(i)", values: [7, 11, 255], in: folder) }
        let scaffold = try scaffold(folder)
        #expect(scaffold.classes.map(\.name) == ["class-7", "class-11"])
        _ = try check(scaffold, folder)
    }

    @Test func whiteMasksAreTwoClassesAndNothingIsIgnored() throws {
        let folder = try TemporaryFolder("init")
        for i in 0..<2 { try write("p\(i)", values: [0, 255], in: folder) }
        let scaffold = try scaffold(folder)
        #expect(scaffold.classes.map(\.name) == ["background", "object"] && scaffold.ignore == nil)
        let report = try check(scaffold, folder)
        #expect(report.splits[0].ignoredPixels == 0)
    }

    @Test func ownSplitsAreKeptAndWhatDoesNotFitIsLeftOut() throws {
        let folder = try TemporaryFolder("init")
        for (split, count) in [("training", 4), ("valid", 2)] {
            for i in 0..<count {
                try write("p\(i)", values: [0, 1], in: folder, images: "images/\(split)", labels: "labels/\(split)")
            }
        }
        try write(
            "wide", values: [0, 1], in: folder, images: "images/training", labels: "labels/training", labelWidth: 95)
        try FileManager.default.removeItem(atPath: folder("labels/training/p0.png"))
        try folder.write("no picture", to: "images/valid/p1.png")
        let scaffold = try scaffold(folder)
        #expect(scaffold.splits.map(\.names) == [["p1", "p2", "p3"], ["p0"]])
        #expect(scaffold.leftOut.count == 3, "\(scaffold.leftOut)")
        #expect(scaffold.splits.map(\.needsList) == [true, true])
        _ = try check(scaffold, folder)
    }

    @Test func nothingIsOverwritten() throws {
        let folder = try TemporaryFolder("init")
        for i in 0..<2 { try write("p\(i)", values: [0, 1], in: folder) }
        try FileManager.default.createDirectory(atPath: folder("mine"), withIntermediateDirectories: true)
        try folder.write("mine already", to: "mine/topology.yaml")
        let scaffold = try scaffold(folder)
        #expect(
            throws: UserError("\(folder("mine"))/topology.yaml: is there already; name another folder, or remove it")
        ) {
            try scaffold.write(to: folder("mine"), processors: 1)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder("mine")) == ["topology.yaml"])
    }

    @Test func namesThatDoNotPairAreShown() throws {
        let folder = try TemporaryFolder("init")
        try write("a", values: [0, 1], in: folder)
        try FileManager.default.moveItem(atPath: folder("labels/a.png"), toPath: folder("labels/a_mask.png"))
        do {
            _ = try scaffold(folder)
            Issue.record("no error")
        } catch {
            #expect("\(error)".contains("the image 'a.png' and the label map 'a_mask.png'"), "\(error)")
        }
    }

    @Test func listsOfADescriptionAreChecked() throws {
        let folder = try TemporaryFolder("list")
        for i in 0..<2 { try write("p\(i)", values: [0], in: folder) }
        try folder.write(
            "classes: [a]\nsplits:\n  few: {images: images, labels: labels, list: few.txt}\n", to: "d.yaml")
        func open() throws -> DatasetIndex {
            try FolderDataset.open(description: folder("d.yaml"), root: "", in: DatasetTree())
        }
        #expect(throws: UserError("\(folder("d.yaml")):3: split 'few': no such file: \(folder("few.txt"))")) {
            try open()
        }
        try folder.write("p1\n", to: "few.txt")
        #expect(try open().splits[0].samples.map(\.name) == ["p1"])
        try folder.write("p1\np7\n", to: "few.txt")
        do {
            _ = try open()
            Issue.record("no error")
        } catch {
            #expect("\(error)".contains("names 'p7'"), "\(error)")
        }
    }

    @Test func namesMayEndInABlank() throws {
        let folder = try TemporaryFolder("init")
        for name in ["a ", " b", "c", "d"] { try write(name, values: [0, 1], in: folder) }
        #expect(try check(scaffold(folder), folder).splits.map(\.images).reduce(0, +) == 4)
        try folder.write(
            "classes: [a, b]\nsplits:\n  few: {images: images, labels: labels, list: few.txt}\n", to: "d.yaml")
        try folder.write(" c\t\r\na \n \n", to: "few.txt")
        let index = try FolderDataset.open(description: folder("d.yaml"), root: "", in: DatasetTree())
        #expect(index.splits[0].samples.map(\.name) == ["a ", "c"])
    }
}
