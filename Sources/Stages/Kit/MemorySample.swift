import Basics
import Foundation
import Wire

/// Some of the embeddings that a checkpoint's memory holds, class by class, without reading all of it into memory.
///
/// Reads a `bank.snapshot` as PROTOCOL.md describes it: parts of at most 8 MiB, of which those of kind `memory` joined are
/// `PFMEMRY1`, the shape (5 × u32: classes, D, capacities of pixels and regions, images), per class u32 filled pixels and
/// regions, then per class the pixel rows and the region rows, Float32.
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
        var header: Header?
        var wanted: ArraySlice<Wanted> = []
        /// Place in the joined bytes where `pending` begins.
        var position = 0
        for index in 0..<file.parts {
            let part = try file.part(index)
            struct Body: Decodable { var kind: String }
            guard try JSONDecoder().decode(Body.self, from: part.body).kind == "memory" else { continue }
            pending += try part.tensor("bytes").bytes.array()
            if header == nil {
                header = Header(pending)
                guard let header else {
                    // The largest header: 255 classes.
                    guard pending.count < 4 << 10 else { throw WireError.malformed("\(path) holds no memory") }
                    continue
                }
                dimension = header.dimension
                filled = header.filled
                wanted = header.choose(limit)[...]
            }
            guard let header else { continue }
            while let next = wanted.first {
                let start = next.offset - position
                guard start + header.rowBytes <= pending.count else { break }
                pending.withUnsafeBytes { bytes in
                    for d in 0..<dimension {
                        rows.append(
                            Float(
                                bitPattern: UInt32(
                                    littleEndian: bytes.loadUnaligned(fromByteOffset: start + 4 * d, as: UInt32.self))))
                    }
                }
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

    private struct Header {
        var dimension: Int
        var filled: [(pixels: Int, regions: Int)] = []
        var rowBytes: Int { 4 * dimension }
        private var count: Int

        /// Nil where the bytes are none, or not all of it.
        init?(_ bytes: [UInt8]) {
            func number(_ index: Int) -> Int? {
                let offset = 8 + 4 * index
                guard offset + 4 <= bytes.count else { return nil }
                return bytes.withUnsafeBytes {
                    Int(UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
                }
            }
            guard bytes.starts(with: Array("PFMEMRY1".utf8)), let classes = number(0), let dimension = number(1),
                (1...255).contains(classes), (1...65_536).contains(dimension)
            else { return nil }
            self.dimension = dimension
            count = 8 + 5 * 4 + classes * 8
            for classIndex in 0..<classes {
                guard let pixels = number(5 + 2 * classIndex), let regions = number(6 + 2 * classIndex) else {
                    return nil
                }
                filled.append((pixels, regions))
            }
        }

        /// Rows spread evenly over each class's slots, in the order of the file.
        func choose(_ limit: Int) -> [Wanted] {
            let share = max(1, limit / filled.count)
            var wanted: [Wanted] = []
            var start = count
            for (classIndex, slots) in filled.enumerated() {
                let all = slots.pixels + slots.regions
                let chosen = min(all, share)
                for place in 0..<chosen {
                    let slot = place * all / chosen
                    wanted.append(
                        Wanted(
                            offset: start + slot * rowBytes, classIndex: classIndex, isRegion: slot >= slots.pixels))
                }
                start += all * rowBytes
            }
            return wanted
        }
    }
}
