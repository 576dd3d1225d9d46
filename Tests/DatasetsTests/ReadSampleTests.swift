import Basics
import Imaging
import Testing

@testable import Datasets

@Suite struct ReadSampleTests {
    private func failure(_ change: (Scratch) throws -> Void) throws -> (text: String, root: String) {
        let scratch = try Scratch.camvid()
        let files = try Dataset.open(scratch.settings).samples(of: "train")[0]
        try change(scratch)
        let text = message { _ = try Dataset.readSample(files, mapping: CamVid.labelMapping) }
        #expect(!text.contains("\n"))
        return (text, scratch.path)
    }

    @Test func missingFilesAreNamed() throws {
        let image = try failure { try $0.remove("train/a.jpg") }
        #expect(image.text == "cannot open \(image.root)/train/a.jpg: No such file or directory")
        let label = try failure { try $0.remove("trainannot/a.png") }
        #expect(label.text == "cannot open \(label.root)/trainannot/a.png: No such file or directory")
    }

    @Test func aCutImageOrLabelMapIsNamed() throws {
        let image = try failure { try $0.file("train/a.jpg", Array($0.bytes("train/a.jpg").dropLast(20))) }
        #expect(image.text.hasPrefix("\(image.root)/train/a.jpg: corrupt or truncated JPEG"))
        let label = try failure { try $0.file("trainannot/a.png", Array($0.bytes("trainannot/a.png").dropLast(20))) }
        #expect(label.text.hasPrefix("\(label.root)/trainannot/a.png: corrupt or truncated PNG"))
    }

    @Test func aLabelMapOfAnotherSizeIsAnError() throws {
        let other = try failure { try $0.file("trainannot/a.png", PNG.encode(labels(6, 8) { _, _ in 0 })) }
        #expect(
            other.text
                == "\(other.root)/trainannot/a.png: the label map is 6x8 but its image \(other.root)/train/a.jpg is 8x6"
        )
    }

    @Test func aValueOutsideTheClassesIsNamedWithItsFirstPlace() throws {
        let wrong = try failure {
            try $0.file("trainannot/a.png", PNG.encode(labels(8, 6) { x, y in y >= 2 && x >= 5 ? 200 : 1 }))
        }
        #expect(
            wrong.text == "\(wrong.root)/trainannot/a.png: label value 200 at column 5, row 2 is outside the classes; "
                + "allowed are 0-10 (classes), 11 (ignored)")
    }

    @Test func aSampleWithoutLabelsCannotBeLearned() {
        let files = SampleFiles(id: 0, name: "x", imagePath: "x.jpg", labelPath: nil)
        #expect(
            message { _ = try Dataset.readSample(files, mapping: CamVid.labelMapping) }.hasPrefix(
                "x.jpg: has no label map"))
    }
}
