import Configuration

/// The two halves of a class's memory.
public enum MemoryPart: UInt8, Codable, Sendable, CaseIterable, Hashable {
    /// A ring of pixel embeddings, oldest overwritten first.
    case pixels = 0
    /// A table of one mean embedding per image.
    case regions = 1
}

/// How large a memory may become; equal for every class.
public struct MemoryShape: Codable, Sendable, Equatable {
    public let classes: Int
    /// D, the numbers per embedding.
    public let dimension: Int
    /// T, the length of each class's pixel queue.
    public let pixelCapacity: Int
    /// Most region entries per class.
    public let regionCapacity: Int
    /// Training images; image ids stay below.
    public let images: Int

    /// - Throws: `MemoryError.shape` for sizes that make no memory.
    public init(classes: Int, dimension: Int, pixelCapacity: Int, regionCapacity: Int, images: Int) throws {
        guard (1...255).contains(classes), (1...65_536).contains(dimension), (0...Int(Int32.max)).contains(images),
            (0...Int(Int32.max)).contains(pixelCapacity), (0...Int(Int32.max)).contains(regionCapacity)
        else {
            throw MemoryError.shape(
                "no memory of \(classes) classes, dimension \(dimension), \(pixelCapacity) pixels, "
                    + "\(regionCapacity) regions and \(images) images can be made")
        }
        self.classes = classes
        self.dimension = dimension
        self.pixelCapacity = pixelCapacity
        self.regionCapacity = regionCapacity
        self.images = images
    }

    /// The shape a recipe asks for: T is ten times the training images and a region per image unless it says otherwise; no
    /// room for what it does not keep.
    public init(settings: ContrastSettings, classes: Int, dimension: Int, images: Int) throws {
        try self.init(
            classes: classes, dimension: dimension,
            pixelCapacity: settings.keepsPixels ? settings.pixelQueue ?? 10 * images : 0,
            regionCapacity: settings.keepsRegions ? min(settings.regionCap ?? images, images) : 0, images: images)
    }

    /// Every class's parts, in the order in which snapshots hold them: class 0's pixels and regions, then class 1's.
    public var parts: [(classID: ClassID, part: MemoryPart)] {
        (0..<classes).flatMap { c in MemoryPart.allCases.map { (classID: ClassID(c), part: $0) } }
    }

    /// Where one of `parts` stands among them.
    func index(of classID: ClassID, _ part: MemoryPart) -> Int { 2 * classID.index + Int(part.rawValue) }

    public func capacity(of part: MemoryPart) -> Int { part == .pixels ? pixelCapacity : regionCapacity }
}

/// One row of a record and the slot that it overwrites or newly fills.
public struct SlotWrite: Codable, Sendable, Equatable {
    public let classID: ClassID
    public let part: MemoryPart
    /// Position within the class's part.
    public let slot: Int
    /// Row of the record's `rows`.
    public let row: Int

    public init(classID: ClassID, part: MemoryPart, slot: Int, row: Int) {
        self.classID = classID
        self.part = part
        self.slot = slot
        self.row = row
    }
}

/// Writes or bytes that a memory refuses; it is unchanged then.
public enum MemoryError: Error, Equatable, Sendable, CustomStringConvertible {
    case shape(String)
    case dimensionMismatch(memory: Int, given: Int)
    case classOutOfRange(ClassID, classes: Int)
    case imageOutOfRange(ImageID, images: Int)
    /// A slot beyond the capacity, or beyond the next unfilled one: slots fill without gaps.
    case slotOutOfRange(SlotWrite, filled: Int, capacity: Int)
    case rowOutOfRange(SlotWrite, rows: Int)
    case notUnit(row: Int, squaredLength: Float)
    /// Bytes that are no snapshot, or one of another shape.
    case snapshot(String)

    public var description: String {
        switch self {
        case .shape(let sentence): sentence
        case .snapshot(let sentence): "memory snapshot: \(sentence)"
        case .dimensionMismatch(let memory, let given):
            "embeddings of dimension \(given) for a memory of dimension \(memory)"
        case .classOutOfRange(let classID, let classes): "class \(classID) in a memory of \(classes) classes"
        case .imageOutOfRange(let image, let images): "image \(image) in a memory of \(images) images"
        case .slotOutOfRange(let write, let filled, let capacity):
            "slot \(write.slot) of class \(write.classID) \(write.part) where \(filled) of \(capacity) are filled"
        case .rowOutOfRange(let write, let rows):
            "row \(write.row) of \(rows) for slot \(write.slot) of class \(write.classID) \(write.part)"
        case .notUnit(let row, let squaredLength):
            "row \(row) is no unit vector: its squared length is \(squaredLength)"
        }
    }
}
