import Basics
import Configuration
import Foundation
import Testing

@testable import Contrast

/// The recipe's keys that leave a part of the method out do just that.
@Suite struct AblationTests {
    private func settings(_ memory: ContrastSettings.Memory) -> ContrastSettings {
        var settings = ContrastSettings()
        settings.memory = memory
        settings.pixelsPerImage = 3
        return settings
    }

    /// Two images of 4x5 pixels with four classes and an ignored corner, and embeddings of sixteen numbers.
    private func record(_ memory: ContrastSettings.Memory) throws -> LogicalRecord {
        let values: [UInt8] = (0..<40).map { (pixel: Int) -> UInt8 in
            pixel % 20 == 0 ? 255 : UInt8(pixel / 3 % 4)
        }
        let labels = try LabelGrid(images: 2, height: 4, width: 5, values: values)
        let rows = clusteredRows(40, dimension: 16, spread: 1, seed: 8, index: 1)
        return try rows.withUnsafeBufferPointer {
            try LogicalRecord(
                embeddings: $0, dimension: 16, labels: labels, imageIDs: [5, 9], settings: settings(memory), seed: 2,
                step: 7)
        }
    }

    // MARK: Memory

    @Test func aMemoryOfOnePartHoldsThatPartAlone() throws {
        let both = try record(.both)
        #expect(both.pixels.count > 12 && both.regions.count == 8)
        for (memory, pixels, regions) in [
            (.both, true, true), (.pixels, true, false), (.regions, false, true),
        ] as [(ContrastSettings.Memory, Bool, Bool)] {
            let record = try record(memory)
            // What is kept is what both keep.
            #expect(record.pixels == (pixels ? both.pixels : []) && record.regions == (regions ? both.regions : []))
            let dimension = both.dimension
            let pixelRows = Array(both.rows.prefix(both.pixels.count * dimension))
            let regionRows = Array(both.rows.suffix(both.regions.count * dimension))
            let expected: [Float] = (pixels ? pixelRows : []) + (regions ? regionRows : [])
            #expect(record.rows == expected)

            let shape = try MemoryShape(settings: settings(memory), classes: 4, dimension: 16, images: 12)
            #expect(shape.capacity(of: .pixels) == (pixels ? 120 : 0))
            #expect(shape.capacity(of: .regions) == (regions ? 12 : 0))
            // A record of another version, with both parts, leaves nothing of the other one either.
            for record in [record, both] {
                var ledger = MemoryLedger(shape: shape)
                var kept = Memory(shape: shape)
                try kept.apply(ledger.plan(record), record: record)
                for c in 0..<4 {
                    #expect(kept.filled(ClassID(c), .pixels) == (pixels ? 6 : 0))
                    #expect(kept.filled(ClassID(c), .regions) == (regions ? 2 : 0))
                }
            }
        }
    }

    @Test func withoutMemoryAMiniBatchIsTheMemory() throws {
        let record = try record(.none)
        #expect(try record == self.record(.both))
        let memory = try Memory(batch: record, classes: 4)
        // Each class's rows in the record's order, pixels and regions apart.
        for c in 0..<4 {
            let classID = ClassID(c)
            let pixels = record.pixels.indices.filter { record.pixels[$0] == classID }
            let regions = record.regions.indices.filter { record.regions[$0].classID == classID }
                .map { record.pixels.count + $0 }
            for (part, rows) in [(MemoryPart.pixels, pixels), (.regions, regions)] {
                #expect(memory.filled(classID, part) == rows.count && !rows.isEmpty)
                for (slot, row) in rows.enumerated() {
                    #expect(memory.vector(classID, part, slot: slot) == Array(record.rows[row * 16..<(row + 1) * 16]))
                }
            }
        }
        #expect(throws: MemoryError.classOutOfRange(3, classes: 3)) { try Memory(batch: record, classes: 3) }
    }

