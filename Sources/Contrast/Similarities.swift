import CVectors

/// The miner's one large calculation: similarities of some anchors with all candidates.
///
/// What else a miner does is small beside it, so this is what another kind of processor would take over: a GPU miner is an
/// executable that hands its own product to `MinerStage.run`. A similarity's bits must depend on its anchor and its row alone,
/// not on the others of a call; another product's last bits may differ, so `versions` go into the miner's fingerprint.
public protocol SimilarityProduct: Sendable {
    /// What two miners must share to give equal bits.
    var versions: [String: String] { get }

    /// Candidates that are worth one call with so many anchors, a multiple of 32; threads work on tiles of their own.
    func tile(anchors: Int) -> Int

    /// - Parameters:
    ///   - anchors: `[count, D]`.
    ///   - rows: `rowCount` candidates of D numbers each, at most a tile.
    ///   - result: `[count, stride]`, room for whole rows of it; columns beyond `rowCount` may be overwritten, up to a
    ///     multiple of 32.
    func compute(
        anchors: UnsafePointer<Float>, count: Int, dimension: Int, rows: UnsafePointer<UnsafePointer<Float>>,
        rowCount: Int, into result: UnsafeMutablePointer<Float>, stride: Int)
}

/// The product on this processor: every similarity is one sum in the order of the columns, multiplied and added at once, so
/// that all processors give the same bits.
public struct VectorProduct: SimilarityProduct {
    public init() {}

    public var versions: [String: String] { [:] }

    /// What all anchors have to do with a tile stays in the L2 cache: 1 MiB of embeddings at D = 256 for fifty anchors, and for
    /// more of them less, as there are more similarities.
    public func tile(anchors: Int) -> Int { min(1024, max(256, 65_536 / max(anchors, 1) / 32 * 32)) }

    public func compute(
        anchors: UnsafePointer<Float>, count: Int, dimension: Int, rows: UnsafePointer<UnsafePointer<Float>>,
        rowCount: Int, into result: UnsafeMutablePointer<Float>, stride: Int
    ) {
        withUnsafeTemporaryAllocation(
            byteCount: Int(CV_PRODUCT_ROWS) * dimension * MemoryLayout<Float>.stride, alignment: 64
        ) { work in
            cv_products(
                anchors, count, rows, rowCount, dimension, work.baseAddress!.assumingMemoryBound(to: Float.self),
                result, stride)
        }
    }
}
