extension Memory {
    /// A mini-batch's keys alone as a memory, each class's in the record's order: what anchors meet where no memory is
    /// kept, the ablation "in-batch contrast".
    ///
    /// - Throws: `MemoryError` for a class that is none of so many.
    public init(batch record: LogicalRecord, classes: Int) throws {
        self.init(
            shape: try MemoryShape(
                classes: classes, dimension: record.dimension, pixelCapacity: record.pixels.count,
                regionCapacity: record.regions.count, images: record.regions.count))
        var next: [MemoryPart: [Int]] = [:]
        for part in MemoryPart.allCases { next[part] = Array(repeating: 0, count: classes) }
        func write(_ classID: ClassID, _ part: MemoryPart, row: Int) throws -> SlotWrite {
            guard classID.index < classes else { throw MemoryError.classOutOfRange(classID, classes: classes) }
            defer { next[part]![classID.index] += 1 }
            return SlotWrite(classID: classID, part: part, slot: next[part]![classID.index], row: row)
        }
        let pixels = try record.pixels.enumerated().map { try write($1, .pixels, row: $0) }
        let regions = try record.regions.enumerated().map {
            try write($1.classID, .regions, row: record.pixels.count + $0)
        }
        try apply(pixels + regions, record: record)
    }
}
