import Basics
import Configuration
import Foundation

@testable import Contrast

/// Mining as the paper's sentences say it: plain loops, full sorts, Float64, no tiles. Slow and meant to be obviously right.
struct ReferenceMining {
    struct Result {
        var loss = 0.0
        var gradient: [Double] = []
        var contributing = 0
        var skipped = 0
        var positiveSimilarity = 0.0
        var negativeSimilarity = 0.0
        /// Per anchor, positions in the canonical order.
        var positives: [[Int]] = []
        var negatives: [[Int]] = []
    }

    let memory: Memory
    let input: MiningInput

    func run() -> Result {
        let D = input.dimension
        let own = candidates { $0 == input.classID }
        let others = candidates { $0 != input.classID }
        var result = Result()
        for a in 0..<input.anchorCount {
            let anchor = input.anchors[a * D..<(a + 1) * D].map { Double($0) }
            let P = sample(own, anchor, a, positives: true)
            let N = sample(others, anchor, a, positives: false)
            guard !P.isEmpty, !N.isEmpty else {
                result.skipped += 1
                result.gradient += [Double](repeating: 0, count: D)
                continue
            }
            result.contributing += 1
            result.positives.append(P)
            result.negatives.append(N)
            let p = P.map { own[$0] }
            var n = N.map { others[$0] }
            n += synthesise(anchor, a, n)
            let sp = p.map { dot(anchor, $0) }
            let sn = n.map { dot(anchor, $0) }
            result.positiveSimilarity += sp.reduce(0, +) / Double(sp.count)
            result.negativeSimilarity += sn.reduce(0, +) / Double(sn.count)
            let (loss, gradient) = Self.loss(p, n, anchor, Double(input.temperature))
            result.loss += loss
            result.gradient += gradient
        }
        return result
    }

    /// L_i and its gradient, straight from the formula.
    static func loss(_ p: [[Double]], _ n: [[Double]], _ anchor: [Double], _ t: Double) -> (Double, [Double]) {
        var loss = 0.0
        var gradient = [Double](repeating: 0, count: anchor.count)
        let en = n.map { exp(dot(anchor, $0) / t) }
        let total = en.reduce(0, +)
        for row in p {
            let e = exp(dot(anchor, row) / t)
            let denominator = e + total
            loss += -log(e / denominator)
            for k in anchor.indices {
                var pulled = e * row[k]
                for (weight, negative) in zip(en, n) { pulled += weight * negative[k] }
                gradient[k] += (pulled / denominator - row[k]) / t
            }
        }
        return (loss / Double(p.count), gradient.map { $0 / Double(p.count) })
    }

    /// Class ascending, pixels before regions, slot ascending.
    private func candidates(_ belongs: (ClassID) -> Bool) -> [[Double]] {
        var all: [[Double]] = []
        for c in 0..<memory.shape.classes where belongs(ClassID(c)) {
            var entries: [[Double]] = []
            for part in [MemoryPart.pixels, .regions] {
                for slot in 0..<memory.filled(ClassID(c), part) {
                    entries.append(memory.vector(ClassID(c), part, slot: slot).map { Double($0) })
                }
            }
            if let limit = input.sampler.candidates, limit < entries.count {
                var stream = KeyedRandom(seed: input.seed, purpose: "candidates", index: UInt64(c))
                entries = stream.sample(limit, of: entries.count).sorted().map { entries[$0] }
            }
            all += entries
        }
        return all
    }

    private func sample(_ rows: [[Double]], _ anchor: [Double], _ index: Int, positives: Bool) -> [Int] {
        guard !rows.isEmpty else { return [] }
        let K = positives ? input.sampler.positives : input.sampler.negatives
        let similarity = rows.map { dot(anchor, $0) }
        let order = rows.indices.sorted { a, b in
            if similarity[a] != similarity[b] { return (similarity[a] > similarity[b]) != positives }
            return a < b
        }
        let pool: [Int]
        switch input.sampler.strategy {
        case .random: pool = Array(rows.indices)
        case .hardest: pool = Array(order.prefix(K))
        case .semiHard: pool = Array(order.prefix(max(1, Int(Float(rows.count) * input.sampler.pool))))
        }
        guard pool.count > K else { return pool.sorted() }
        var stream = KeyedRandom(seed: input.seed, purpose: "sample", step: positives ? 0 : 1, index: UInt64(index))
        let inSlotOrder = pool.sorted()
        return stream.sample(K, of: pool.count).map { inSlotOrder[$0] }.sorted()
    }

    private func synthesise(_ anchor: [Double], _ index: Int, _ negatives: [[Double]]) -> [[Double]] {
        let settings = input.synthesis
        guard settings.enabled else { return [] }
        let similarity = negatives.map { dot(anchor, $0) }
        let hard = negatives.indices.sorted { (-similarity[$0], $0) < (-similarity[$1], $1) }
            .prefix(settings.hardest).sorted().map { negatives[$0] }
        guard !hard.isEmpty else { return [] }
        func open(_ stream: inout KeyedRandom) -> Double {
            var value = stream.uniform()
            while value == 0 { value = stream.uniform() }
            return Double(value)
        }
        func mix(_ a: [Double], _ b: [Double], _ weight: Double) -> [Double] {
            let sum = zip(a, b).map { weight * $0 + (1 - weight) * $1 }
            let length = dot(sum, sum).squareRoot()
            return sum.map { $0 / length }
        }
        var made: [[Double]] = []
        if hard.count > 1 {
            var stream = KeyedRandom(seed: input.seed, purpose: "synthesis", step: 0, index: UInt64(index))
            for _ in 0..<settings.pairs {
                let i = stream.below(hard.count)
                var j = stream.below(hard.count - 1)
                if j >= i { j += 1 }
                made.append(mix(hard[i], hard[j], open(&stream)))
            }
        }
        var stream = KeyedRandom(seed: input.seed, purpose: "synthesis", step: 1, index: UInt64(index))
        for _ in 0..<settings.anchorMixes {
            let j = stream.below(hard.count)
            made.append(mix(anchor, hard[j], 0.5 * open(&stream)))
        }
        return made
    }
}

func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
