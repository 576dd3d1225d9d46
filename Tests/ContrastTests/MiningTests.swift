import Basics
import Configuration
import Testing

@testable import Contrast

private let strategies = SamplerSettings.Strategy.allCases

/// Classes around centres of their own, with different numbers of pixels and regions.
private func clusteredMemory(_ sizes: [(Int, Int)], dimension: Int, seed: UInt64, spread: Float = 1) throws -> Memory {
    try makeMemory(
        dimension: dimension,
        sizes.enumerated().map { c, size in
            (
                pixels: clusteredRows(
                    size.0, dimension: dimension, spread: spread, seed: seed, index: UInt64(c), centre: UInt64(c)),
                regions: clusteredRows(
                    size.1, dimension: dimension, spread: spread, seed: seed, index: 100 + UInt64(c), centre: UInt64(c))
            )
        })
}

private func signMemory(_ sizes: [(Int, Int)], dimension: Int, seed: UInt64) throws -> Memory {
    try makeMemory(
        dimension: dimension,
        sizes.enumerated().map { c, size in
            let flips = 0.2 + 0.6 * Float(c) / Float(sizes.count)
            return (
                pixels: signRows(size.0, dimension: dimension, flips: flips, seed: seed, index: UInt64(c)),
                regions: signRows(size.1, dimension: dimension, flips: flips, seed: seed, index: 100 + UInt64(c))
            )
        })
}

private func input(
    _ classID: ClassID, anchors: [Float], dimension: Int, sampler: SamplerSettings,
    synthesis: SynthesisSettings = synthesisSettings(false),
    seed: UInt64 = 5, temperature: Float = 0.1
) -> MiningInput {
    MiningInput(
        classID: classID, anchors: anchors, dimension: dimension, temperature: temperature, sampler: sampler,
        synthesis: synthesis, seed: seed)
}

private func expectMatches(_ output: MiningOutput, _ reference: ReferenceMining.Result, _ note: String) {
    // Similarities are Float32 with an error of about 2e-7, which the temperature makes 2e-6.
    #expect(abs(output.lossSum - reference.loss) <= 2e-5 * max(reference.loss, 1e-3), "\(note)")
    #expect(relativeError(output.gradient, reference.gradient) < 2e-5, "\(note)")
    #expect(output.contributing == reference.contributing && output.skipped == reference.skipped, "\(note)")
    #expect(
        abs(output.positiveSimilarity - reference.positiveSimilarity) < 1e-5 * Double(output.contributing + 1),
        "\(note)")
    #expect(
        abs(output.negativeSimilarity - reference.negativeSimilarity) < 1e-5 * Double(output.contributing + 1),
        "\(note)")
}

@Suite struct MiningTests {
    /// Similarities are exact here and ties are everywhere: any slip in selection or tie-breaking shows.
    @Test(arguments: strategies, [false, true]) func equalsThePlainReferenceOnSmallMemories(
        strategy: SamplerSettings.Strategy, synthesis: Bool
    ) throws {
        for seed in 0..<12 as Range<UInt64> {
            var stream = KeyedRandom(seed: seed, purpose: "test")
            let sizes = (0..<4).map { _ in (stream.below(40), stream.below(12)) }
            let memory = try signMemory(sizes, dimension: 16, seed: seed)
            let anchors = signRows(5, dimension: 16, flips: 0.4, seed: seed, index: 999)
            for c in 0..<4 {
                for (kp, kn) in [(1, 1), (3, 7), (20, 30), (1000, 1000)] {
                    for (pool, candidates) in [(0.1, nil), (0.5, nil), (1, nil), (0.3, 9)] as [(Float, Int?)] {
                        let ticket = input(
                            ClassID(c), anchors: anchors, dimension: 16,
                            sampler: samplerSettings(
                                strategy, positives: kp, negatives: kn, pool: pool, candidates: candidates),
                            synthesis: synthesisSettings(synthesis, hardest: 6, pairs: 5, anchorMixes: 4), seed: seed)
                        let output = try Miner().mine(ticket, memory: memory)
                        expectMatches(
                            output, ReferenceMining(memory: memory, input: ticket).run(),
                            "seed \(seed) class \(c) K \(kp), \(kn) pool \(pool) candidates \(candidates ?? 0)")
                    }
                }
            }
        }
    }

