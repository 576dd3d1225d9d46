import CVectors

/// Finds the k largest of many similarities exactly, ties by position, without a sort.
///
/// A pass counts values in bins between the least and the largest; what lies above the k-th value's bin is taken, and only
/// values within it are compared with one another. Values must be finite.
struct ExtremeSelection {
    private static let bins = 2048
    private let counts = Scratch<UInt32>()
    private let upper = Scratch<Int32>()
    private let upperValues = Scratch<Float>()
    private let edge = Scratch<Int32>()
    private let edgeValues = Scratch<Float>()
    private let ranks = Scratch<UInt64>()

    /// Writes the positions of the `wanted` largest values to `result`, ascending.
    ///
    /// - Parameters:
    ///   - wanted: at most `count`; of equal values at the limit the ones with lower positions are taken.
    ///   - result: room for `wanted` positions.
    func select(
        _ wanted: Int, of values: UnsafePointer<Float>, count: Int, into result: UnsafeMutablePointer<Int32>
    ) {
        precondition(wanted <= count, "\(wanted) of \(count)")
        guard wanted > 0 else { return }
        guard wanted < count else {
            for i in 0..<count { result[i] = Int32(truncatingIfNeeded: i) }
            return
        }
        let bin = bin(ofLargest: wanted, values, count)
        let upper = self.upper.take(count + 16)
        let upperValues = self.upperValues.take(count + 16)
        let upperCount = cv_beyond(values, count, bin.lowerBound, 0, 0, upper, upperValues)
        let edge = self.edge.take(upperCount + 16)
        let edgeValues = self.edgeValues.take(upperCount + 16)
        let edgeCount = cv_beyond(upperValues, upperCount, bin.upperBound, 1, 0, edge, edgeValues)

        // Of those in the bin, the ones that do not come first by (value, position) are struck out.
        let needed = wanted - (upperCount - edgeCount)
        if needed < edgeCount {
            let ranks = self.ranks.take(edgeCount)
            for k in 0..<edgeCount { ranks[k] = Self.rank(edgeValues[k], position: edge[k]) }
            let limit = Self.nthSmallest(needed, of: UnsafeMutableBufferPointer(start: ranks, count: edgeCount))
            for k in 0..<edgeCount where Self.rank(edgeValues[k], position: edge[k]) >= limit {
                upperValues[Int(edge[k])] = -.infinity
            }
        }
        let kept = self.edge.take(upperCount + 16)
        let taken = cv_beyond(
            upperValues, upperCount, -Float.greatestFiniteMagnitude, 0, 0, kept, self.edgeValues.take(upperCount + 16))
        precondition(taken == wanted, "\(taken) of \(wanted) found")
        for i in 0..<wanted { result[i] = upper[Int(kept[i])] }
    }

    /// Bounds of the k-th largest value: fewer than k values lie above them, and at least k at them or above.
    private func bin(ofLargest k: Int, _ values: UnsafePointer<Float>, _ count: Int) -> ClosedRange<Float> {
        let largest = cv_largest(values, count)
        let least = cv_least(values, count)
        let scale = Float(Self.bins) / (largest - least)
        guard scale.isFinite else { return least...largest }
        let table = counts.take(Self.bins)
        cv_histogram(values, count, least, scale, Self.bins, table)
        var bin = Self.bins - 1
        var reached = Int(table[bin])
        while reached < k {
            bin -= 1
            reached += Int(table[bin])
        }
        // Rounding may put a value that is next to an edge into the bin beyond it.
        let slack = 1e-6 * (largest - least) + 2.5e-7 * max(abs(largest), abs(least))
        let lower = bin == 0 ? least : least + Float(bin) / scale - slack
        let upper = bin == Self.bins - 1 ? largest : least + Float(bin + 1) / scale + slack
        return lower...max(lower, upper)
    }

    /// A number that is smaller for larger values, then for lower positions. 0 and -0 are equal values.
    @inline(__always) private static func rank(_ value: Float, position: Int32) -> UInt64 {
        let bits = (value + 0).bitPattern
        let ascending = bits & 0x8000_0000 == 0 ? bits | 0x8000_0000 : ~bits
        return UInt64(~ascending) << 32 | UInt64(UInt32(bitPattern: position))
    }

    /// The n-th smallest of different numbers (Hoare's quickselect, median of three); reorders them.
    static func nthSmallest(_ n: Int, of items: UnsafeMutableBufferPointer<UInt64>) -> UInt64 {
        var low = 0
        var high = items.count - 1
        while high - low > 16 {
            let pivot = median(items[low], items[(low + high) / 2], items[high])
            var i = low
            var j = high
            while i <= j {
                while items[i] < pivot { i += 1 }
                while items[j] > pivot { j -= 1 }
                if i <= j {
                    items.swapAt(i, j)
                    i += 1
                    j -= 1
                }
            }
            if n <= j { high = j } else if n >= i { low = i } else { return items[n] }
        }
        var rest = UnsafeMutableBufferPointer(rebasing: items[low...high])
        rest.sort()
        return items[n]
    }

    private static func median(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> UInt64 {
        max(min(a, b), min(max(a, b), c))
    }
}
