import Basics
import Contrast
import Models
import StageKit
import Tensors
import Wire

/// One image of a mini-batch.
struct Sample {
    /// Index in the split's list.
    let image: ImageID
    /// uint8 `[H, W, 3]`, RGB.
    let pixels: SharedBytes
    /// uint8 `[H, W]`, 255 = ignore.
    let labels: SharedBytes
}

extension Sample {
    /// What a loader made.
    ///
    /// - Throws: `UserError` that names the loader, where its result has not the size that the recipe asks for or a label
    ///   that is none.
    init(_ result: TicketResult, of image: ImageID, height: Int, width: Int, classes: Int) throws {
        self.image = image
        pixels = try result.tensor("image", .uint8, [height, width, 3])
        labels = try result.tensor("label", .uint8, [height, width])
        if let bad = labels.withUnsafeBytes({ $0.first { $0 != 255 && Int($0) >= classes } }) {
            throw UserError(
                "\(result.worker) answered ticket \(result.id) with the label \(bad); allowed are 0 to \(classes - 1), and 255"
            )
        }
    }

    /// What stands in the place of an image that nobody could read: padding, all ignored.
    ///
    /// - Parameter padding: red, green and blue.
    static func ignored(_ image: ImageID, padding: [UInt8], height: Int, width: Int) -> Sample {
        let pixels = SharedBytes(count: height * width * 3) { target in
            for at in target.indices { target[at] = padding[at % 3] }
        }
        return Sample(
            image: image, pixels: pixels, labels: SharedBytes([UInt8](repeating: 255, count: height * width)))
    }
}

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

    /// Puts samples of one size together.
    init(_ samples: [Sample], height: Int, width: Int) throws {
        let area = height * width
        var labels = [UInt8](repeating: 0, count: samples.count * area)
        pixels = SharedBytes(count: samples.count * area * 3) { target in
            for (row, sample) in samples.enumerated() {
                sample.pixels.withUnsafeBytes {
                    UnsafeMutableRawBufferPointer(rebasing: target[row * area * 3..<(row + 1) * area * 3])
                        .copyMemory(from: $0)
                }
                sample.labels.withUnsafeBytes { source in
                    labels.withUnsafeMutableBytes {
                        UnsafeMutableRawBufferPointer(rebasing: $0[row * area..<(row + 1) * area])
                            .copyMemory(from: source)
                    }
                }
            }
        }
        labelled = labels.reduce(0) { $0 + ($1 == 255 ? 0 : 1) }
        images = samples.map(\.image)
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
