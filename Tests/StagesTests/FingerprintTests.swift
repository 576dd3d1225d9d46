import ComputeStage
import Contrast
import EvaluatorStage
import LoaderStage
import MinerStage
import StageKit
import Testing

/// What keeps a host whose arithmetic differs from working for a run.
@Suite struct FingerprintTests {
    /// The product on this processor but for one bit of each call's last similarity.
    private struct OffByABit: SimilarityProduct {
        private let product = VectorProduct()
        var versions: [String: String] { product.versions }
        func tile(anchors: Int) -> Int { product.tile(anchors: anchors) }

        func compute(
            anchors: UnsafePointer<Float>, count: Int, dimension: Int, rows: UnsafePointer<UnsafePointer<Float>>,
            rowCount: Int, into result: UnsafeMutablePointer<Float>, stride: Int
        ) {
            product.compute(
                anchors: anchors, count: count, dimension: dimension, rows: rows, rowCount: rowCount, into: result,
                stride: stride)
            result[rowCount - 1] = result[rowCount - 1].nextUp
        }
    }

    @Test func oneBitOfOneSimilarityIsAnotherMinersFingerprint() throws {
        #expect(try MinerStage.fingerprint(product: OffByABit()) != MinerStage.fingerprint())
    }

    @Test func eachKindsFingerprintIsOfACalculation() throws {
        let ofNothing = Fingerprint.compute { _ in }.hash
        let all = [
            try LoaderStage.fingerprint(), try ComputeStage.fingerprint(), try MinerStage.fingerprint(),
            try EvaluatorFingerprint.compute(),
        ].map(\.hash)
        #expect(!all.contains(ofNothing))
        #expect(Set(all).count == all.count)
    }
}
