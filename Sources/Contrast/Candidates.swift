import Basics

/// The memory entries that a ticket may sample, in their canonical order: class ascending, pixels before regions, slot
/// ascending. A candidate's position in it is its "slot" wherever ties are broken, so nothing depends on who mines.
///
/// Only filled slots are in it. Valid while the memory it was made from lives and is not written.
///
/// `@unchecked Sendable` is sound because the pointed-to rows are only read.
public struct CandidateSet: @unchecked Sendable {
    /// Rows that lie one after the other in memory.
    private struct Stretch {
        var rows: UnsafePointer<Float>
        var positions: Range<Int>
    }

    public let count: Int
    private let dimension: Int
    private let stretches: [Stretch]

    /// - Parameters:
    ///   - limit: the search is restricted to a random `limit` entries per class; nil searches all.
    ///   - seed: the ticket's; the restriction is drawn from it and the class.
    init(memory: Memory, classes: some Sequence<ClassID>, limit: Int?, seed: UInt64) {
        let width = memory.shape.dimension
        var stretches: [Stretch] = []
        var count = 0
        func add(_ rows: UnsafePointer<Float>, _ length: Int) {
            stretches.append(Stretch(rows: rows, positions: count..<count + length))
            count += length
        }
        for classID in classes {
            let parts = MemoryPart.allCases.map { memory.rows(classID, $0) }
            let filled = parts.map { $0.count / width }
            let total = filled.reduce(0, +)
            if let limit, limit < total {
                var stream = KeyedRandom(seed: seed, purpose: "candidates", index: UInt64(classID.rawValue))
                for i in stream.sortedSample(limit, of: total) {
                    let part = i < filled[0] ? 0 : 1
                    add(parts[part].baseAddress! + (i - (part == 0 ? 0 : filled[0])) * width, 1)
                }
            } else {
                for (part, length) in zip(parts, filled) where length > 0 { add(part.baseAddress!, length) }
            }
        }
        self.count = count
        dimension = width
        self.stretches = stretches
    }

    /// Writes where the candidates at some positions lie.
    ///
    /// - Parameter positions: ascending.
    func locate(_ positions: some Sequence<Int>, into rows: UnsafeMutablePointer<UnsafePointer<Float>>) {
        stretches.withUnsafeBufferPointer { stretches in
            var current = 0
            var written = 0
            for position in positions {
                // Stretches of one row each: the position is the stretch's, or it is not far.
                if stretches.count == count {
                    current = position
                } else {
                    while stretches[current].positions.upperBound <= position { current += 1 }
                }
                let stretch = stretches[current]
                rows[written] = stretch.rows + (position - stretch.positions.lowerBound) * dimension
                written += 1
            }
        }
    }
}
