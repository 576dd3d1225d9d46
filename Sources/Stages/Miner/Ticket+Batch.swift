import Basics
import Contrast
import StageKit
import Wire

/// The keys that a mining ticket brings where there is no memory; see PROTOCOL.md.
extension Ticket {
    /// - Throws: `UserError` for a ticket without them, or whose arrays disagree; `ContrastError` for rows that are no unit
    ///   vectors.
    func batchKeys(dimension: Int) throws -> LogicalRecord {
        func array(_ name: String, _ dtype: WireDType, _ shape: (_ rows: Int) -> [Int]) throws -> SharedBytes {
            guard let tensor = tensors.first(where: { $0.name == name }), tensor.dtype == dtype,
                tensor.shape == shape(tensor.shape.first ?? -1)
            else { throw UserError("mining ticket \(id) names no memory and has no sound tensor '\(name)'") }
            return tensor.bytes
        }
        func part(_ rows: String, _ classes: String) throws -> (classes: [ClassID], rows: [Float]) {
            let values = try array(rows, .float32) { [$0, dimension] }.array(of: Float.self)
            let classes = try array(classes, .int32) { [$0] }.array(of: Int32.self).map { value in
                guard let label = UInt8(exactly: value) else {
                    throw UserError("mining ticket \(id) has a key of class \(value)")
                }
                return ClassID(rawValue: label)
            }
            return (classes, values)
        }
        let pixels = try part("batchPixels", "batchPixelClasses")
        let regions = try part("batchRegions", "batchRegionClasses")
        return try LogicalRecord(
            dimension: dimension, pixels: pixels.classes,
            regions: regions.classes.enumerated().map { LogicalRecord.Region(classID: $1, image: ImageID($0)) },
            rows: pixels.rows + regions.rows)
    }
}
