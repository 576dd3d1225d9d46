import Models
import Tensors

/// A window of fixed size that slides over an image which exceeds it, so that a network sees what it was trained on: crops.
///
/// As mmsegmentation's `slide_inference`: windows are two thirds of their size apart, the last of a row or column is moved
/// back to end with the image, and where windows overlap the mean of their scores counts. A side that is shorter than
/// the window's is taken whole.
struct SlidingWindow: Equatable {
    /// In pixels of the scaled image.
    let size: Size2D

    func isExceeded(by image: Size2D) -> Bool { image.height > size.height || image.width > size.width }

    /// Where windows of one side begin: ascending, together they cover `length`.
    static func starts(covering length: Int, window: Int) -> [Int] {
        guard length > window else { return [0] }
        // 341 for 512 and 513 for 769, as published configurations have it.
        let stride = max(1, (2 * window + 1) / 3)
        let steps = (length - window + stride - 1) / stride
        return (0...steps).map { min($0 * stride, length - window) }
    }

    /// Scores of an image at its own size, `[1, 3, H, W] -> [1, classes, H, W]`.
    ///
    /// - Parameter score: the scores of a window, at the window's size. It is called for one window at a time, in reading
    ///   order.
    func scores(of image: Tensor, _ score: (_ window: Tensor) throws -> Tensor) throws -> Tensor {
        let (height, width) = (image.size(2), image.size(3))
        let rows = Self.starts(covering: height, window: size.height)
        let columns = Self.starts(covering: width, window: size.width)
        let part = Size2D(min(size.height, height), min(size.width, width))
        let counts = try Tensor.zeros([1, 1, height, width], dtype: image.dtype, device: image.device)
        var sum: Tensor?
        for row in rows {
            for column in columns {
                func seen(of tensor: Tensor) throws -> Tensor {
                    try tensor.narrow(dim: 2, start: row, length: part.height)
                        .narrow(dim: 3, start: column, length: part.width)
                }
                let scores = try score(seen(of: image))  // [1, classes, part]
                if sum == nil {
                    sum = try Tensor.zeros(
                        [1, scores.size(1), height, width], dtype: scores.dtype, device: image.device)
                }
                try seen(of: sum!).add_(scores)
                try seen(of: counts).add_(1)
            }
        }
        return try sum!.div_(counts)
    }
}
