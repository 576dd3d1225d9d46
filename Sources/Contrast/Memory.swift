/// The memory's vectors as miners see them: per class a pixel ring and a region table, and nothing about order or images.
///
/// A follower only copies: the bank's ledger decides which slot a row goes to. Slots fill from 0 without gaps, so the
/// filled ones are a prefix and an unfilled slot can never be sampled. Memory grows with what is filled. A value:
/// copies are cheap and share what neither has written since.
public struct Memory: Sendable {
    public let shape: MemoryShape
    /// `[class * 2 + part]`.
    private var parts: [RowBuffer]

    public init(shape: MemoryShape) {
        self.shape = shape
        parts = (0..<2 * shape.classes).map { _ in RowBuffer(width: shape.dimension) }
    }

    /// Number of filled slots.
    public func filled(_ classID: ClassID, _ part: MemoryPart) -> Int { parts[shape.index(of: classID, part)].count }

    /// All filled slots.
    public var totalFilled: Int { parts.reduce(0) { $0 + $1.count } }

    /// The vector in a filled slot, D numbers.
    public func vector(_ classID: ClassID, _ part: MemoryPart, slot: Int) -> [Float] {
        let rows = parts[shape.index(of: classID, part)].rows
        return Array(rows[slot * shape.dimension..<(slot + 1) * shape.dimension])
    }

    /// Copies rows into slots, in order; a slot named twice keeps the later row.
    ///
    /// - Parameter rows: `[n, D]`, row-major, unit rows.
    /// - Throws: `MemoryError`, before anything is written, for a class, slot or row out of range, a gap, a dimension
    ///   that differs, or a row that is no unit vector.
    public mutating func apply(_ writes: [SlotWrite], rows: UnsafeBufferPointer<Float>, dimension: Int) throws {
        guard dimension == shape.dimension, rows.count % dimension == 0 else {
            throw MemoryError.dimensionMismatch(memory: shape.dimension, given: dimension)
        }
        if let bad = firstRowOffUnitLength(rows, dimension: dimension) {
            throw MemoryError.notUnit(row: bad.row, squaredLength: bad.squaredLength)
        }
        var filled = parts.map(\.count)
        for write in writes {
            guard write.classID.index < shape.classes else {
                throw MemoryError.classOutOfRange(write.classID, classes: shape.classes)
            }
            let part = shape.index(of: write.classID, write.part)
            let capacity = shape.capacity(of: write.part)
            guard write.slot >= 0, write.slot <= filled[part], write.slot < capacity else {
                throw MemoryError.slotOutOfRange(write, filled: filled[part], capacity: capacity)
            }
            guard write.row >= 0, write.row < rows.count / dimension else {
                throw MemoryError.rowOutOfRange(write, rows: rows.count / dimension)
            }
            filled[part] = max(filled[part], write.slot + 1)
        }
        for write in writes {
            parts[shape.index(of: write.classID, write.part)].set(
                write.slot, to: rows.baseAddress! + write.row * dimension, limit: shape.capacity(of: write.part))
        }
    }

    /// The same from a record, for whoever holds both.
    public mutating func apply(_ writes: [SlotWrite], record: LogicalRecord) throws {
        try record.rows.withUnsafeBufferPointer { try apply(writes, rows: $0, dimension: record.dimension) }
    }

    /// The filled rows of a part, `[filled, D]`; valid while this value lives and is not mutated.
    func rows(_ classID: ClassID, _ part: MemoryPart) -> UnsafeBufferPointer<Float> {
        parts[shape.index(of: classID, part)].rows
    }

    /// Makes a part hold `count` rows, of zeros until `copy` overwrites them.
    mutating func assign(_ classID: ClassID, _ part: MemoryPart, count: Int) {
        parts[shape.index(of: classID, part)].assign(rows: count)
    }

    /// Overwrites bytes of a part's filled rows, from `offset` on.
    mutating func copy(_ bytes: UnsafeRawBufferPointer, to classID: ClassID, _ part: MemoryPart, at offset: Int) {
        parts[shape.index(of: classID, part)].copy(bytes, at: offset)
    }
}
