/// A memory as a stretch of bytes that can be read in any pieces, so that it travels in chunks without being copied whole.
///
/// Layout, little-endian: `PFMEMRY1`, the shape (5 x u32), per class the filled pixels and regions (2 x u32), then per class
/// the pixel rows and the region rows (Float32). Equal memories give equal bytes.
public struct MemorySnapshot: Sendable {
    private let memory: Memory
    private let header: [UInt8]
    /// Length of the whole in bytes.
    public let byteCount: Int

    /// Takes the memory as it is now; later writes to the original do not show.
    public init(_ memory: Memory) {
        self.memory = memory
        var writer = ByteWriter()
        writer.put("PFMEMRY1")
        memory.shape.write(to: &writer)
        for c in 0..<memory.shape.classes {
            for part in MemoryPart.allCases { writer.put(UInt32(memory.filled(ClassID(c), part))) }
        }
        header = writer.bytes
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
            for c in 0..<memory.shape.classes {
                for part in MemoryPart.allCases {
                    let rows = UnsafeRawBufferPointer(memory.rows(ClassID(c), part))
                    copy(rows, at: start)
                    start += rows.count
                }
            }
            filled = range.count
        }
    }
}

/// Builds a memory from a snapshot's bytes as they arrive, in order and in pieces of any size.
public struct MemorySnapshotReader: ~Copyable {
    private let shape: MemoryShape
    private var header: [UInt8] = []
    private let headerCount: Int
    private var memory: Memory
    /// Parts still to fill, last first, and how many bytes of the current one have arrived.
    private var pending: [UnsafeMutableRawBufferPointer] = []
    private var offset = 0
    /// Whether header and all parts have arrived.
    public private(set) var isComplete = false

    /// - Parameter shape: what the snapshot must be of; another one is refused before memory is taken for it.
    public init(shape: MemoryShape) {
        self.shape = shape
        headerCount = 8 + MemoryShape.encodedSize + shape.classes * 8
        memory = Memory(shape: shape)
    }

    /// - Throws: `MemoryError.snapshot` for bytes of something else, or more bytes than the header announces.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        if header.count < headerCount {
            let missing = min(headerCount - header.count, rest.count)
            header.append(contentsOf: rest[..<missing])
            rest = UnsafeRawBufferPointer(rebasing: rest[missing...])
            guard header.count == headerCount else { return }
            try readHeader()
        }
        while !rest.isEmpty {
            guard let part = pending.last else {
                throw MemoryError.snapshot("\(rest.count) bytes more than its header announces")
            }
            let count = min(part.count - offset, rest.count)
            UnsafeMutableRawBufferPointer(rebasing: part[offset...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            offset += count
            if offset == part.count {
                pending.removeLast()
                offset = 0
            }
        }
        isComplete = pending.isEmpty
    }

    /// The memory, once all bytes have arrived.
    ///
    /// - Throws: `MemoryError.snapshot` where bytes are missing, `.notUnit` where a row is no unit vector.
    public consuming func finish() throws -> Memory {
        guard isComplete else { throw MemoryError.snapshot("ends before its last row") }
        for c in 0..<shape.classes {
            for part in MemoryPart.allCases {
                if let bad = firstRowOffUnitLength(memory.rows(ClassID(c), part), dimension: shape.dimension) {
                    throw MemoryError.notUnit(row: bad.row, squaredLength: bad.squaredLength)
                }
            }
        }
        return memory
    }

    private mutating func readHeader() throws {
        var reader = ByteReader(header)
        try reader.expect("PFMEMRY1")
        guard try MemoryShape(from: &reader) == shape else {
            throw MemoryError.snapshot("is of a memory of another shape")
        }
        var counts: [Int] = []
        for c in 0..<shape.classes {
            for part in MemoryPart.allCases {
                let count = Int(try reader.take(UInt32.self))
                guard count <= shape.capacity(of: part) else {
                    throw MemoryError.snapshot("\(count) \(part) of class \(c) where \(shape.capacity(of: part)) fit")
                }
                counts.append(count)
            }
        }
        for (i, count) in counts.enumerated() where count > 0 {
            let part = memory.assign(ClassID(i / 2), MemoryPart.allCases[i % 2], count: count)
            pending.append(UnsafeMutableRawBufferPointer(part))
        }
        pending.reverse()
    }
}
