import Basics

/// The memory entries that a ticket may sample, in their canonical order: class ascending, pixels before regions, slot
/// ascending. A candidate's position in it is its "slot" wherever ties are broken, so nothing depends on who mines.
///
/// Only filled slots are in it. Valid while the memory it was made from lives and is not written.
///
/// `@unchecked Sendable` is sound because the pointed-to rows are only read.
public struct CandidateSet: @unchecked Sendable {
    /// Where each candidate's vector lies.
    public let rows: [UnsafePointer<Float>]
    /// Ends of the stretches whose rows lie one after the other in memory, ascending; the last is `count`.
    private let stretchEnds: [Int]

    public var count: Int { rows.count }

    /// - Parameters:
    ///   - limit: the search is restricted to a random `limit` entries per class; nil searches all.
    ///   - seed: the ticket's; the restriction is drawn from it and the class.
    init(memory: Memory, classes: some Sequence<ClassID>, limit: Int?, seed: UInt64) {
        let width = memory.shape.dimension
        var rows: [UnsafePointer<Float>] = []
        var ends: [Int] = []
        for classID in classes {
            let parts = MemoryPart.allCases.map { memory.rows(classID, $0) }
            let filled = parts.map { $0.count / width }
            let total = filled.reduce(0, +)
            var searched: [Int]?
            if let limit, limit < total {
                var stream = KeyedRandom(seed: seed, purpose: "candidates", index: UInt64(classID.rawValue))
                searched = stream.sample(limit, of: total).sorted()
            }
            if let searched {
                for i in searched {
                    let part = i < filled[0] ? 0 : 1
                    rows.append(parts[part].baseAddress! + (i - (part == 0 ? 0 : filled[0])) * width)
                    ends.append(rows.count)
                }
            } else {
                for (part, count) in zip(parts, filled) where count > 0 {
                    rows.reserveCapacity(rows.count + count)
                    for slot in 0..<count { rows.append(part.baseAddress! + slot * width) }
                    ends.append(rows.count)
                }
            }
        }
        self.rows = rows
        stretchEnds = ends
    }

    /// Whether the rows of a range lie one after the other.
    public func isContiguous(_ range: Range<Int>) -> Bool {
        // The first stretch that ends beyond the range's start must reach the range's end.
        var low = 0
        var high = stretchEnds.count
        while low < high {
            let middle = (low + high) / 2
            if stretchEnds[middle] > range.lowerBound { high = middle } else { low = middle + 1 }
        }
        return low < stretchEnds.count && stretchEnds[low] >= range.upperBound
    }
}
