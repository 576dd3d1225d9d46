import Basics
import Configuration
import Imaging
import Testing

@testable import Datasets

@Suite struct FolderDatasetTests {
    private static let description = """
        classes:
          - {name: road, color: [1, 2, 3]}
          - house
        ignore: [255, 9]
        splits:
          train: {images: img, labels: lab}
          wild:
            images: img
        """

    private func scratch(_ text: String = description) throws -> Scratch {
        let scratch = try Scratch()
        try scratch.file("d.yaml", Array(text.utf8))
        try scratch.file("img/1.png", PNG.encode(image(4, 2)))
        try scratch.file("lab/1.png", PNG.encode(labels(4, 2) { x, _ in [0, 1, 9, 255][x] }))
        return scratch
    }

    private func open(_ scratch: Scratch, root: String = "") throws -> DatasetIndex {
        var settings = DatasetSettings()
        settings.kind = .folder
        settings.root = root
        settings.description = scratch.path + "/d.yaml"
        return try Dataset.open(settings)
    }

    @Test func describedFoldersAreReadInTheirOrder() throws {
        let scratch = try scratch()
        for root in ["", scratch.path] {
            let index = try open(scratch, root: root)
            #expect(index.classes[0] == ClassInfo(name: "road", color: RGB8(1, 2, 3)))
            #expect(index.classes[1] == ClassInfo(name: "house", color: Palette.generated(2)[1]))
            #expect(index.splits.map(\.name) == ["train", "wild"])
            let sample = try Dataset.readSample(index.samples(of: "train")[0], mapping: index.labelMapping)
            #expect(sample.label == labels(4, 2) { x, _ in [0, 1, 255, 255][x] })
            #expect(try index.samples(of: "wild")[0].labelPath == nil)
        }
    }

    @Test func imagesAndLabelMapsInOneFolderAreRefused() throws {
        let scratch = try scratch(Self.description.replacingOccurrences(of: "labels: lab", with: "labels: ./img"))
        #expect(message { _ = try open(scratch) }.hasSuffix("move the label maps to a folder of their own"))
    }

    @Test func digestTellsFilesAndMeaningsApartAndNotPlaces() throws {
        let first = try open(scratch()).digest(of: "train")
        #expect(try open(scratch()).digest(of: "train") == first, "another folder of the same files")
        let renumbered = try scratch(Self.description.replacingOccurrences(of: "[255, 9]", with: "[255]"))
        #expect(try open(renumbered).digest(of: "train") != first)
        let renamed = try scratch()
        try renamed.file("img/0.png", renamed.bytes("img/1.png"))
        try renamed.file("lab/0.png", renamed.bytes("lab/1.png"))
        try renamed.remove("img/1.png")
        try renamed.remove("lab/1.png")
        #expect(try open(renamed).digest(of: "train") != first)
    }

    @Test func labelsMayBeRenumbered() throws {
        let text = Self.description + "\nlabels: {7: house, 21: road, 3: 1, 0: ignore}\n"
        let mapping = try FolderDescription(text: text, path: "d").mapping
        #expect(mapping[7] == 1 && mapping[21] == 0 && mapping[3] == 1 && mapping[0] == 255 && mapping[9] == 255)
        #expect(mapping[1] == nil)
        #expect(mapping.allowed == "3, 7, 21 (classes), 0, 9, 255 (ignored)")
    }

