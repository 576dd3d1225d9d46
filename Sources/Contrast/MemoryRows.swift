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
        var written = 0
        stretches.withUnsafeBufferPointer { stretches in
            stretches.visit(rows, within: { $0.rows }) { stretch, row in
                vectors[written] = stretch.vectors + (row - stretch.rows.lowerBound) * dimension
                written += 1
            }
        }
    }
}

extension UnsafeBufferPointer {
    /// Visits numbers, ascending, each with the element whose range it lies in; elements' ranges follow one another.
    @inline(__always) func visit(
        _ numbers: some Sequence<Int>, within range: (Element) -> Range<Int>, _ body: (Element, Int) -> Void
    ) {
        var place: Int?
        for number in numbers {
            // The first may be anywhere, the others are not far.
            var current = place ?? firstPlace { range($0).upperBound > number }
            while range(self[current]).upperBound <= number { current += 1 }
            body(self[current], number)
            place = current
        }
    }

    /// Where `holds` begins to hold, as it does for everything after that.
    private func firstPlace(_ holds: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
