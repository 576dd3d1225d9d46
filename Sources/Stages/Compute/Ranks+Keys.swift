import StageKit
import Wire

extension Ranks {
    /// The keys of the whole mini-batch from each rank's own, as the bank would join them. Collective.
    func joined(_ keys: MemoryRecord) throws -> MemoryRecord {
        guard let group else { return keys }
        return try MemoryRecord(joining: group.gather(keys.words).map { try MemoryRecord(words: $0) })
    }
}

/// Keys as the numbers that ranks exchange.
extension MemoryRecord {
    /// Step, dimension, and the counts of images, pixels and regions; then the images, classes and regions' images; then the
    /// rows' bits.
    var words: [Int64] {
        let counts = [images.count, pixelClasses.count, regionClasses.count]
        return [Int64(bitPattern: step), Int64(dimension)] + counts.map(Int64.init) + images.map(Int64.init)
            + (pixelClasses + regionClasses + regionImages).map(Int64.init) + rows.map { Int64($0.bitPattern) }
    }

    /// Reads what `words` wrote.
    ///
    /// - Throws: `WireError.malformed` for anything else: another rank runs another version.
    init(words: [Int64]) throws {
        var rest = words.dropFirst(5)
        func take(_ count: Int) -> [Int64] {
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        let head = words.prefix(5).map { Int(truncatingIfNeeded: $0) }
        // Each count is bounded by what is there, and the dimension by what a memory may have, so that nothing overflows: a
        // rank without a labelled pixel has a dimension and no rows.
        guard head.count == 5, (1...65_536).contains(head[1]),
            head[2...].allSatisfy({ (0...words.count).contains($0) }),
            head[2] + head[3] + 2 * head[4] + (head[3] + head[4]) * head[1] == rest.count
        else { throw WireError.malformed("another rank's keys do not fill their \(words.count) numbers") }
        self.init(
            step: UInt64(bitPattern: words[0]), images: take(head[2]).map { Int($0) }, dimension: head[1],
            pixelClasses: take(head[3]).map { Int32(truncatingIfNeeded: $0) },
            regionClasses: take(head[4]).map { Int32(truncatingIfNeeded: $0) },
            regionImages: take(head[4]).map { Int32(truncatingIfNeeded: $0) },
            rows: rest.map { Float(bitPattern: UInt32(truncatingIfNeeded: $0)) })
    }
}