    @Test(arguments: strategies) func equalsThePlainReferenceOnAMediumMemory(strategy: SamplerSettings.Strategy) throws
    {
        // More than one tile, tiles across classes, a padded last one.
        let sizes = [(700, 40), (0, 0), (1300, 90), (333, 7)]
        for (dimension, memory) in [
            (64, try signMemory(sizes, dimension: 64, seed: 3)),
            (48, try clusteredMemory(sizes, dimension: 48, seed: 4)),
        ] {
            let anchors =
                dimension == 64
                ? signRows(6, dimension: 64, flips: 0.4, seed: 9)
                : clusteredRows(6, dimension: 48, spread: 1, seed: 4, index: 50, centre: 2)
            for c in [0, 2] {
                let ticket = input(
                    ClassID(c), anchors: anchors, dimension: dimension,
                    sampler: samplerSettings(strategy, positives: 50, negatives: 100),
                    synthesis: synthesisSettings(true, hardest: 40, pairs: 20, anchorMixes: 10))
                expectMatches(
                    try Miner().mine(ticket, memory: memory), ReferenceMining(memory: memory, input: ticket).run(),
                    "dimension \(dimension) class \(c)")
            }
        }
    }

    @Test(arguments: strategies) func threadsAndReuseChangeNoBit(strategy: SamplerSettings.Strategy) throws {
        let memory = try clusteredMemory([(900, 60), (1500, 60), (700, 60)], dimension: 64, seed: 6)
        let reused = Miner()
        for count in [1, 7, 50] {
            let ticket = input(
                1, anchors: clusteredRows(count, dimension: 64, spread: 1, seed: 6, index: 70, centre: 1),
                dimension: 64,
                sampler: samplerSettings(strategy, positives: 60, negatives: 90),
                synthesis: synthesisSettings(true, hardest: 50, pairs: 9, anchorMixes: 5))
            let alone = try Miner().mine(ticket, memory: memory)
            #expect(alone.contributing == count)
            for threads in [2, 3, 5] {
                #expect(try Miner().mine(ticket, memory: memory, threads: threads) == alone)
            }
            #expect(try reused.mine(ticket, memory: memory) == alone)
        }
    }

    /// Tickets of all kinds: several classes, some twice, with settings of their own, and some that cannot be mined.
    @Test func ticketsTogetherGiveWhatEachAloneGives() throws {
        let memory = try clusteredMemory([(900, 60), (1500, 60), (0, 0), (700, 60)], dimension: 64, seed: 6)
        let tickets = (0..<30 as Range<UInt64>).map { index in
            let classID = ClassID([0, 1, 3, 2, 1][Int(index % 5)])
            var sampler = samplerSettings(
                index < 20 ? .semiHard : strategies[Int(index) % strategies.count],
                positives: 60, negatives: 90 + Int(index % 3))
            if index % 7 == 3 { sampler.candidates = 300 }
            if index == 7 { sampler.pool = 2 }
            return input(
                classID,
                anchors: clusteredRows(
                    1 + 3 * Int(index % 7), dimension: 64, spread: 1, seed: 6, index: index,
                    centre: UInt64(classID.index)),
                dimension: 64, sampler: sampler,
                synthesis: synthesisSettings(index % 2 == 0, hardest: 50, pairs: 9, anchorMixes: 5), seed: index,
                temperature: index % 4 == 0 ? 0.2 : 0.1)
        }
        let alone = tickets.map { ticket in try? Miner().mine(ticket, memory: memory) }
        #expect(alone.count { $0 == nil } == 1 && alone.count { $0?.contributing == 0 } == 6)
        // Samples and lists that leave room for one ticket at a time, for some and for all.
        for (threads, sampleLimit, listLimit) in [
            (1, 1 << 30, 1 << 30), (3, 1 << 30, 50_000), (2, 30_000, 1), (8, 0, 0),
        ] {
            let miner = Miner()
            miner.sampleLimit = sampleLimit
            miner.poolSearch.listLimit = listLimit
            let together = miner.mine(tickets, memory: memory, threads: threads)
            #expect(together.map { try? $0.get() } == alone, "\(threads) threads")
            #expect(throws: ContrastError.self) { try together[7].get() }
        }
        #expect(Miner().mine([], memory: memory).isEmpty)
    }

    @Test func anchorsInGroupsGiveWhatAllAtOnceGive() throws {
        let memory = try signMemory([(900, 20), (1500, 20)], dimension: 64, seed: 6)
        let ticket = input(
            0, anchors: signRows(21, dimension: 64, flips: 0.5, seed: 1), dimension: 64,
            sampler: samplerSettings(.semiHard, positives: 60, negatives: 90))
        let small = Miner()
        small.poolSearch.listLimit = 1
        #expect(try small.mine(ticket, memory: memory) == Miner().mine(ticket, memory: memory))
    }

