import Basics
import Contrast
import Foundation
import StageKit
import Wire

/// A physical record of the memory's log: which row goes to which slot.
///
/// As a log payload: body `{"step":n}`, arrays `writes` int32 `[n, 5]` (class, part: 0 pixels, 1 regions; slot; row;
/// image, -1 for a pixel) in the order in which they must be carried out, and `rows` float32 `[m, D]`, unit rows.
/// Followers need no image; the bank reads its own bookkeeping back from it.
struct MemoryWrites {
    var step: UInt64
    var writes: [SlotWrite]
    /// One per write; nil for pixels.
    var images: [ImageID?]
    /// `[m, D]`.
    var rows: [Float]
    var dimension: Int

    private struct Body: Codable { var step: UInt64 }

    init(step: UInt64, writes: [SlotWrite], record: LogicalRecord) {
        self.step = step
        self.writes = writes
        images = writes.map { $0.part == .regions ? record.regions[$0.row - record.pixels.count].image : nil }
        rows = record.rows
        dimension = record.dimension
    }

    func encode() throws -> LogPayload {
        var flat: [Int32] = []
        flat.reserveCapacity(writes.count * 5)
        for (write, image) in zip(writes, images) {
            flat.append(Int32(write.classID.rawValue))
            flat.append(Int32(write.part.rawValue))
            flat.append(Int32(write.slot))
            flat.append(Int32(write.row))
            flat.append(image.map { Int32(bitPattern: $0.rawValue) } ?? -1)
        }
        return LogPayload(
            body: try Body(step: step).wireJSON(),
            tensors: [
                try WireTensor(name: "writes", dtype: .int32, shape: [writes.count, 5], bytes: SharedBytes(flat)),
                try WireTensor(name: "rows", shape: [rows.count / dimension, dimension], floats: rows),
            ])
    }

    /// - Throws: `WireError` for a payload of another form; whether slots and rows exist is checked by the memory.
    init(_ payload: LogPayload, at sequence: SequenceNumber, dimension: Int) throws {
        guard let body = try? JSONDecoder().decode(Body.self, from: payload.body), body.step == sequence.rawValue else {
            throw WireError.malformed("the body of physical record \(sequence) is not {\"step\":\(sequence)}")
        }
        let table = try payload.tensor("writes")
        try table.expect(.int32, [table.shape.first ?? 0, 5])
        let tensor = try payload.tensor("rows")
        try tensor.expect(.float32, [tensor.shape.first ?? 0, dimension])
        let flat = table.bytes.array(of: Int32.self)
        step = body.step
        self.dimension = dimension
        rows = tensor.bytes.array(of: Float.self)
        writes = []
        images = []
        writes.reserveCapacity(flat.count / 5)
        for start in stride(from: 0, to: flat.count, by: 5) {
            guard let classID = UInt8(exactly: flat[start]), let rawPart = UInt8(exactly: flat[start + 1]),
                let part = MemoryPart(rawValue: rawPart)
            else { throw WireError.malformed("write \(start / 5) names class \(flat[start]), part \(flat[start + 1])") }
            guard (part == .regions) == (flat[start + 4] >= 0) else {
                throw WireError.malformed("write \(start / 5) to \(part) names image \(flat[start + 4])")
            }
            writes.append(
                SlotWrite(
                    classID: ClassID(rawValue: classID), part: part, slot: Int(flat[start + 2]),
                    row: Int(flat[start + 3])))
            images.append(part == .regions ? ImageID(Int(flat[start + 4])) : nil)
        }
    }

    /// What was recorded, as far as it was written: pixels, then regions.
    ///
    /// - Throws: `ContrastError`, or `WireError` for a row that is not there.
    func logical() throws -> LogicalRecord {
        let order =
            writes.indices.filter { writes[$0].part == .pixels } + writes.indices.filter { writes[$0].part == .regions }
        var gathered: [Float] = []
        gathered.reserveCapacity(order.count * dimension)
        for index in order {
            let row = writes[index].row
            guard row >= 0, (row + 1) * dimension <= rows.count else {
                throw WireError.malformed("write \(index) names row \(row) of \(rows.count / dimension)")
            }
            gathered += rows[row * dimension..<(row + 1) * dimension]
        }
        return try LogicalRecord(
            dimension: dimension, pixels: writes.filter { $0.part == .pixels }.map(\.classID),
            regions: zip(writes, images).compactMap { write, image in
                image.map { LogicalRecord.Region(classID: write.classID, image: $0) }
            }, rows: gathered)
    }
}
