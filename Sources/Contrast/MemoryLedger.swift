/// The bank's bookkeeping: which slot comes next in each ring, which image owns which region slot, which entry is oldest.
///
/// Turns what a step adds into slot writes. It holds no vectors, so it stays small and followers never need it.
public struct MemoryLedger: Sendable, Equatable {
    public let shape: MemoryShape
    private(set) var classes: [ClassLedger]
    /// Region updates so far: the clock that orders entries by age.
    private(set) var updates: UInt64 = 0

    struct ClassLedger: Sendable, Equatable {
        /// The slot that the next pixel goes to.
        var nextPixel = 0
        var filledPixels = 0
        /// By slot: whose region it is, and when it was last written.
        var imageOfSlot: [ImageID] = []
        var updatedAt: [UInt64] = []
        /// Looked up, never iterated.
        var slotOfImage: [ImageID: Int] = [:]
    }

    public init(shape: MemoryShape) {
        self.shape = shape
        classes = Array(repeating: ClassLedger(), count: shape.classes)
    }

    init(shape: MemoryShape, classes: [ClassLedger], updates: UInt64) {
        self.shape = shape
        self.classes = classes
        self.updates = updates
    }

    /// Where the rows of a record go, in the order in which they must be written.
    ///
    /// A pixel takes the ring's next slot and the ring advances by one slot per row, so the oldest is overwritten
    /// first. A region replaces the entry of its class and image, else takes an unfilled slot, else that of the
    /// entry updated longest ago; whichever it is, it is the newest from then on.
    ///
    /// - Throws: `MemoryError`, with the ledger unchanged, for a dimension, class or image that the memory does not have.
    public mutating func plan(_ record: LogicalRecord) throws -> [SlotWrite] {
        guard record.dimension == shape.dimension else {
            throw MemoryError.dimensionMismatch(memory: shape.dimension, given: record.dimension)
        }
        for classID in record.pixels + record.regions.map(\.classID) where classID.index >= shape.classes {
            throw MemoryError.classOutOfRange(classID, classes: shape.classes)
        }
        for region in record.regions where region.image.index >= shape.images {
            throw MemoryError.imageOutOfRange(region.image, images: shape.images)
        }
        var writes: [SlotWrite] = []
        writes.reserveCapacity(record.rowCount)
        if shape.pixelCapacity > 0 {
            for (row, classID) in record.pixels.enumerated() {
                let slot = classes[classID.index].takePixelSlot(capacity: shape.pixelCapacity)
                writes.append(SlotWrite(classID: classID, part: .pixels, slot: slot, row: row))
            }
        }
        if shape.regionCapacity > 0 {
            for (position, region) in record.regions.enumerated() {
                updates += 1
                let slot = classes[region.classID.index].takeRegionSlot(
                    for: region.image, capacity: shape.regionCapacity, now: updates)
                writes.append(
                    SlotWrite(
                        classID: region.classID, part: .regions, slot: slot, row: record.pixels.count + position))
            }
        }
        return writes
    }

    /// How many slots of a part are filled.
    public func filled(_ classID: ClassID, _ part: MemoryPart) -> Int {
        let entry = classes[classID.index]
        return part == .pixels ? entry.filledPixels : entry.imageOfSlot.count
    }
}

extension MemoryLedger.ClassLedger {
    mutating func takePixelSlot(capacity: Int) -> Int {
        let slot = nextPixel
        nextPixel = (slot + 1) % capacity
        filledPixels = min(filledPixels + 1, capacity)
        return slot
    }

    mutating func takeRegionSlot(for image: ImageID, capacity: Int, now: UInt64) -> Int {
        if let slot = slotOfImage[image] {
            updatedAt[slot] = now
            return slot
        }
        let slot: Int
        if imageOfSlot.count < capacity {
            slot = imageOfSlot.count
            imageOfSlot.append(image)
            updatedAt.append(now)
        } else {
            // Linear, but only where a cap is set (2,000) and full: a few thousand comparisons per dropped entry.
            slot = updatedAt.indices.min { updatedAt[$0] < updatedAt[$1] }!
            slotOfImage[imageOfSlot[slot]] = nil
            imageOfSlot[slot] = image
            updatedAt[slot] = now
        }
        slotOfImage[image] = slot
        return slot
    }
}