    /// With samples of all there is, the loss is the paper's formula over the mini-batch's own keys.
    @Test(arguments: SamplerSettings.Strategy.allCases) func anchorsMeetTheirMiniBatchAsConstants(
        strategy: SamplerSettings.Strategy
    ) throws {
        let record = try record(.none)
        let anchors = clusteredRows(3, dimension: 16, spread: 1, seed: 8, index: 2)
        let input = MiningInput(
            classID: 2, anchors: anchors, dimension: 16, temperature: 0.1,
            sampler: samplerSettings(strategy, pool: 1), synthesis: synthesisSettings(false), seed: 3)
        let output = try Miner().mine(input, memory: Memory(batch: record, classes: 4))
        #expect(output.contributing == 3)

        let classes = record.pixels + record.regions.map(\.classID)
        func similarities(_ anchor: Int, where isWanted: (ClassID) -> Bool) -> [Double] {
            let own = anchors[anchor * 16..<(anchor + 1) * 16].map(Double.init)
            return classes.indices.filter { isWanted(classes[$0]) }.map { row in
                dot(own, record.rows[row * 16..<(row + 1) * 16].map(Double.init))
            }
        }
        var loss = 0.0
        for anchor in 0..<3 {
            let positives = similarities(anchor) { $0 == 2 }
            let negatives = similarities(anchor) { $0 != 2 }
            #expect(positives.count == 8 && negatives.count == 24)
            let sum: Double = negatives.map { exp($0 / 0.1) }.reduce(0, +)
            let terms: [Double] = positives.map { (similarity: Double) -> Double in
                let own = exp(similarity / 0.1)
                return -log(own / (own + sum))
            }
            loss += terms.reduce(0, +) / Double(positives.count)
        }
        #expect(abs(output.lossSum - loss) < 1e-5 * loss)
        let reference = ReferenceMining(memory: try Memory(batch: record, classes: 4), input: input).run()
        #expect(relativeError(output.gradient, reference.gradient) < 2e-5)
    }

    // MARK: Synthesis

    @Test func eitherKindOfSynthesisAloneAndNeitherIsOff() throws {
        let memory = try Memory(batch: record(.none), classes: 4)
        func mine(_ synthesis: SynthesisSettings) throws -> MiningOutput {
            let input = MiningInput(
                classID: 1, anchors: clusteredRows(2, dimension: 16, spread: 1, seed: 8, index: 3), dimension: 16,
                temperature: 0.1, sampler: samplerSettings(.semiHard, positives: 4, negatives: 6),
                synthesis: synthesis, seed: 4)
            let output = try Miner().mine(input, memory: memory)
            let reference = ReferenceMining(memory: memory, input: input).run()
            #expect(abs(output.lossSum - reference.loss) <= 2e-5 * reference.loss)
            #expect(relativeError(output.gradient, reference.gradient) < 2e-5)
            return output
        }
        let off = try mine(synthesisSettings(false))
        let pairs = try mine(synthesisSettings(true, hardest: 6, pairs: 5, anchorMixes: 0))
        let mixes = try mine(synthesisSettings(true, hardest: 6, pairs: 0, anchorMixes: 4))
        let both = try mine(synthesisSettings(true, hardest: 6, pairs: 5, anchorMixes: 4))
        #expect(try mine(synthesisSettings(true, hardest: 6, pairs: 0, anchorMixes: 0)) == off)
        // More negatives, more loss; mixtures with the anchor are the nearer ones.
        #expect(off.lossSum < pairs.lossSum && pairs.lossSum < both.lossSum && mixes.lossSum < both.lossSum)
        #expect(mixes.negativeSimilarity > off.negativeSimilarity)
    }

    // MARK: Anchors

    /// `hardAnchors` of 0 is a random choice, of half the anchors the paper's, of all of them a hard one.
    @Test(arguments: [(0, 0), (10, 10), (20, 20)]) func hardAnchorsChooseHowManyAreMispredicted(
        hardAnchors: Int, least: Int
    ) throws {
        var settings = ContrastSettings()
        (settings.anchors, settings.hardAnchors) = (20, hardAnchors)
        // One in ten is mispredicted: 100 of 1,000.
        let labels = try LabelGrid(images: 1, height: 20, width: 50, values: Array(repeating: 0, count: 1000))
        let predictions: [UInt8] = (0..<1000).map { (pixel: Int) -> UInt8 in pixel % 10 == 0 ? 1 : 0 }
        var mispredicted = 0
        for step in 0..<100 as Range<UInt64> {
            let found = try AnchorSelection.select(
                labels: labels, predictions: predictions, settings: settings, seed: 6, step: step)
            #expect(found[0].pixels.count == 20 && found[0].mispredicted >= least)
            mispredicted += found[0].mispredicted
        }
        // Beyond those chosen for it, mispredicted pixels are drawn as often as they occur, about one in ten.
        let rest = Double(mispredicted - 100 * least) / Double(max(1, 100 * (20 - least)))
        #expect(least == 20 ? rest == 0 : abs(rest - 0.1) < 0.03, "\(rest)")
    }
}
