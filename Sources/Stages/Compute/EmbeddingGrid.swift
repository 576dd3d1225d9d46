import Basics
import Configuration
import Contrast
import Tensors

/// What pixel contrast needs of one forward pass: every feature pixel's embedding, label and prediction.
struct EmbeddingGrid {
    /// Labels at the embedding's resolution, `[B, h, w]`, each of the pixel nearest to its place.
    let labels: LabelGrid
    /// The class that the network says, `[B·h·w]`, from the training-mode forward before the update.
    let predictions: [UInt8]
    /// Unit vectors, `[B·h·w, D]` on the CPU, without their history.
    private let rows: Tensor
    let dimension: Int
    /// The place of the first of these images in the mini-batch of all ranks.
    let firstImage: Int

    /// The numbers of these pixels in the mini-batch of all ranks.
    var pixels: Range<Int> {
        let first = firstImage * labels.pixelsPerImage
        return first..<first + labels.values.count
    }

    /// - Parameters:
    ///   - embedding: `[B, D, h, w]`, unit length along D.
    ///   - scores: `[B, C, h', w']`; resized to the grid where the sizes differ.
    ///   - firstImage: the place of the first of these images in the mini-batch of all ranks.
    ///   - extent: of the images that both are of, as the network pads them; the labels' own where nil.
    init(
        embedding: Tensor, scores: Tensor, alignCorners: Bool, labels full: LabelGrid, firstImage: Int = 0,
        extent: Size2D? = nil
    ) throws {
        self.firstImage = firstImage
        let height = embedding.size(2)
        let width = embedding.size(3)
        dimension = embedding.size(1)
        labels = try nearestLabelGrid(
            full, height: height, width: width, extent: extent.map { ($0.height, $0.width) },
            alignCorners: alignCorners)
        (predictions, rows) = try withoutGradient {
            var scores = try scores.detach()
            if scores.size(2) != height || scores.size(3) != width {
                scores = try scores.interpolate(Size2D(height, width), .bilinear(alignCorners: alignCorners))
            }
            let classes: [UInt8] = try scores.argmax(dim: 1).to(.uint8).array()
            // Rows already, as they lie in memory: nothing is copied unless it comes off a device.
            let rows = try embedding.detach().permute([0, 2, 3, 1]).to(.float32).to(Device.cpu).contiguous()
            return (classes, rows)
        }
    }

    /// The vectors of some pixels of this grid, counted from its first, `[pixels, D]`.
    func rows(at pixels: [Int]) throws -> [Float] {
        try rows.withElements { (source: UnsafeBufferPointer<Float>) in
            [Float](unsafeUninitializedCapacity: pixels.count * dimension) { target, filled in
                for (row, pixel) in pixels.enumerated() {
                    let from = UnsafeBufferPointer(rebasing: source[pixel * dimension..<(pixel + 1) * dimension])
                    _ = UnsafeMutableBufferPointer(rebasing: target[row * dimension..<(row + 1) * dimension])
                        .initialize(from: from)
                }
                filled = pixels.count * dimension
            }
        }
    }

    /// What a step adds to the memory.
    ///
    /// - Parameter images: one per image of the grid.
    func record(of images: [ImageID], settings: ContrastSettings, seed: UInt64, step: UInt64) throws -> LogicalRecord {
        try rows.withElements {
            try LogicalRecord(
                embeddings: $0, dimension: dimension, labels: labels, imageIDs: images, settings: settings, seed: seed,
                step: step, firstImage: firstImage)
        }
    }
}
