import Basics
import Contrast
import Wire

/// Some of the embeddings that a checkpoint's memory holds, class by class, without reading all of it into memory.
///
/// Reads a `bank.snapshot`, whose parts of kind `memory` joined are `MemorySnapshot`'s bytes.
public struct MemorySample: Sendable {
    /// Training step of the snapshot.
    public var step: UInt64
    /// D.
    public var dimension: Int
    /// `[n, D]`, unit vectors, classes ascending, pixels before regions.
    public var rows: [Float] = []
    /// Of each row.
    public var classes: [Int] = []
    /// Whether each row is a region's mean rather than a pixel.
    public var isRegion: [Bool] = []
    /// Filled pixel and region slots of each class, sampled or not.
    public var filled: [(pixels: Int, regions: Int)] = []

    /// - Parameters:
    ///   - path: a snapshot's file.
    ///   - limit: most rows; every class has the same share, spread evenly over its slots.
    /// - Throws: `LogError.storage` or `WireError.malformed` for a file that is none.
    public init(snapshot path: String, limit: Int) throws {
        let file = try LogSnapshotFile(opening: path, verify: false)
        step = file.sequence.rawValue
        dimension = 0
        /// Bytes of the joined parts so far that are not used up: at the beginning the header, later a row's beginning.
        var pending: [UInt8] = []
        var header: MemorySnapshotHeader?
        var wanted: ArraySlice<Wanted> = []
        /// Place in the joined bytes where `pending` begins.
        var position = 0
        for index in 0..<file.parts {
            let part = try MemorySnapshotPart(file.part(index))
            guard part.kind == .memory else { continue }
            pending += part.bytes.array()
            if header == nil {
                header = try? MemorySnapshotHeader(pending)
                guard let header else {
                    // The largest header: 255 classes.
                    guard pending.count < 4 << 10 else { throw WireError.malformed("\(path) holds no memory") }
                    continue
                }
                dimension = header.shape.dimension
                filled = (0..<header.shape.classes).map {
                    (header.filled(ClassID($0), .pixels), header.filled(ClassID($0), .regions))
                }
                wanted = choose(limit, from: MemorySnapshotHeader.byteCount(of: header.shape))[...]
            }
            while let next = wanted.first {
                let start = next.offset - position
                guard start + rowBytes <= pending.count else { break }
                rows += SharedBytes(Array(pending[start..<start + rowBytes])).array(of: Float.self)
                classes.append(next.classIndex)
                isRegion.append(next.isRegion)
                wanted.removeFirst()
            }
            // What lies before the next wanted row is not needed any more.
            let used = min(pending.count, (wanted.first?.offset ?? .max) - position)
            pending.removeFirst(used)
            position += used
        }
        guard header != nil, wanted.isEmpty else {
            throw WireError.malformed("\(path) ends before its memory does")
        }
    }

    private struct Wanted {
        /// Of its bytes within the joined parts.
        var offset: Int
        var classIndex: Int
        var isRegion: Bool
    }

    private var rowBytes: Int { 4 * dimension }

    /// Rows spread evenly over each class's slots, in the order of the file, whose first row begins at `start`.
    private func choose(_ limit: Int, from start: Int) -> [Wanted] {
        let share = max(1, limit / filled.count)
        var wanted: [Wanted] = []
        var start = start
        for (classIndex, slots) in filled.enumerated() {
            let all = slots.pixels + slots.regions
            let chosen = min(all, share)
            for place in 0..<chosen {
                let slot = place * all / chosen
                wanted.append(
                    Wanted(offset: start + slot * rowBytes, classIndex: classIndex, isRegion: slot >= slots.pixels))
            }
            start += all * rowBytes
        }
        return wanted
    }
}