    @Test(arguments: strategies) func classesThatCannotContrastAreCountedAndGiveZerosNotNaN(
        strategy: SamplerSettings.Strategy
    ) throws {
        let rows = clusteredRows(4, dimension: 16, spread: 1, seed: 1, index: 1)
        let settings = samplerSettings(strategy)
        func mine(_ memory: Memory, _ anchors: [Float], _ settings: SamplerSettings = settings) throws -> MiningOutput {
            try Miner().mine(
                input(0, anchors: anchors, dimension: 16, sampler: settings, synthesis: synthesisSettings(true)),
                memory: memory)
        }
        let nothing = MiningOutput.nothing(anchors: 4, dimension: 16)
        #expect(nothing.skipped == 4 && nothing.gradient == [Float](repeating: 0, count: 64))
        // Nothing at all; negatives only (a class never seen); positives only; one of each kind asked for none.
        #expect(try mine(makeMemory(dimension: 16, [([], []), ([], [])]), rows) == nothing)
        #expect(try mine(makeMemory(dimension: 16, [([], []), (rows, rows)]), rows) == nothing)
        #expect(try mine(makeMemory(dimension: 16, [(rows, rows), ([], [])]), rows) == nothing)
        let full = try makeMemory(dimension: 16, [(rows, rows), (rows, [])])
        #expect(try mine(full, rows, samplerSettings(strategy, positives: 0)) == nothing)
        #expect(try mine(full, rows, samplerSettings(strategy, negatives: 0)) == nothing)
        #expect(try mine(full, []) == .nothing(anchors: 0, dimension: 16))
        // One positive and one negative are enough.
        let least = try mine(makeMemory(dimension: 16, [([], Array(rows[..<16])), (Array(rows[16..<32]), [])]), rows)
        #expect(least.contributing == 4 && least.skipped == 0 && least.lossSum.isFinite && least.lossSum > 0)
    }

    @Test func classZeroIsMinedAndServesAsNegative() throws {
        let memory = try clusteredMemory([(20, 5), (20, 5)], dimension: 16, seed: 2)
        for c in 0..<2 {
            let ticket = input(
                ClassID(c), anchors: memory.vector(ClassID(c), .pixels, slot: 0), dimension: 16,
                sampler: samplerSettings(.random))
            let output = try Miner().mine(ticket, memory: memory)
            #expect(output.contributing == 1)
            expectMatches(output, ReferenceMining(memory: memory, input: ticket).run(), "class \(c)")
        }
    }

    /// Zero vectors of unfilled slots would be negatives with similarity 0 and lower the mean.
    @Test(arguments: strategies) func unfilledSlotsAreNeverSampled(strategy: SamplerSettings.Strategy) throws {
        let one = unit((0..<16).map { $0 == 0 ? 1 : 0 })
        // One row of each class, room for a thousand.
        let memory = try makeMemory(dimension: 16, [(one, []), (one, [])], spare: 1000)
        let output = try Miner().mine(
            input(0, anchors: one, dimension: 16, sampler: samplerSettings(strategy)), memory: memory)
        #expect(output.negativeSimilarity == 1 && output.positiveSimilarity == 1)
    }

    /// The reference code masked column i of the queue for anchor i, though the queue does not hold the anchors.
    @Test func noColumnIsMasked() throws {
        let memory = try clusteredMemory([(6, 2), (5, 3)], dimension: 16, seed: 8)
        // The anchors equal the first entries: each of them is a positive like any other.
        let anchors = (0..<3).flatMap { memory.vector(0, .pixels, slot: $0) }
        let output = try Miner().mine(
            input(0, anchors: anchors, dimension: 16, sampler: samplerSettings(.random)), memory: memory)
        var expected = 0.0
        for a in 0..<3 {
            let anchor = anchors[a * 16..<(a + 1) * 16].map { Double($0) }
            for part in MemoryPart.allCases {
                for slot in 0..<memory.filled(0, part) {
                    expected += dot(anchor, memory.vector(0, part, slot: slot).map { Double($0) }) / 8
                }
            }
        }
        #expect(abs(output.positiveSimilarity - expected) < 1e-5)
    }

