import Basics
import Configuration

/// The anchors of one class in a mini-batch.
public struct ClassAnchors: Sendable, Equatable {
    public let classID: ClassID
    /// Flat pixel indices into `[B, h, w]` over the whole mini-batch, ascending.
    public let pixels: [Int]
    /// How many of them were mispredicted.
    public let mispredicted: Int
}

/// Picks the pixels that contrast starts from: per class present, `min(anchors, pixels)` of them, up to `hardAnchors` from
/// the class's mispredicted pixels and the rest from its remaining ones, without replacement.
///
/// Each pixel gets two random keys from `(seed, "anchor", step, pixel)`; the first draw takes the smallest first keys of
/// the mispredicted pixels, the second the smallest second keys of whatever remains. So both draws are uniform and
/// several ranks, each looking at its own images, can merge what they found.
public enum AnchorSelection {
    /// What one rank knows about one class: enough to decide the whole mini-batch's draw.
    public struct Candidates: Sendable, Equatable {
        struct Entry: Sendable, Equatable {
            let pixel: Int
            let key: UInt64
            let hard: Bool
        }

        public let classID: ClassID
        /// Pixels of the class, drawn or not.
        public internal(set) var available: Int
        /// The smallest first keys among the mispredicted pixels.
        var first: [Entry]
        /// The smallest second keys among all pixels of the class; as many more as the first draw may take away.
        var second: [Entry]
    }

    /// One rank's share of the selection.
    ///
    /// - Parameters:
    ///   - labels: at the embeddings' resolution.
    ///   - predictions: arg-maxed scores at the same resolution, `[B, h, w]`, before the update.
    ///   - firstImage: position of the first of these images in the mini-batch of all ranks.
    /// - Returns: one entry per class present, ascending; none where every pixel is ignored.
    /// - Throws: `ContrastError.shape` where predictions do not fit the labels, `.setting` for negative counts.
    public static func candidates(
        labels: LabelGrid, predictions: [UInt8], settings: ContrastSettings, seed: UInt64, step: UInt64,
        firstImage: Int = 0
    ) throws -> [Candidates] {
        guard predictions.count == labels.values.count else {
            throw ContrastError.shape("\(predictions.count) predictions for \(labels.values.count) labels")
        }
        guard settings.anchors >= 0, settings.hardAnchors >= 0 else {
            throw ContrastError.setting(
                "contrast.anchors \(settings.anchors) and contrast.hardAnchors \(settings.hardAnchors) must not be negative"
            )
        }
        let hardLimit = min(settings.anchors, settings.hardAnchors)
        var first = [SmallestKeys?](repeating: nil, count: 255)
        var second = first
        var counts = [Int](repeating: 0, count: 255)
        let offset = firstImage * labels.pixelsPerImage
        for (local, label) in labels.values.enumerated() where label != ClassID.ignore.rawValue {
            let c = Int(label)
            if first[c] == nil {
                first[c] = SmallestKeys(limit: hardLimit)
                second[c] = SmallestKeys(limit: settings.anchors + hardLimit)
            }
            let pixel = offset + local
            var keys = KeyedRandom(seed: seed, purpose: "anchor", step: step, index: UInt64(pixel))
            let firstKey = keys.next()
            counts[c] += 1
            if predictions[local] != label { first[c]!.offer(KeyedPixel(key: firstKey, pixel: pixel)) }
            second[c]!.offer(KeyedPixel(key: keys.next(), pixel: pixel))
        }
        return (0..<255).compactMap { c in
            guard let hard = first[c], let all = second[c] else { return nil }
            return Candidates(
                classID: ClassID(c), available: counts[c],
                first: hard.sorted().map { .init(pixel: $0.pixel, key: $0.key, hard: true) },
                second: all.sorted().map {
                    .init(pixel: $0.pixel, key: $0.key, hard: predictions[$0.pixel - offset] != UInt8(c))
                })
        }
    }

    /// The anchors of the whole mini-batch from every rank's candidates, by class, ascending; the order of the ranks does
    /// not matter.
    public static func merge(_ ranks: [[Candidates]], settings: ContrastSettings) -> [ClassAnchors] {
        var byClass = [Candidates?](repeating: nil, count: 255)
        for found in ranks.joined() {
            let c = found.classID.index
            guard byClass[c] != nil else {
                byClass[c] = found
                continue
            }
            byClass[c]!.available += found.available
            byClass[c]!.first += found.first
            byClass[c]!.second += found.second
        }
        func byKey(_ a: Candidates.Entry, _ b: Candidates.Entry) -> Bool { (a.key, a.pixel) < (b.key, b.pixel) }
        return byClass.compactMap { found in
            guard let found else { return nil }
            let wanted = min(settings.anchors, found.available)
            var drawn = Array(found.first.sorted(by: byKey).prefix(min(settings.hardAnchors, wanted)))
            let taken = Set(drawn.map(\.pixel))
            let rest = found.second.sorted(by: byKey).lazy.filter { !taken.contains($0.pixel) }
            drawn += rest.prefix(wanted - drawn.count)
            return ClassAnchors(
                classID: found.classID, pixels: drawn.map(\.pixel).sorted(),
                mispredicted: drawn.count(where: \.hard))
        }
    }
}
