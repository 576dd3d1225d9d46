import Basics

/// The pixels of one class in one image: those that enter the memory's queue, or all of them.
public struct ImageClassPixels: Sendable, Equatable {
    /// Position of the image in the grid.
    public let image: Int
    public let classID: ClassID
    /// Flat pixel indices into `[B, h, w]`, ascending. Indices, never ranks within the class.
    public let pixels: [Int]
}

/// Draws the pixels that enter the pixel queue: `min(V, pixels)` per class and image, at random.
public enum PixelDraw {
    /// - Parameters:
    ///   - perImage: V.
    ///   - firstImage: position of the first of these images in the mini-batch of all ranks; it enters the draw's keys only.
    /// - Returns: images ascending, classes ascending within each.
    public static func draw(
        labels: LabelGrid, perImage: Int, seed: UInt64, step: UInt64, firstImage: Int = 0
    ) -> [ImageClassPixels] {
        let offset = firstImage * labels.pixelsPerImage
        return pixelsByImageAndClass(labels).compactMap { group in
            var smallest = SmallestKeys(limit: perImage)
            for pixel in group.pixels {
                var keys = KeyedRandom(
                    seed: seed, purpose: "memory-pixel", step: step, index: UInt64(offset + pixel))
                smallest.offer(KeyedPixel(key: keys.next(), pixel: pixel))
            }
            guard !smallest.heap.isEmpty else { return nil }
            return ImageClassPixels(
                image: group.image, classID: group.classID, pixels: smallest.heap.map(\.pixel).sorted())
        }
    }
}

/// All pixels of each class in each image; images ascending, classes ascending within each, the ignored ones left out.
public func pixelsByImageAndClass(_ labels: LabelGrid) -> [ImageClassPixels] {
    var groups: [ImageClassPixels] = []
    for image in 0..<labels.images {
        var byClass = [[Int]](repeating: [], count: 255)
        let start = image * labels.pixelsPerImage
        for pixel in start..<start + labels.pixelsPerImage where labels.values[pixel] != ClassID.ignore.rawValue {
            byClass[Int(labels.values[pixel])].append(pixel)
        }
        for c in 0..<255 where !byClass[c].isEmpty {
            groups.append(ImageClassPixels(image: image, classID: ClassID(c), pixels: byClass[c]))
        }
    }
    return groups
}

/// The region embedding: the L2-normalised mean of a class's embeddings in one image's augmented crop.
public enum RegionMeans {
    /// Sums run over ascending pixels in Float64.
    ///
    /// - Parameters:
    ///   - embeddings: `[B * h * w, D]`, row-major.
    ///   - pixels: at least one row to average.
    /// - Returns: D numbers of unit length, or nil where the mean has no direction (opposite vectors that cancel).
    public static func mean(
        of pixels: [Int], embeddings: UnsafeBufferPointer<Float>, dimension: Int
    ) -> [Float]? {
        var sum = [Double](repeating: 0, count: dimension)
        sum.withUnsafeMutableBufferPointer { sum in
            for pixel in pixels {
                let row = UnsafeBufferPointer(rebasing: embeddings[pixel * dimension..<(pixel + 1) * dimension])
                for i in 0..<dimension { sum[i] += Double(row[i]) }
            }
        }
        let length = sum.reduce(0) { $0 + $1 * $1 }.squareRoot()
        // Relative to the number of unit vectors: below this the direction is rounding noise. A NaN fails it too.
        guard length > 1e-6 * Double(max(pixels.count, 1)) else { return nil }
        return sum.map { Float($0 / length) }
    }
}