    @Test func badTicketsAreRefused() throws {
        let memory = try clusteredMemory([(5, 5), (5, 5)], dimension: 16, seed: 1)
        let good = input(
            0, anchors: memory.vector(0, .pixels, slot: 0), dimension: 16, sampler: samplerSettings(.semiHard))
        let changes: [(inout MiningInput) -> Void] = [
            { $0.dimension = 8 }, { $0.dimension = 0 }, { $0.classID = 2 }, { $0.anchors.removeLast() },
            { $0.anchors[3] = .nan },
            { $0.anchors = [Float](repeating: 0, count: 16) }, { $0.temperature = 0 }, { $0.temperature = .nan },
            { $0.temperature = -1 }, { $0.sampler.pool = 0 }, { $0.sampler.pool = 1.5 }, { $0.sampler.pool = .nan },
            { $0.sampler.candidates = 0 }, { $0.sampler.positives = -1 }, { $0.sampler.negatives = -1 },
            { $0.synthesis.pairs = -1 },
        ]
        #expect(try Miner().mine(good, memory: memory).contributing == 1)
        for (number, change) in changes.enumerated() {
            var ticket = good
            change(&ticket)
            #expect(throws: (any Error).self, "change \(number)") { try Miner().mine(ticket, memory: memory) }
        }
    }

    /// Ranks send the anchors of their own images each; whoever is in a ticket with it, an anchor's samples are the same.
    @Test(arguments: strategies) func anAnchorsSamplesDoNotDependOnItsTicket(strategy: SamplerSettings.Strategy) throws
    {
        let memory = try signMemory([(30, 8), (40, 5), (20, 9)], dimension: 16, seed: 3)
        let anchors = signRows(6, dimension: 16, flips: 0.4, seed: 3, index: 999)
        let keys = [3, 17, 18, 40, 41, 90]
        func mine(_ chosen: [Int]) throws -> MiningOutput {
            var ticket = input(
                1, anchors: chosen.flatMap { anchors[$0 * 16..<($0 + 1) * 16] }, dimension: 16,
                sampler: samplerSettings(strategy, positives: 5, negatives: 7, pool: 0.4),
                synthesis: synthesisSettings(true, hardest: 6, pairs: 5, anchorMixes: 4))
            ticket.keys = chosen.map { keys[$0] }
            return try Miner().mine(ticket, memory: memory)
        }
        let whole = try mine([0, 1, 2, 3, 4, 5])
        let parts = try [[0, 3], [1], [2, 4, 5]].map { (rows: $0, output: try mine($0)) }
        // Similarities of signs are exact, whatever they are computed with.
        for (rows, output) in parts {
            for (place, row) in rows.enumerated() {
                #expect(output.gradient[place * 16..<(place + 1) * 16] == whole.gradient[row * 16..<(row + 1) * 16])
            }
        }
        #expect(abs(parts.reduce(0) { $0 + $1.output.lossSum } - whole.lossSum) < 1e-9)
        var wrong = input(1, anchors: anchors, dimension: 16, sampler: samplerSettings(strategy))
        wrong.keys = [1]
        #expect(throws: ContrastError.shape("1 keys for 6 anchors")) { try Miner().mine(wrong, memory: memory) }
    }

    /// dL/d(anchor) as a free vector, by central differences of the loss over the very samples that were drawn.
    @Test(arguments: [false, true]) func gradientEqualsFiniteDifferences(synthesis: Bool) throws {
        let memory = try clusteredMemory([(30, 5), (40, 5), (20, 5)], dimension: 12, seed: 7, spread: 2)
        let anchors = clusteredRows(3, dimension: 12, spread: 2, seed: 7, index: 60, centre: 0)
        let ticket = input(
            0, anchors: anchors, dimension: 12, sampler: samplerSettings(.random),
            synthesis: synthesisSettings(synthesis, hardest: 1000, pairs: 8, anchorMixes: 0))
        let output = try Miner().mine(ticket, memory: memory)
        // With all entries drawn and mixtures of fixed negatives, the reference's loss is a smooth function of the anchor.
        let step = 1.0 / 512
        for (a, k) in [(0, 0), (0, 5), (1, 11), (2, 3), (2, 7)] {
            func loss(_ shift: Double) -> Double {
                var moved = ticket
                moved.anchors[a * 12 + k] += Float(shift)
                return ReferenceMining(memory: memory, input: moved).run().loss
            }
            let numeric = (8 * (loss(step) - loss(-step)) - (loss(2 * step) - loss(-2 * step))) / (12 * step)
            #expect(
                abs(Double(output.gradient[a * 12 + k]) - numeric) < 2e-4 * max(1, abs(numeric)),
                "anchor \(a) component \(k)")
        }
    }
}
