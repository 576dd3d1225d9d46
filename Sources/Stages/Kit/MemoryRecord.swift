import Basics
import Foundation
import Wire

/// What compute appends to the log at one step: the keys that enter the memory, without any notion of slots.
///
/// As a log payload: body `{"images":[…],"step":n}`, arrays `pixels` float32 `[P, D]`, `pixelClasses` int32 `[P]`,
/// `regions` float32 `[R, D]`, `regionClasses` int32 `[R]`, `regionImages` int32 `[R]`. Rows are unit vectors.
public struct MemoryRecord: Sendable, Equatable {
    private struct Body: Codable {
        var images: [Int]
        var step: UInt64
    }

    /// The training step, and the record's sequence.
    public var step: UInt64
    /// Image ids of the mini-batch, in its order.
    public var images: [Int]
    /// D.
    public var dimension: Int
    /// The class of each pixel row, in the order in which they enter the queues.
    public var pixelClasses: [Int32]
    /// The class and the image of each region row.
    public var regionClasses: [Int32]
    public var regionImages: [Int32]
    /// `[P + R, D]`, row-major: first the pixels', then the regions'.
    public var rows: [Float]

    /// `[P, D]`
    public var pixelRows: ArraySlice<Float> { rows[..<(pixelClasses.count * dimension)] }
    /// `[R, D]`
    public var regionRows: ArraySlice<Float> { rows[(pixelClasses.count * dimension)...] }

    public init(
        step: UInt64, images: [Int], dimension: Int, pixelClasses: [Int32], regionClasses: [Int32],
        regionImages: [Int32], rows: [Float]
    ) {
        self.step = step
        self.images = images
        self.dimension = dimension
        self.pixelClasses = pixelClasses
        self.regionClasses = regionClasses
        self.regionImages = regionImages
        self.rows = rows
    }

    /// The record as the log carries it.
    ///
    /// - Throws: `WireError.malformed` where the rows do not fill the counts.
    public func encode() throws -> LogPayload {
        let p = pixelClasses.count
        let r = regionClasses.count
        guard dimension > 0, regionImages.count == r, rows.count == (p + r) * dimension else {
            throw WireError.malformed(
                "\(rows.count) numbers and \(regionImages.count) images for \(p) pixels and \(r) regions of "
                    + "dimension \(dimension)")
        }
        return LogPayload(
            body: try Body(images: images, step: step).wireJSON(),
            tensors: [
                try WireTensor(name: "pixels", shape: [p, dimension], floats: Array(pixelRows)),
                try WireTensor(name: "pixelClasses", dtype: .int32, shape: [p], bytes: SharedBytes(pixelClasses)),
                try WireTensor(name: "regions", shape: [r, dimension], floats: Array(regionRows)),
                try WireTensor(name: "regionClasses", dtype: .int32, shape: [r], bytes: SharedBytes(regionClasses)),
                try WireTensor(name: "regionImages", dtype: .int32, shape: [r], bytes: SharedBytes(regionImages)),
            ])
    }

    /// Reads and checks what a peer sent.
    ///
    /// - Parameters:
    ///   - classes: classes are below.
    ///   - dimension: D of the memory.
    ///   - imageCount: image ids are below.
    /// - Throws: `WireError` for missing arrays, shapes that disagree, numbers that are not finite, classes and images
    ///   out of range.
    public init(_ payload: LogPayload, classes: Int, dimension: Int, imageCount: Int) throws {
        guard let body = try? JSONDecoder().decode(Body.self, from: payload.body) else {
            throw WireError.malformed("a memory record's body is not {\"images\":[…],\"step\":n}")
        }
        let pixels = try payload.tensor("pixels")
        let regions = try payload.tensor("regions")
        let p = pixels.shape.first ?? 0
        let r = regions.shape.first ?? 0
        try pixels.expect(.float32, [p, dimension])
        try regions.expect(.float32, [r, dimension])
        func indices(_ name: String, _ count: Int, below limit: Int) throws -> [Int32] {
            let tensor = try payload.tensor(name)
            try tensor.expect(.int32, [count])
            let values = tensor.bytes.array(of: Int32.self)
            if let bad = values.first(where: { $0 < 0 || Int($0) >= limit }) {
                throw WireError.malformed("\(name) contains \(bad); it must be in 0..<\(limit)")
            }
            return values
        }
        let rows = pixels.bytes.array(of: Float.self) + regions.bytes.array(of: Float.self)
        if let bad = rows.firstIndex(where: { !$0.isFinite }) {
            throw WireError.malformed("row \(bad / dimension) of a memory record contains \(rows[bad])")
        }
        if let bad = body.images.first(where: { $0 < 0 || $0 >= imageCount }) {
            throw WireError.malformed("images contains \(bad); it must be in 0..<\(imageCount)")
        }
        self.init(
            step: body.step, images: body.images, dimension: dimension,
            pixelClasses: try indices("pixelClasses", p, below: classes),
            regionClasses: try indices("regionClasses", r, below: classes),
            regionImages: try indices("regionImages", r, below: imageCount), rows: rows)
    }
}

extension MemoryRecord {
    /// The record of a whole mini-batch from those of its ranks, in their order: what one rank with all their images
    /// would have appended.
    ///
    /// - Throws: `WireError.malformed` where they are not of one step and dimension.
    public init(joining parts: [MemoryRecord]) throws {
        guard let first = parts.first, parts.allSatisfy({ $0.step == first.step && $0.dimension == first.dimension })
        else { throw WireError.malformed("the ranks' records are not of one step and dimension") }
        self.init(
            step: first.step, images: parts.flatMap(\.images), dimension: first.dimension,
            pixelClasses: parts.flatMap(\.pixelClasses), regionClasses: parts.flatMap(\.regionClasses),
            regionImages: parts.flatMap(\.regionImages),
            rows: parts.flatMap(\.pixelRows) + parts.flatMap(\.regionRows))
    }
}

extension WireTensor {
    /// - Throws: `WireError.malformed` where type or shape are others.
    public func expect(_ dtype: WireDType, _ shape: [Int]) throws {
        guard self.dtype == dtype, self.shape == shape else {
            throw WireError.malformed(
                "tensor '\(name)' is \(self.dtype.rawValue) \(self.shape); expected \(dtype.rawValue) \(shape)")
        }
    }
}
