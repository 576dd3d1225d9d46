/// A memory as a stretch of bytes that can be read in any pieces, so that it travels in chunks without being copied whole.
///
/// Layout: the header, then per class the pixel rows and the region rows (Float32, little-endian). Equal memories give equal
/// bytes.
public struct MemorySnapshot: Sendable {
    private let memory: Memory
    private let header: [UInt8]
    /// Length of the whole in bytes.
    public let byteCount: Int

    /// Takes the memory as it is now; later writes to the original do not show.
    public init(_ memory: Memory) {
        self.memory = memory
        header = MemorySnapshotHeader(memory).encoded()
        byteCount = header.count + memory.totalFilled * memory.shape.dimension * 4
    }

    /// The bytes at `range`.
    ///
    /// - Precondition: `range` lies within `0 ..< byteCount`.
    public func bytes(in range: Range<Int>) -> [UInt8] {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "\(range) of \(byteCount) bytes")
        return [UInt8](unsafeUninitializedCapacity: range.count) { target, filled in
            func copy(_ source: UnsafeRawBufferPointer, at start: Int) {
                let overlap = range.clamped(to: start..<start + source.count)
                guard !overlap.isEmpty else { return }
                UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(target)[(overlap.lowerBound - range.lowerBound)...]
                )
                .copyMemory(
                    from: UnsafeRawBufferPointer(
                        rebasing: source[overlap.lowerBound - start..<overlap.upperBound - start]))
            }
            header.withUnsafeBytes { copy($0, at: 0) }
            var start = header.count
            for (classID, part) in memory.shape.parts {
                let rows = UnsafeRawBufferPointer(memory.rows(classID, part))
                copy(rows, at: start)
                start += rows.count
            }
            filled = range.count
        }
    }
}

/// What a snapshot begins with: the memory's shape, and how much of it is filled.
///
/// Layout, little-endian: `PFMEMRY1`, the shape (5 x u32), per class the filled pixels and regions (2 x u32).
public struct MemorySnapshotHeader: Sendable {
    public let shape: MemoryShape
    /// Of each of the shape's parts.
    private let counts: [Int]

    init(_ memory: Memory) {
        shape = memory.shape
        counts = memory.shape.parts.map { memory.filled($0.classID, $0.part) }
    }

    /// Reads the header that bytes begin with.
    ///
    /// - Parameter expected: another shape is refused; nil takes any.
    /// - Throws: `MemoryError` for bytes of something else, or not all of a header.
    public init(_ bytes: [UInt8], of expected: MemoryShape? = nil) throws {
        var reader = ByteReader(bytes)
        try reader.expect("PFMEMRY1")
        let shape = try MemoryShape(from: &reader)
        guard shape == expected ?? shape else { throw MemoryError.snapshot("is of a memory of another shape") }
        var counts: [Int] = []
        for (classID, part) in shape.parts {
            let count = Int(try reader.take(UInt32.self))
            guard count <= shape.capacity(of: part) else {
                throw MemoryError.snapshot("\(count) \(part) of class \(classID) where \(shape.capacity(of: part)) fit")
            }
            counts.append(count)
        }
        self.shape = shape
        self.counts = counts
    }

    func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.put("PFMEMRY1")
        shape.write(to: &writer)
        for count in counts { writer.put(UInt32(count)) }
        return writer.bytes
    }

    /// Its own length in bytes.
    public static func byteCount(of shape: MemoryShape) -> Int { 8 + MemoryShape.encodedSize + shape.classes * 8 }

    /// How many slots of a part are filled.
    public func filled(_ classID: ClassID, _ part: MemoryPart) -> Int { counts[shape.index(of: classID, part)] }
}

/// Builds a memory from a snapshot's bytes as they arrive, in order and in pieces of any size.
public struct MemorySnapshotReader: Sendable {
    /// The header's bytes so far.
    private var header: [UInt8] = []
    private var memory: Memory
    /// Parts still to fill, last first, and how many bytes of the current one have arrived.
    private var pending: [(classID: ClassID, part: MemoryPart)] = []
    private var offset = 0
    /// Whether header and all parts have arrived.
    private var isComplete = false

    /// - Parameter shape: what the snapshot must be of; another one is refused before memory is taken for it.
    public init(shape: MemoryShape) { memory = Memory(shape: shape) }

    /// - Throws: `MemoryError.snapshot` for bytes of something else, or more bytes than the header announces.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        let missing = MemorySnapshotHeader.byteCount(of: memory.shape) - header.count
        if missing > 0 {
            header += rest.prefix(missing)
            guard rest.count >= missing else { return }
            rest = UnsafeRawBufferPointer(rebasing: rest[missing...])
            let read = try MemorySnapshotHeader(header, of: memory.shape)
            for (classID, part) in read.shape.parts.reversed() where read.filled(classID, part) > 0 {
                memory.assign(classID, part, count: read.filled(classID, part))
                pending.append((classID, part))
            }
        }
        while !rest.isEmpty {
            guard let (classID, part) = pending.last else {
                throw MemoryError.snapshot("\(rest.count) bytes more than its header announces")
            }
            let size = memory.filled(classID, part) * memory.shape.dimension * 4
            let count = min(size - offset, rest.count)
            memory.copy(UnsafeRawBufferPointer(rebasing: rest[..<count]), to: classID, part, at: offset)
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            offset += count
            if offset == size {
                pending.removeLast()
                offset = 0
            }
        }
        isComplete = pending.isEmpty
    }

    /// The memory, once all bytes have arrived.
    ///
    /// - Throws: `MemoryError.snapshot` where bytes are missing, `.notUnit` where a row is no unit vector.
    public func finish() throws -> Memory {
        guard isComplete else { throw MemoryError.snapshot("ends before its last row") }
        for (classID, part) in memory.shape.parts {
            if let bad = firstRowOffUnitLength(memory.rows(classID, part), dimension: memory.shape.dimension) {
                throw MemoryError.notUnit(row: bad.row, squaredLength: bad.squaredLength)
            }
        }
        return memory
    }
}
