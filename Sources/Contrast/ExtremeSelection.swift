import CVectors

/// Finds the k largest or smallest of many similarities exactly, ties by position, without a sort.
///
/// Of many values a guess, from a few of them, leaves little more than the k; where it leaves fewer, all are looked at.
/// Then a pass counts values in bins of width 2⁻¹⁰ or finer; the bins before the k-th value's are taken whole by the
/// next pass, and only that one bin's values are compared with one another. Values must be finite and lie within ±2;
/// unit vectors' similarities do.
struct ExtremeSelection {
    private static let bins = 8192
    /// Two tables take turns, or equal neighbours would wait for each other's increment.
    private let counts = Scratch<UInt32>()
    private let edge = Scratch<Int32>()
    private let order = Scratch<UInt64>()
    private let sure = Scratch<Int32>()
    private let guessed = Scratch<Int32>()
    private let guessedValues = Scratch<Float>()

    enum End { case largest, smallest }

    /// Writes the positions of the `wanted` most extreme values to `result`, ascending.
    ///
    /// - Parameters:
    ///   - wanted: at most `count`; of equal values at the limit the ones with lower positions are taken.
    ///   - result: room for `wanted` positions.
    func select(
        _ wanted: Int, at end: End, of values: UnsafePointer<Float>, count: Int,
        into result: UnsafeMutablePointer<Int32>
    ) {
        precondition(wanted <= count, "\(wanted) of \(count)")
        guard wanted > 0 else { return }
        guard wanted < count else {
            for i in 0..<count { result[i] = Int32(truncatingIfNeeded: i) }
            return
        }
        guard let guess = guess(wanted, at: end, values, count) else {
            return selectExactly(wanted, at: end, of: values, count: count, into: result)
        }
        let positions = guessed.take(count + 16)
        let found = guessedValues.take(count + 16)
        let kept = cv_beyond(values, count, guess, end == .smallest ? 1 : 0, positions, found)
        guard kept >= wanted else {
            return selectExactly(wanted, at: end, of: values, count: count, into: result)
        }
        // All that is beyond the guess, in order: the same values win, and the same of equal ones.
        selectExactly(wanted, at: end, of: found, count: kept, into: result)
        for i in 0..<wanted { result[i] = positions[Int(result[i])] }
    }

    /// A value that, likely, a few more than `wanted` values reach; nil where looking for one does not pay.
    private func guess(
        _ wanted: Int, at end: End, _ values: UnsafePointer<Float>, _ count: Int
    ) -> Float? {
        let samples = 512
        guard count >= 8 * samples else { return nil }
        let expected = Float(samples) * Float(wanted) / Float(count)
        // Three deviations of a binomial count and a little: one guess in a thousand is too narrow.
        let taken = Int(expected + 3 * expected.squareRoot()) + 4
        guard taken < samples / 2 else { return nil }
        let sign: Float = end == .largest ? 1 : -1
        let step = count / samples
        let order = self.order.take(samples)
        for k in 0..<samples { order[k] = Self.rank(sign * values[k * step], position: Int32(k)) }
        let last = Self.nthSmallest(taken - 1, of: UnsafeMutableBufferPointer(start: order, count: samples))
        return values[Int(last & 0xffff_ffff) * step]
    }

    /// - Precondition: `0 < wanted <= count`.
    private func selectExactly(
        _ wanted: Int, at end: End, of values: UnsafePointer<Float>, count: Int,
        into result: UnsafeMutablePointer<Int32>
    ) {
        guard wanted < count else {
            for i in 0..<count { result[i] = Int32(truncatingIfNeeded: i) }
            return
        }
        let sign: Float = end == .largest ? 1 : -1
        let (limitBin, before, inBin) = limit(wanted, sign: sign, values, count)

        // Eight values at a time: most groups have none that reaches the limit's bin. In the others both lists are written
        // at every step and advance where the value belongs, without a branch to mispredict.
        let sure = self.sure.take(before + 1)
        let edge = self.edge.take(inBin + 1)
        var sureCount = 0
        var edgeCount = 0
        func sort(_ i: Int) {
            let bin = Self.bin(sign * values[i])
            sure[sureCount] = Int32(truncatingIfNeeded: i)
            edge[edgeCount] = Int32(truncatingIfNeeded: i)
            sureCount &+= bin > limitBin ? 1 : 0
            edgeCount &+= bin == limitBin ? 1 : 0
        }
        let floor = SIMD8<Float>(repeating: Self.floor(ofBin: limitBin))
        let raw = UnsafeRawPointer(values)
        var start = 0
        while start + 8 <= count {
            let group = raw.loadUnaligned(fromByteOffset: 4 * start, as: SIMD8<Float>.self)
            if any(group * sign + 4 .>= floor) {
                for i in start..<start + 8 { sort(i) }
            }
            start += 8
        }
        while start < count {
            sort(start)
            start += 1
        }

        // Of the limit's bin, those that come first by (value, position).
        let needed = wanted - before
        let order = self.order.take(inBin)
        for k in 0..<inBin { order[k] = Self.rank(sign * values[Int(edge[k])], position: edge[k]) }
        let ranks = UnsafeMutableBufferPointer(start: order, count: inBin)
        let last = Self.nthSmallest(needed - 1, of: ranks)
        var kept = 0
        for k in 0..<inBin where Self.rank(sign * values[Int(edge[k])], position: edge[k]) <= last {
            edge[kept] = edge[k]
            kept += 1
        }

        // Merge the two ascending lists.
        var a = 0
        var b = 0
        for k in 0..<wanted {
            if b == needed || (a < before && sure[a] < edge[b]) {
                result[k] = sure[a]
                a += 1
            } else {
                result[k] = edge[b]
                b += 1
            }
        }
    }

    /// The bin of the `wanted`-th value from the top, how many values lie above that bin, and how many in it.
    private func limit(
        _ wanted: Int, sign: Float, _ values: UnsafePointer<Float>, _ count: Int
    ) -> (bin: Int, before: Int, inBin: Int) {
        let table = counts.take(2 * Self.bins)
        table.update(repeating: 0, count: 2 * Self.bins)
        let other = table + Self.bins
        var i = 0
        while i + 1 < count {
            table[Self.bin(sign * values[i])] &+= 1
            other[Self.bin(sign * values[i + 1])] &+= 1
            i += 2
        }
        if i < count { table[Self.bin(sign * values[i])] &+= 1 }
        var before = 0
        var bin = Self.bins - 1
        while true {
            let inBin = Int(table[bin]) + Int(other[bin])
            if before + inBin >= wanted { return (bin, before, inBin) }
            before += inBin
            bin -= 1
        }
    }

    /// Which bin a value falls into; never decreases as the value grows.
    ///
    /// Within [2, 8) the bits of a Float32 grow with it and have equal top bits, so value + 4 needs only a shift. The mask
    /// keeps any other value inside the table.
    @inline(__always) private static func bin(_ value: Float) -> Int {
        Int(truncatingIfNeeded: ((value + 4).bitPattern &>> 11) & 0x1fff)
    }

    /// The least `value + 4` that falls into a bin.
    private static func floor(ofBin bin: Int) -> Float { Float(bitPattern: 0x4000_0000 + UInt32(bin) << 11) }

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
