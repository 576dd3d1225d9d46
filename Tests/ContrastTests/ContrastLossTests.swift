import Basics
import Configuration
import Foundation
import Testing

@testable import Contrast

@Suite struct ContrastLossTests {
    private func evaluate(_ p: [Float], _ n: [Float], _ t: Float) -> (loss: Double, wp: [Float], wn: [Float]) {
        var wp = [Float](repeating: .nan, count: p.count)
        var wn = [Float](repeating: .nan, count: n.count)
        let loss = p.withUnsafeBufferPointer { p in
            n.withUnsafeBufferPointer { n in
                ContrastLoss.evaluate(
                    positives: p, negatives: n, temperature: t, positiveWeights: &wp, negativeWeights: &wn)
            }
        }
        return (loss, wp, wn)
    }

    @Test func equalsTheFormula() {
        for seed in 0..<50 as Range<UInt64> {
            var stream = KeyedRandom(seed: seed, purpose: "test")
            let p = (0..<1 + stream.below(20)).map { _ in stream.uniform(-1, 1) }
            let n = (0..<1 + stream.below(20)).map { _ in stream.uniform(-1, 1) }
            let t = stream.uniform(0.05, 1)
            let total = n.reduce(0.0) { $0 + exp(Double($1) / Double(t)) }
            let expected =
                p.reduce(0.0) { $0 - log(exp(Double($1) / Double(t)) / (exp(Double($1) / Double(t)) + total)) }
                / Double(p.count)
            let (loss, wp, wn) = evaluate(p, n, t)
            #expect(abs(loss - expected) < 1e-12 * max(1, expected), "seed \(seed)")
            // Pull and push balance: a common shift of all similarities changes nothing.
            let balance = (wp + wn).reduce(0.0) { $0 + Double($1) }
            #expect(abs(balance) < 1e-5 / Double(t), "seed \(seed)")
            #expect(wp.allSatisfy { $0 <= 0 } && wn.allSatisfy { $0 >= 0 })
        }
    }

    @Test func extremeTemperaturesAndSimilaritiesStayFinite() {
        for t: Float in [1e-6, 1e-3, 0.1, 1e6] {
            for p: Float in [-1, 0, 1] {
                for n: Float in [-1, 0, 1] {
                    let (loss, wp, wn) = evaluate([p, p], [n, n, -1], t)
                    #expect(loss.isFinite && loss >= 0 && (wp + wn).allSatisfy(\.isFinite), "t \(t) p \(p) n \(n)")
                }
            }
        }
        // Far apart, the loss is the distance over the temperature, to the last bit but the count of negatives.
        #expect(abs(evaluate([-1], [1], 1e-3).loss - 2000) < 1e-3)
        #expect(evaluate([1], [-1], 1e-3).loss < 1e-300)
    }

    /// A positive's own denominator holds that positive and the negatives, not the other positives.
    @Test func positivesDoNotCompeteWithEachOther() {
        let alone = evaluate([0.3], [0.1, 0.2], 0.1).loss
        let twice = evaluate([0.3, 0.3], [0.1, 0.2], 0.1).loss
        #expect(abs(alone - twice) < 1e-14)
    }
}

private enum ParityKit {
    static let folder =
        ProcessInfo.processInfo.environment["PICOFLOW_PARITY_DIR"]
        ?? URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("ModelsTests/Parity").path
    static let file = folder + "/contrast_loss.json"
    static var isThere: Bool { FileManager.default.fileExists(atPath: file) }

    /// The kit's streams: 24 random bits per number, SplitMix64 seeded with the name's FNV-1a hash.
    static func uniform(_ name: String, _ count: Int) -> [Double] {
        var state = name.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return (0..<count).map { _ in
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return Double((z ^ (z >> 31)) >> 40) * 0x1p-24
        }
    }

    static func row(_ name: String, centre: String, _ count: Int) -> [Float] {
        let sum = zip(uniform(centre, count), uniform(name, count)).map { (2 * $0 - 1) + (2 * $1 - 1) }
        let length = sum.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return sum.map { Float($0 / length) }
    }

    struct Case: Decodable {
        let salt: String
        let temperature: Float
        let dimension: Int
        let anchor_classes: [Int]
        let pixel_sizes: [Int]
        let region_sizes: [Int]
        let anchor0_first4: [Double]
        let loss_sum: Double
        let loss_mean: Double
        let loss_per_anchor: [Double]
        let anchors_used: Int
        let gradient: [[Double]]
    }
}

