import Contrast
import StageKit

extension MemoryRecord {
    /// The keys of one step as compute appends them.
    init(_ record: LogicalRecord, step: UInt64, images: [Int]) {
        self.init(
            step: step, images: images, dimension: record.dimension,
            pixelClasses: record.pixels.map { Int32($0.rawValue) },
            regionClasses: record.regions.map { Int32($0.classID.rawValue) },
            regionImages: record.regions.map { Int32($0.image.rawValue) }, rows: record.rows)
    }
}
