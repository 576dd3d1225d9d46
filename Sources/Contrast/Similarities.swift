import COpenBLAS

/// The miner's one large calculation: similarities of some anchors with every candidate.
///
/// What else a miner does is small beside it, so this is what another kind of processor would take over: a GPU miner is an
/// executable that hands its own product to `MinerStage.run`. Equal arguments must give equal bits; another product's
/// last bits may differ, so `versions` go into the miner's fingerprint.
public protocol SimilarityProduct: Sendable {
    /// Libraries and their versions and kernels: what two miners must share to give equal bits.
    var versions: [String: String] { get }

    /// - Parameters:
    ///   - anchors: `[count, D]`, `count` a multiple of `Similarities.anchorBlock`.
    ///   - result: `[count, Similarities.stride(candidates.count)]`; columns beyond the candidates are written too.
    func compute(
        anchors: UnsafePointer<Float>, count: Int, dimension: Int, candidates: CandidateSet,
        into result: UnsafeMutablePointer<Float>, threads: Int)
}

/// The shape that similarities are computed in.
public enum Similarities {
    /// Candidates per tile: 1 MiB of embeddings at D = 256, which the L2 cache holds.
    public static let tile = 1024
    /// Anchors are padded to a multiple of this, a kernel's register block.
    public static let anchorBlock = 8

    /// Floats per anchor of the result.
    public static func stride(_ candidates: Int) -> Int { (candidates + tile - 1) / tile * tile }

    static func padded(_ anchors: Int) -> Int { (anchors + anchorBlock - 1) / anchorBlock * anchorBlock }
}

/// OpenBLAS's product, one per tile of candidates.
///
/// BLAS kernels treat a matrix's edges differently, so a product's last bits depend on the shape it is computed in.
/// Every tile therefore has the same shape, the last one padded with zero rows; tiles are fixed stretches of the
/// canonical order, and OpenBLAS runs on the calling thread alone. So the bits do not depend on the number of threads.
public struct BLASProduct: SimilarityProduct {
    public init() {}

    public var versions: [String: String] { ["openblas": openBLASDescription()] }

    public func compute(
        anchors: UnsafePointer<Float>, count: Int, dimension: Int, candidates: CandidateSet,
        into result: UnsafeMutablePointer<Float>, threads: Int
    ) {
        let tile = Similarities.tile
        let tiles = Similarities.stride(candidates.count) / tile
        let shared = Shared((anchors: anchors, result: result))
        inParallel(tiles, threads: threads) { range in
            let padding = Scratch<Float>()
            for index in range {
                let start = index * tile
                let filled = min(tile, candidates.count - start)
                var rows = candidates.rows[start]
                if filled < tile || !candidates.isContiguous(start..<start + filled) {
                    let copy = padding.take(tile * dimension)
                    for row in 0..<filled {
                        (copy + row * dimension).update(from: candidates.rows[start + row], count: dimension)
                    }
                    (copy + filled * dimension).update(repeating: 0, count: (tile - filled) * dimension)
                    rows = UnsafePointer(copy)
                }
                cblas_sgemm(
                    CblasRowMajor, CblasNoTrans, CblasTrans, blasint(count), blasint(tile), blasint(dimension), 1,
                    shared.value.anchors, blasint(dimension), rows, blasint(dimension), 0,
                    shared.value.result + start, blasint(tiles * tile))
            }
        }
    }
}

/// OpenBLAS's version and the kernels it chose for this processor: what two miners must share to give equal bits.
public func openBLASDescription() -> String {
    "\(String(cString: openblas_get_config())) \(String(cString: openblas_get_corename()))"
}
