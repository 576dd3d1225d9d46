import Basics
import Configuration

/// What one training step adds to the memory: keys without any notion of slots.
///
/// Compute appends one per step; the bank's ledger turns it into slot writes.
public struct LogicalRecord: Sendable, Equatable {
    public struct Region: Sendable, Equatable, Hashable {
        public let classID: ClassID
        public let image: ImageID

        public init(classID: ClassID, image: ImageID) {
            self.classID = classID
            self.image = image
        }
    }

    /// D.
    public let dimension: Int
    /// The class of each pixel row, in the order in which they enter the queues.
    public let pixels: [ClassID]
    /// The class and image of each region row.
    public let regions: [Region]
    /// `[pixels + regions, D]`, row-major, unit rows: first the pixels', then the regions'.
    public let rows: [Float]

    /// - Throws: `ContrastError.shape` where the rows do not fill the counts, `.notUnit` for a row that is no unit vector.
    public init(dimension: Int, pixels: [ClassID], regions: [Region], rows: [Float]) throws {
        guard dimension > 0, rows.count == (pixels.count + regions.count) * dimension else {
            throw ContrastError.shape(
                "\(rows.count) numbers do not fill \(pixels.count) pixel and \(regions.count) region rows of \(dimension)"
            )
        }
        if let bad = rows.withUnsafeBufferPointer({ firstRowOffUnitLength($0, dimension: dimension) }) {
            throw ContrastError.notUnit(what: "record row", row: bad.row, squaredLength: bad.squaredLength)
        }
        self.dimension = dimension
        self.pixels = pixels
        self.regions = regions
        self.rows = rows
    }

    public var rowCount: Int { pixels.count + regions.count }

    /// The record of a mini-batch: V random pixels per class and image, and one region per class and image; where the memory
    /// keeps only one of the two, only that.
    ///
    /// - Parameters:
    ///   - embeddings: `[B * h * w, D]`, row-major, unit rows.
    ///   - labels: at the embeddings' resolution.
    ///   - imageIDs: one per image of the batch.
    ///   - firstImage: position of the first of these images in the mini-batch of all ranks.
    public init(
        embeddings: UnsafeBufferPointer<Float>, dimension: Int, labels: LabelGrid, imageIDs: [ImageID],
        settings: ContrastSettings, seed: UInt64, step: UInt64, firstImage: Int = 0
    ) throws {
        guard embeddings.count == labels.values.count * dimension, imageIDs.count == labels.images else {
            throw ContrastError.shape(
                "\(embeddings.count) numbers and \(imageIDs.count) images for \(labels.values.count) labels "
                    + "of \(labels.images) images and dimension \(dimension)")
        }
        var pixels: [ClassID] = []
        var regions: [Region] = []
        var rows: [Float] = []
        let drawn =
            settings.keepsPixels
            ? PixelDraw.draw(
                labels: labels, perImage: settings.pixelsPerImage, seed: seed, step: step, firstImage: firstImage) : []
        for group in drawn {
            for pixel in group.pixels {
                pixels.append(group.classID)
                rows += embeddings[pixel * dimension..<(pixel + 1) * dimension]
            }
        }
        for group in settings.keepsRegions ? pixelsByImageAndClass(labels) : [] {
            guard let mean = RegionMeans.mean(of: group.pixels, embeddings: embeddings, dimension: dimension) else {
                continue
            }
            regions.append(Region(classID: group.classID, image: imageIDs[group.image]))
            rows += mean
        }
        try self.init(dimension: dimension, pixels: pixels, regions: regions, rows: rows)
    }
}

extension ContrastSettings {
    /// Which keys a step makes. Where no memory is kept, the mini-batch's own are both.
    var keepsPixels: Bool { memory != .regions }
    var keepsRegions: Bool { memory != .pixels }
}
