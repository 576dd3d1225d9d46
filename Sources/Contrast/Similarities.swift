import COpenBLAS

/// Similarities of some anchors with every candidate, one matrix product per tile of candidates.
///
/// BLAS kernels treat a matrix's edges differently, so a product's last bits depend on the shape it is computed in.
/// Every tile therefore has the same shape, the last one padded with zero rows; tiles are fixed stretches of the
/// canonical order, and OpenBLAS runs on the calling thread alone. So the bits do not depend on the number of threads.
enum Similarities {
    /// Candidates per tile: 1 MiB of embeddings at D = 256, which the L2 cache holds.
    static let tile = 1024
    /// Anchors are padded to a multiple of this, a kernel's register block.
    static let anchorBlock = 8

    /// Floats per anchor of the result.
    static func stride(_ candidates: Int) -> Int { (candidates + tile - 1) / tile * tile }

    static func padded(_ anchors: Int) -> Int { (anchors + anchorBlock - 1) / anchorBlock * anchorBlock }

    /// - Parameters:
    ///   - anchors: `[count, D]`, `count` a multiple of `anchorBlock`.
    ///   - result: `[count, stride(candidates)]`; columns beyond the candidates are 0.
    static func compute(
        anchors: UnsafePointer<Float>, count: Int, dimension: Int, candidates: CandidateSet,
        into result: UnsafeMutablePointer<Float>, threads: Int
    ) {
        let tiles = stride(candidates.count) / tile
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