@Suite struct ContrastLossParityTests {
    @Test(.enabled(if: ParityKit.isThere, "no parity kit at \(ParityKit.file); set PICOFLOW_PARITY_DIR"))
    func contrastLossParity() throws {
        let kit = try JSONDecoder().decode(
            ParityKit.Case.self, from: Data(contentsOf: URL(fileURLWithPath: ParityKit.file)))
        let D = kit.dimension
        func centre(_ c: Int) -> String { "\(kit.salt).center.\(c)" }
        let memory = try makeMemory(
            dimension: D,
            kit.pixel_sizes.indices.map { c in
                (
                    pixels: (0..<kit.pixel_sizes[c]).flatMap {
                        ParityKit.row("\(kit.salt).pixel.\(c).\($0)", centre: centre(c), D)
                    },
                    regions: (0..<kit.region_sizes[c]).flatMap {
                        ParityKit.row("\(kit.salt).region.\(c).\($0)", centre: centre(c), D)
                    }
                )
            })
        let anchors = kit.anchor_classes.enumerated().map {
            ParityKit.row("\(kit.salt).anchor.\($0)", centre: centre($1), D)
        }
        for k in 0..<4 { #expect(abs(Double(anchors[0][k]) - kit.anchor0_first4[k]) < 1e-7) }

        // Everything is sampled, by every strategy that can; the sum of the classes is the whole.
        for strategy in [SamplerSettings.Strategy.random, .hardest, .semiHard] {
            var loss = 0.0
            var used = 0
            var gradient = [Float](repeating: 0, count: anchors.count * D)
            for c in kit.pixel_sizes.indices {
                let own = kit.anchor_classes.indices.filter { kit.anchor_classes[$0] == c }
                let output = try Miner().mine(
                    MiningInput(
                        classID: ClassID(c), anchors: own.flatMap { anchors[$0] }, dimension: D,
                        temperature: kit.temperature,
                        sampler: samplerSettings(strategy, pool: 1), synthesis: synthesisSettings(false), seed: 1),
                    memory: memory)
                #expect(abs(output.lossSum - own.reduce(0) { $0 + kit.loss_per_anchor[$1] }) < 2e-6)
                loss += output.lossSum
                used += output.contributing
                for (i, anchor) in own.enumerated() {
                    for k in 0..<D { gradient[anchor * D + k] = output.gradient[i * D + k] }
                }
            }
            #expect(used == kit.anchors_used)
            #expect(abs(loss - kit.loss_sum) < 5e-6 * kit.loss_sum)
            #expect(abs(loss / Double(used) - kit.loss_mean) < 5e-6 * kit.loss_mean)
            // The kit reports 1.7e-7 for torch in Float32; its products are summed in another order.
            let mean = gradient.map { $0 / Float(used) }
            #expect(relativeError(mean, kit.gradient.flatMap { $0 }) < 2e-6)
        }
    }

    private struct Reference: Decodable {
        struct Gradient: Decodable {
            let norm: Double
            let first4: [Double]
        }
        let temperature: Float
        let classes: [Int]
        let views: Int
        let queue: [Int]
        let formula_loss: Double
        let reference_loss: Double
        let formula_gradient: Gradient
    }

    /// The published code leaves class 0's queue in place as zero vectors, drops some positives and rescales; the loss here
    /// is the formula's.
    @Test func lossIsTheFormulasWhereThePublishedCodeDeparts() throws {
        let path = ParityKit.folder + "/contrast_reference.json"
        let kit = try JSONDecoder().decode(Reference.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
        let D = 256
        func centre(_ c: Int) -> String { "contrastref.center.\(c)" }
        let memory = try makeMemory(
            dimension: D,
            (0..<kit.queue[0]).map { c in
                // Class 0 is in no queue of theirs.
                let rows = c == 0 ? 0 : kit.queue[1]
                return (
                    pixels: (0..<rows).flatMap { ParityKit.row("contrastref.queue.\(c).\($0)", centre: centre(c), D) },
                    regions: []
                )
            })
        var loss = 0.0
        var gradient: [Float] = []
        for c in kit.classes {
            let anchors = (0..<kit.views).flatMap {
                ParityKit.row("contrastref.anchor.\(c).\($0)", centre: centre(c), D)
            }
            let output = try Miner().mine(
                MiningInput(
                    classID: ClassID(c), anchors: anchors, dimension: D, temperature: kit.temperature,
                    sampler: samplerSettings(.random, pool: 1), synthesis: synthesisSettings(false), seed: 1),
                memory: memory)
            #expect(output.contributing == kit.views)
            loss += output.lossSum
            gradient += output.gradient
        }
        let count = Double(kit.classes.count * kit.views)
        #expect(abs(loss / count - kit.formula_loss) < 5e-6 * kit.formula_loss)
        #expect(abs(loss / count - kit.reference_loss) > 0.1)
        let norm = gradient.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() / count
        #expect(abs(norm - kit.formula_gradient.norm) < 1e-5 * norm)
        for (mine, theirs) in zip(gradient, kit.formula_gradient.first4) {
            #expect(abs(Double(mine) / count - theirs) < 1e-6)
        }
    }
}
