import Contrast
import Tensors
import Testing

@testable import ComputeStage

@Suite struct EmbeddingGridTests {
    /// Predictions decide which anchors are hard: the class of the resized scores, not the resized class, with the
    /// network's own alignment. Class 1's scores are chosen so that each mistake gives another answer.
    @Test(arguments: [(false, [0, 1, 0, 0]), (true, [1, 0, 0, 1])] as [(Bool, [UInt8])])
    func predictionsAreOfTheResizedScores(alignCorners: Bool, expected: [UInt8]) throws {
        let one: [Float] = [1, -1, -1, -1, -1, -1, -1, 10, -1, -1, -1, -1, -1, -1, -1, 1]
        let scores = try Tensor([Float](repeating: 0, count: 16) + one, shape: [1, 2, 4, 4])
        let grid = try EmbeddingGrid(
            embedding: Tensor([1, 1, 1, 1] as [Float], shape: [1, 1, 2, 2]), scores: scores, alignCorners: alignCorners,
            labels: LabelGrid(images: 1, height: 4, width: 4, values: [UInt8](repeating: 0, count: 16)))
        #expect(grid.predictions == expected)
    }
}