    /// What is ignored and what is a class must not both be said of a value; only the 255 that nobody wrote yields.
    @Test func ignoredValuesThatAreClassesAreRefused() throws {
        func mapping(_ ignore: String) throws -> LabelMapping {
            try FolderDescription(
                text: "classes: [a, b]\nsplits: {t: {images: i}}\nlabels: {5: a, 255: b}\n\(ignore)", path: "d.yaml"
            ).mapping
        }
        #expect(
            throws: UserError("d.yaml:4: ignore: 5 is class 'a' under 'labels'; write '5: ignore' there")
        ) { try mapping("ignore: [5, 7]") }
        #expect(try mapping("")[255] == 1)
        #expect(try mapping("ignore: 7")[255] == 1)
    }

    /// Classes that are named by the files' values beside meanings by place, as `picoflow init` writes them.
    @Test func labelsWithTwoMeaningsAreRefused() throws {
        func mapping(_ labels: String) throws -> LabelMapping {
            try FolderDescription(
                text: "classes: ['1', '2', c]\nsplits: {t: {images: i}}\nlabels: {\(labels)}", path: "d.yaml"
            ).mapping
        }
        #expect(
            throws: UserError(
                "d.yaml:3: labels: '1' is the name of the class at place 0 and the place of class '2'; give the classes "
                    + "names that are no numbers")
        ) { try mapping("1: 0, 2: 1, 3: 2") }
        let clear = try mapping("5: 0, 6: c")
        #expect(clear[5] == 0 && clear[6] == 2)
    }

    @Test(arguments: [
        (
            "clases: [a]\nsplits: {t: {images: i}}",
            "d.yaml:1: unknown key 'clases' (known: classes, ignore, labels, splits); did you mean 'classes'?"
        ),
        (
            "classes: [a]\nsplits:\n  t: {images: i, lables: l}",
            "d.yaml:3: unknown key 'lables' (known: images, labels, list); did you mean 'labels'?"
        ),
        ("splits: {t: {images: i}}", "d.yaml:1: key 'classes' is missing"),
        ("classes: [a]", "d.yaml:1: key 'splits' is missing"),
        ("classes: 3\nsplits: {t: {images: i}}", "d.yaml:1: classes: a list is expected"),
        ("classes: []\nsplits: {t: {images: i}}", "d.yaml:1: classes: 1 to 254 are possible, not 0"),
        ("classes:\n  - a\n  - b\n  - a\nsplits: {t: {images: i}}", "d.yaml:4: class name 'a' is taken"),
        (
            "classes: [{name: a, color: [1, 2]}]\nsplits: {t: {images: i}}",
            "d.yaml:1: color: [red, green, blue] is expected"
        ),
        (
            "classes: [{name: a, color: [1, 2, 300]}]\nsplits: {t: {images: i}}",
            "d.yaml:1: color: '300' is not a number from 0 to 255"
        ),
        (
            "classes: [a]\nignore: many\nsplits: {t: {images: i}}",
            "d.yaml:2: ignore: 'many' is not a number from 0 to 255"
        ),
        (
            "classes: [a]\nlabels:\n  4: b\nsplits: {t: {images: i}}",
            "d.yaml:3: labels: there is no class 'b'; did you mean 'a'?"
        ),
        ("classes: [a]\nsplits: {}", "d.yaml:2: splits: at least one is expected"),
        ("classes: [a]\nsplits: {t: {labels: l}}", "d.yaml:2: key 'images' is missing"),
        ("", "d.yaml: is empty; 'classes' and 'splits' are expected"),
    ])
    func mistakesAreNamedWithTheirLine(text: String, expected: String) {
        #expect(message { _ = try FolderDescription(text: text, path: "d.yaml") } == expected)
    }

    @Test func anIgnoredClassNumberIsAMistake() {
        let text = "classes: [a, b]\nignore: 1\nsplits: {t: {images: i}}"
        #expect(
            message { _ = try FolderDescription(text: text, path: "d.yaml") }.hasPrefix(
                "d.yaml:2: ignore: 1 is the number of class 'b'"))
    }

    @Test(arguments: ["a: [", "a: b: c", "- \t- x", "a: 1\na: 2", "{{{{", "\u{1}", "&a [*a]"])
    func brokenYAMLIsAOneLineError(text: String) {
        let text = message { _ = try FolderDescription(text: text, path: "d.yaml") }
        #expect(text.hasPrefix("d.yaml:") && !text.contains("\n"), "\(text)")
    }

    @Test func missingFoldersAndDescriptionsAreNamed() throws {
        let scratch = try scratch()
        #expect(
            message { _ = try open(scratch, root: scratch.path + "/x") }
                == "\(scratch.path)/x: no such folder (dataset.root)")
        try scratch.remove("lab")
        #expect(
            message { _ = try open(scratch) }
                == "\(scratch.path)/d.yaml:6: split 'train': no such folder: \(scratch.path)/lab")
        try scratch.folder("lab")
        try scratch.remove("img/1.png")
        #expect(
            message { _ = try open(scratch) }.contains("d.yaml:6: split 'train': \(scratch.path)/img holds no .jpg"))
        try scratch.remove("d.yaml")
        #expect(
            message { _ = try open(scratch) }.hasPrefix("\(scratch.path)/d.yaml: no such file (dataset.description)"))
        var settings = DatasetSettings()
        settings.kind = .folder
        #expect(message { _ = try Dataset.open(settings) }.hasPrefix("dataset.description is not set"))
    }
}
