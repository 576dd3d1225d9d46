import Basics

/// Candidates as the numbers that ranks exchange.
extension AnchorSelection.Candidates {
    /// Per class: class, available, and each draw's count and entries (pixel, key, hard).
    public static func encode(_ candidates: [AnchorSelection.Candidates]) -> [Int64] {
        var words: [Int64] = []
        for found in candidates {
            words += [Int64(found.classID.rawValue), Int64(found.available)]
            for draw in [found.first, found.second] {
                words.append(Int64(draw.count))
                for entry in draw {
                    words += [Int64(entry.pixel), Int64(bitPattern: entry.key), entry.hard ? 1 : 0]
                }
            }
        }
        return words
    }

    /// Reads what `encode` wrote.
    ///
    /// - Throws: `ContrastError.shape` for anything else: another rank runs another version.
    public static func decode(_ words: [Int64]) throws -> [AnchorSelection.Candidates] {
        var rest = words[...]
        func next() throws -> Int64 {
            guard let word = rest.popFirst() else {
                throw ContrastError.shape("another rank's candidates end after \(words.count) numbers")
            }
            return word
        }
        func entries() throws -> [Entry] {
            let count = try next()
            guard count >= 0, count <= rest.count / 3 else {
                throw ContrastError.shape("another rank's candidates promise \(count) pixels in \(rest.count) numbers")
            }
            return try (0..<count).map { _ in
                Entry(pixel: Int(try next()), key: UInt64(bitPattern: try next()), hard: try next() != 0)
            }
        }
        var found: [AnchorSelection.Candidates] = []
        while !rest.isEmpty {
            guard let label = UInt8(exactly: try next()) else {
                throw ContrastError.shape("another rank's candidates name a class beyond 255")
            }
            found.append(
                AnchorSelection.Candidates(
                    classID: ClassID(rawValue: label), available: Int(try next()), first: try entries(),
                    second: try entries()))
        }
        return found
    }
}

extension ClassAnchors {
    /// Of these anchors, those among the pixels of one rank.
    ///
    /// - Parameter pixels: the rank's, in the numbering of the whole mini-batch.
    /// - Returns: nil where there are none.
    public func within(_ pixels: Range<Int>) -> ClassAnchors? {
        let own = self.pixels.filter(pixels.contains)
        guard !own.isEmpty else { return nil }
        return ClassAnchors(classID: classID, pixels: own, mispredicted: mispredicted)
    }
}
