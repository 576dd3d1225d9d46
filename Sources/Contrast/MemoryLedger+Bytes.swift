extension MemoryLedger {
    /// The ledger as bytes, little-endian, equal for equal ledgers: `PFLEDGR1`, the shape (5 x u32), the update clock (u64),
    /// and per class: next pixel slot, filled pixels, regions (u32 each), then per region slot image (u32) and time (u64).
    public func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.put("PFLEDGR1")
        shape.write(to: &writer)
        writer.put(updates)
        for entry in classes {
            writer.put(UInt32(entry.nextPixel))
            writer.put(UInt32(entry.filledPixels))
            writer.put(UInt32(entry.imageOfSlot.count))
            for (image, time) in zip(entry.imageOfSlot, entry.updatedAt) {
                writer.put(image.rawValue)
                writer.put(time)
            }
        }
        return writer.bytes
    }

    /// - Throws: `MemoryError.snapshot` for bytes that no ledger encodes to.
    public init(decoding bytes: [UInt8]) throws {
        var reader = ByteReader(bytes)
        try reader.expect("PFLEDGR1")
        let shape = try MemoryShape(from: &reader)
        let updates: UInt64 = try reader.take()
        var classes: [ClassLedger] = []
        for c in 0..<shape.classes {
            var entry = ClassLedger()
            entry.nextPixel = Int(try reader.take(UInt32.self))
            entry.filledPixels = Int(try reader.take(UInt32.self))
            let regions = Int(try reader.take(UInt32.self))
            // Before the ring is full, the next slot is the first unfilled one.
            guard entry.filledPixels <= shape.pixelCapacity, regions <= shape.regionCapacity,
                entry.nextPixel < max(shape.pixelCapacity, 1),
                entry.filledPixels == shape.pixelCapacity || entry.nextPixel == entry.filledPixels
            else { throw MemoryError.snapshot("ledger of class \(c) exceeds the memory's shape") }
            guard reader.remaining >= regions * 12 else {
                throw MemoryError.snapshot("ledger ends within the regions of class \(c)")
            }
            for slot in 0..<regions {
                let image = ImageID(rawValue: try reader.take())
                let time: UInt64 = try reader.take()
                guard image.index < shape.images, time <= updates, entry.slotOfImage[image] == nil else {
                    throw MemoryError.snapshot("region \(slot) of class \(c) is out of range or there twice")
                }
                entry.imageOfSlot.append(image)
                entry.updatedAt.append(time)
                entry.slotOfImage[image] = slot
            }
            classes.append(entry)
        }
        guard reader.isAtEnd else { throw MemoryError.snapshot("\(reader.remaining) bytes after the ledger's end") }
        self.init(shape: shape, classes: classes, updates: updates)
    }
}
