import Basics
import Contrast
import Models
import StageKit
import Tensors
import Wire

/// A mini-batch as the loaders' bytes: images and labels side by side, in ticket order.
struct Batch {
    /// Index of each image in the split's list.
    let images: [ImageID]
    /// uint8 `[B, H, W, 3]`, RGB.
    let pixels: SharedBytes
    /// `[B, H, W]`, 255 = ignore.
    let labels: LabelGrid
    /// Pixels with a class, over the mini-batch of all ranks: the cross-entropy's normaliser. At first those of this
    /// part alone.
    var labelled: Int

    /// Puts samples together.
    ///
    /// - Throws: `UserError` where a loader's result has not the size that the recipe asks for, or a label that is none.
    init(_ samples: [(image: Int, result: TicketResult)], height: Int, width: Int, classes: Int = 255) throws {
        let area = height * width
        var labels = [UInt8](repeating: 0, count: samples.count * area)
        pixels = try SharedBytes(count: samples.count * area * 3) { target in
            for (row, sample) in samples.enumerated() {
                let image = try sample.result.tensor("image", .uint8, [height, width, 3])
                image.withUnsafeBytes {
                    UnsafeMutableRawBufferPointer(rebasing: target[row * area * 3..<(row + 1) * area * 3])
                        .copyMemory(from: $0)
                }
                let label = try sample.result.tensor("label", .uint8, [height, width])
                if let bad = label.withUnsafeBytes({ $0.first { $0 != 255 && Int($0) >= classes } }) {
                    throw UserError(
                        "\(sample.result.worker) answered ticket \(sample.result.id) with the label \(bad); allowed are 0 to \(classes - 1), and 255"
                    )
                }
                label.withUnsafeBytes { source in
                    labels.withUnsafeMutableBytes {
                        UnsafeMutableRawBufferPointer(rebasing: $0[row * area..<(row + 1) * area])
                            .copyMemory(from: source)
                    }
                }
            }
        }
        labelled = labels.reduce(0) { $0 + ($1 == 255 ? 0 : 1) }
        images = samples.map { ImageID($0.image) }
        self.labels = try LabelGrid(images: samples.count, height: height, width: width, values: labels)
    }

    /// SHA-256 of the pixels, then the labels.
    var digest: String {
        var hash = SHA256()
        hash.update(pixels)
        labels.values.withUnsafeBytes { hash.update($0) }
        return hash.hex()
    }

    /// The images as the network wants them: float32 `[B, 3, H, W]`, normalised, channels last in memory.
    ///
    /// They travel to the device as bytes, a quarter of the floats.
    func input(_ normalization: InputNormalization, device: Device) throws -> Tensor {
        let bytes = try Tensor(adopting: pixels, dtype: .uint8, shape: [images.count, labels.height, labels.width, 3])
        return try normalization(bytes.to(device))
    }

    /// The labels as the loss wants them: int64 `[B, H, W]`.
    func targets(device: Device) throws -> Tensor {
        try Tensor(
            copying: SharedBytes(labels.values), dtype: .uint8, shape: [images.count, labels.height, labels.width]
        )
        .to(device).to(.int64)
    }
}
