import Basics
import Imaging
import Testing

@testable import Datasets

@Suite struct SubmissionTests {
    private func sample(_ path: String) -> SampleFiles {
        SampleFiles(id: 0, name: "aachen/aachen_000000_000019", imagePath: path, labelPath: nil)
    }

    @Test func filesAreNamedAfterTheirImages() {
        let submission = Submission.ade20k
        func name(_ path: String) -> String { submission.fileName(of: sample(path)) }
        #expect(name("/data/testing/ADE_test_00000001.jpg") == "ADE_test_00000001.png")
        #expect(
            name("leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png")
                == "berlin_000000_000019_leftImg8bit.png")
        #expect(name("a.b.jpeg") == "a.b.png")
        #expect(name(".hidden") == ".hidden.png" && name("plain") == "plain.png")
    }

    @Test func classesBecomeTheServersValues() throws {
        let map = labels(19, 8) { x, _ in UInt8(x) }
        func written(_ submission: Submission) throws -> [UInt8] {
            let png = try PNG.decodeLabels(SharedBytes(submission.encode(map)), name: "written")
            #expect(png.width == 19 && png.height == 8)
            return (0..<19).map { png[$0, 7] }
        }
        // Road is 7, bicycle 33; the ids between that are not evaluated are skipped.
        let ids: [UInt8] = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
        #expect(try written(.cityscapes) == ids)
        #expect(try written(.ade20k) == Array(1...19))
        #expect(throws: UserError.self) { try Submission(values: [0, 1]).encode(map) }
    }
}
