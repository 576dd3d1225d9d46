import Basics

/// The rows that a ticket may sample on one side, in the memory's order. A candidate's position among them is its "slot"
/// wherever ties are broken.
struct CandidateSet: Sendable {
    /// Candidates whose rows follow one another.
    private struct Stretch {
        var firstRow: Int
        var positions: Range<Int>
    }

    let memory: MemoryRows
    private(set) var count = 0
    private var stretches: [Stretch] = []

    /// - Parameters:
    ///   - limit: the search is restricted to a random `limit` entries per class; nil searches all.
    ///   - seed: the ticket's; the restriction is drawn from it and the class.
    init(_ memory: MemoryRows, classes: some Sequence<ClassID>, limit: Int? = nil, seed: UInt64 = 0) {
        self.memory = memory
        for classID in classes {
            let rows = memory.range(of: classID)
            if let limit, limit < rows.count {
                var stream = KeyedRandom(seed: seed, purpose: "candidates", index: UInt64(classID.rawValue))
                for i in stream.sortedSample(limit, of: rows.count) {
                    add(rows.lowerBound + i..<rows.lowerBound + i + 1)
                }
            } else if !rows.isEmpty {
                add(rows)
            }
        }
    }

    private mutating func add(_ rows: Range<Int>) {
        let positions = count..<count + rows.count
        if let last = stretches.last, last.firstRow + last.positions.count == rows.lowerBound {
            stretches[stretches.count - 1].positions = last.positions.lowerBound..<positions.upperBound
        } else {
            stretches.append(Stretch(firstRow: rows.lowerBound, positions: positions))
        }
        count = positions.upperBound
    }

    /// Writes which rows the candidates at some positions are.
    ///
    /// - Parameter positions: ascending.
    func rows(at positions: some Sequence<Int>, into rows: UnsafeMutablePointer<Int32>) {
        var written = 0
        stretches.withUnsafeBufferPointer { stretches in
            stretches.visit(positions, within: { $0.positions }) { stretch, position in
                rows[written] = Int32(truncatingIfNeeded: stretch.firstRow + position - stretch.positions.lowerBound)
                written += 1
            }
        }
    }

    /// Writes where the candidates at some positions lie.
    func locate(_ positions: Range<Int>, into vectors: UnsafeMutablePointer<UnsafePointer<Float>>) {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: positions.count) { rows in
            self.rows(at: positions, into: rows.baseAddress!)
            memory.locate(rows.lazy.map { Int($0) }, into: vectors)
        }
    }
}
