import Basics

/// The filled rows of a memory in their canonical order: class ascending, pixels before regions, slot ascending. A row's
/// number in it orders rows wherever that matters, so nothing depends on who mines.
///
/// Valid while the memory it was made from lives and is not written.
///
/// `@unchecked Sendable` is sound because the pointed-to rows are only read.
struct MemoryRows: @unchecked Sendable {
    /// Rows that lie one after the other in memory.
    private struct Stretch {
        var vectors: UnsafePointer<Float>
        var rows: Range<Int>
    }

    let dimension: Int
    private var stretches: [Stretch] = []
    /// Where each class begins, and the last one ends.
    private var starts = [0]

    init(_ memory: Memory) {
        dimension = memory.shape.dimension
        for index in 0..<memory.shape.classes {
            var end = starts[index]
            for part in MemoryPart.allCases {
                let vectors = memory.rows(ClassID(index), part)
                let rows = end..<end + vectors.count / dimension
                if !rows.isEmpty { stretches.append(Stretch(vectors: vectors.baseAddress!, rows: rows)) }
                end = rows.upperBound
            }
            starts.append(end)
        }
    }

    var count: Int { starts.last! }

    var classes: Int { starts.count - 1 }

    /// A class's rows.
    func range(of classID: ClassID) -> Range<Int> { starts[classID.index]..<starts[classID.index + 1] }

    /// Writes where some rows lie.
    ///
    /// - Parameter rows: their numbers, ascending.
    func locate(_ rows: some Sequence<Int>, into vectors: UnsafeMutablePointer<UnsafePointer<Float>>) {
        stretches.withUnsafeBufferPointer { stretches in
            var current: Int?
            var written = 0
            for row in rows {
                var place = current ?? stretches.firstPlace { $0.rows.upperBound > row }
                while stretches[place].rows.upperBound <= row { place += 1 }
                vectors[written] = stretches[place].vectors + (row - stretches[place].rows.lowerBound) * dimension
                written += 1
                current = place
            }
        }
    }
}

extension UnsafeBufferPointer {
    /// Where `holds` begins to hold, as it does for everything after that.
    func firstPlace(_ holds: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
