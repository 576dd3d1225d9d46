import Basics
import Configuration
import Contrast
import Foundation
import Models
import NN
import StageKit
import Tensors
import TestSupport
import Testing
import Wire

@testable import ComputeStage

/// Several ranks against one that has the whole mini-batch, in float64 and without dropout: what differs then is the
/// order of sums alone. Ranks are threads of this process, over the loopback.
@Suite(.serialized, .enabled(if: ProcessGroup.Backend.gloo.isAvailable, "this build has no Gloo"))
struct RanksTests {
    private static let images = 4
    private static let height = 32
    private static let width = 48
    private static let classes = 4

    private static var recipe: Recipe {
        var recipe = Recipe()
        recipe.seed = 5
        recipe.contrast.anchors = 12
        recipe.contrast.hardAnchors = 6
        recipe.contrast.pixelsPerImage = 3
        recipe.model.embedding = 16
        recipe.model.outputStride = 16
        recipe.model.dropout = 0
        recipe.model.atrousRates = [1, 2, 3]
        recipe.augmentation.crop = [height, width]
        recipe.schedule.batch = images
        recipe.schedule.iterations = 40
        // A network of random weights on noise amplifies rounding by 8 in a step at 1e-3, by 35 at 1e-2.
        recipe.schedule.lr = 0.0001
        recipe.schedule.lrWarmup = 0
        recipe.sampler.positives = 8
        recipe.sampler.negatives = 16
        recipe.synthesis.enabled = true
        recipe.synthesis.hardest = 8
        recipe.synthesis.pairs = 3
        recipe.synthesis.anchorMixes = 2
        return recipe
    }

    /// Images of noise whose labels are ignored ever more from one to the next, so that ranks have unequal shares of
    /// the labelled pixels and not the same classes.
    private static func batch(_ share: Range<Int>, step: Int) throws -> Batch {
        let samples = share.map { row in
            var random = KeyedRandom(seed: 9, purpose: "test", step: UInt64(step), index: UInt64(row))
            let pixels = (0..<height * width * 3).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let values = (0..<height * width).map { pixel in
                pixel % 7 < row ? 255 : UInt8((pixel / 200 + row) % (row < 2 ? 3 : 4))
            }
            return Sample(image: ImageID(row), pixels: SharedBytes(pixels), labels: SharedBytes(values))
        }
        return try Batch(samples, height: height, width: width)
    }

    private static func onRanks<R>(_ count: Int, _ body: @escaping (Ranks) throws -> R) throws -> [R] {
        guard count > 1 else { return [try body(.single)] }
        let folder = try TemporaryFolder()
        return try sideBySide(count) { rank in
            try body(
                Ranks(ProcessGroup(at: .file(folder("ranks")), rank: rank, of: count, timeout: .seconds(60))))
        }
    }

    private static func trainer(_ ranks: Ranks) throws -> Trainer {
        try Trainer(recipe: recipe, classes: classes, device: .cpu, group: ranks.group, dtype: .float64)
    }

    private static func values(_ tensors: NamedTensors) throws -> [[Double]] {
        try tensors.map { try $0.tensor.to(.float64).array() }
    }

    private static func gradients(_ trainer: Trainer) throws -> [[Double]] {
        try trainer.network.namedParameters().map { name, parameter in
            try parameter.grad?.array() ?? []
        }
    }

    /// The largest difference, as a part of the largest value.
    private static func error(_ a: [[Double]], _ b: [[Double]]) -> Double {
        let scale = b.joined().map { abs($0) }.max() ?? 0
        guard a.map(\.count) == b.map(\.count), scale > 0 else { return .infinity }
        return (zip(a.joined(), b.joined()).map { abs($0 - $1) }.max() ?? .infinity) / scale
    }

    /// One step by cross-entropy up to the summed gradients.
    private static func crossEntropy(_ trainer: Trainer, _ ranks: Ranks, step: Int) throws -> Double {
        var batch = try Self.batch(ranks.share(of: images), step: step)
        batch.labelled = Int(try ranks.sum([Int64(batch.labelled)])[0])
        let pass = try trainer.forward(batch, learnsEmbedding: false)
        let loss = try ranks.sum([try trainer.backwardFromScores(pass, batch: batch).main])[0]
        try trainer.backwardThroughBackbone(pass)
        try trainer.sumGradients()
        return loss
    }

    @Test(arguments: [2, 4]) func gradientsOfTheFirstStepAreThoseOfOneRank(ranks count: Int) throws {
        func run(_ count: Int) throws -> [(loss: Double, gradients: [[Double]])] {
            try Self.onRanks(count) { ranks in
                let trainer = try Self.trainer(ranks)
                return (try Self.crossEntropy(trainer, ranks, step: 1), try Self.gradients(trainer))
            }
        }
        let one = try run(1)[0]
        let several = try run(count)
        let error = Self.error(several[0].gradients, one.gradients)
        print("\(count) ranks, first step: gradients to \(error), loss to \(abs(several[0].loss - one.loss))")
        #expect(error < 1e-9)
        #expect(abs(several[0].loss - one.loss) < 1e-12)
        for rank in several { #expect(rank.gradients == several[0].gradients, "all ranks have the same bits") }
    }

    @Test func twentyStepsOfTwoRanksGiveTheParametersOfOne() throws {
        func run(_ count: Int) throws -> [(parameters: [[Double]], state: [[Double]])] {
            try Self.onRanks(count) { ranks in
                let trainer = try Self.trainer(ranks)
                for step in 1...20 {
                    _ = try Self.crossEntropy(trainer, ranks, step: step)
                    _ = try trainer.update(step: UInt64(step), embedding: false)
                }
                return (try Self.values(trainer.network.namedParameters()), try Self.values(trainer.modelState()))
            }
        }
        func difference(_ a: [[Double]], _ b: [[Double]]) -> Double {
            zip(a.joined(), b.joined()).map { abs($0 - $1) }.max() ?? .infinity
        }
        let start = try Self.values(Self.trainer(.single).network.namedParameters())
        let one = try run(1)[0]
        let two = try run(2)
        let moved = difference(one.parameters, start)
        let error = difference(two[0].state, one.state)
        print("2 ranks, 20 steps: parameters and statistics to \(error); parameters moved by up to \(moved)")
        #expect(moved > 1e-3, "the steps change something")
        #expect(error < 1e-6)
        #expect(two[0].state == two[1].state, "ranks keep equal networks")
    }

    // MARK: Contrast

    private struct ContrastStep {
        var anchors: [ClassAnchors]
        var outcome: MiningClient.Outcome
        var gradients: [[Double]]
        var record: MemoryRecordParts
    }
    private struct MemoryRecordParts: Equatable {
        var pixels: [ClassID]
        var regions: [LogicalRecord.Region]
    }

    /// A memory of random unit vectors in all classes.
    private static func memory() throws -> Memory {
        let shape = try MemoryShape(
            classes: classes, dimension: 16, pixelCapacity: 30, regionCapacity: 10, images: images)
        var memory = Memory(shape: shape)
        var random = KeyedRandom(seed: 4, purpose: "test")
        let rows = (0..<classes * 30).flatMap { _ -> [Float] in
            let row = (0..<16).map { _ in random.uniform(-1, 1) }
            let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return row.map { $0 / length }
        }
        let writes = (0..<classes * 30).map {
            SlotWrite(classID: ClassID($0 / 30), part: .pixels, slot: $0 % 30, row: $0)
        }
        try rows.withUnsafeBufferPointer { try memory.apply(writes, rows: $0, dimension: 16) }
        return memory
    }

    /// The whole of step 1 with contrast, mined in a memory that is there already.
    private static func contrast(_ ranks: Ranks) throws -> ContrastStep {
        let trainer = try Self.trainer(ranks)
        let share = ranks.share(of: images)
        var batch = try Self.batch(share, step: 1)
        batch.labelled = Int(try ranks.sum([Int64(batch.labelled)])[0])
        let pass = try trainer.forward(batch, learnsEmbedding: true)
        let grid = try EmbeddingGrid(
            embedding: pass.embedding!, scores: pass.scores.main, alignCorners: trainer.network.alignCorners,
            labels: batch.labels, firstImage: share.lowerBound)
        let anchors = try ranks.anchors(of: grid, settings: recipe.contrast, seed: recipe.seed, step: 1)
        let record = try grid.record(of: batch.images, settings: recipe.contrast, seed: recipe.seed, step: 1)
        _ = try trainer.backwardFromScores(pass, batch: batch)

        let memory = try Self.memory()
        let miner = Miner()
        var outcome = MiningClient.Outcome()
        for group in anchors.compactMap({ $0.within(grid.pixels) }) {
            let local = group.pixels.map { $0 - grid.pixels.lowerBound }
            let mined = try miner.mine(
                MiningInput(
                    classID: group.classID, anchors: try grid.rows(at: local), keys: group.pixels,
                    dimension: grid.dimension,
                    temperature: recipe.contrast.temperature, sampler: recipe.sampler, synthesis: recipe.synthesis,
                    seed: UInt64(group.classID.rawValue)), memory: memory)
            outcome.loss += mined.lossSum
            outcome.contributing += mined.contributing
            outcome.skipped += mined.skipped
            outcome.gradient += mined.gradient
            outcome.pixels += local
        }
        try outcome.average(over: ranks)
        try trainer.backwardFromAnchors(pass, at: outcome.pixels, outcome.gradient)
        try trainer.backwardThroughBackbone(pass)
        try trainer.sumGradients()
        return ContrastStep(
            anchors: anchors, outcome: outcome, gradients: try gradients(trainer),
            record: MemoryRecordParts(pixels: record.pixels, regions: record.regions))
    }

    @Test(arguments: [2, 4]) func contrastPicksTheSameAnchorsSamplesAndKeys(ranks count: Int) throws {
        let one = try Self.onRanks(1, Self.contrast)[0]
        let several = try Self.onRanks(count, Self.contrast)
        #expect(one.anchors.count >= 3 && one.outcome.contributing > 8)
        for rank in several {
            #expect(rank.anchors == one.anchors)
            #expect(rank.outcome.contributing == one.outcome.contributing)
            #expect(rank.gradients == several[0].gradients)
        }
        // The memory's record in rank order.
        #expect(several.flatMap(\.record.pixels) == one.record.pixels)
        #expect(several.flatMap(\.record.regions) == one.record.regions)
        // Mining is in float32, whose products' last bits depend on how many anchors are multiplied at once.
        let loss = abs(several[0].outcome.loss - one.outcome.loss) / one.outcome.loss
        let error = Self.error(several[0].gradients, one.gradients)
        print("\(count) ranks, contrast: gradients to \(error), loss to \(loss)")
        #expect(loss < 1e-6)
        #expect(error < 1e-6)
    }

    /// L_NCE is the mean over the anchors that contribute; those that are skipped do not lower it.
    @Test func lossIsTheMeanOverContributingAnchors() throws {
        var outcome = MiningClient.Outcome()
        (outcome.loss, outcome.contributing, outcome.skipped, outcome.gradient) = (6, 2, 3, [2, 4])
        try outcome.average(over: .single)
        #expect(outcome.loss == 3 && outcome.gradient == [1, 2])
        #expect(outcome.contributing == 2 && outcome.skipped == 3)
    }

    /// Where no memory is kept, every rank's anchors meet the keys of all.
    @Test(arguments: [1, 3]) func ranksShareTheKeysOfTheirMiniBatch(ranks count: Int) throws {
        func keys(_ rank: Int) -> MemoryRecord {
            // One of them has no pixel of any class.
            let (pixels, regions) = rank == 1 ? (0, 0) : (2 + rank, 1)
            return MemoryRecord(
                step: 7, images: [3 * rank, 3 * rank + 1], dimension: 64,
                pixelClasses: (0..<pixels).map { Int32($0 + rank) },
                regionClasses: Array(repeating: Int32(rank), count: regions),
                regionImages: Array(repeating: Int32(3 * rank), count: regions),
                rows: (0..<64 * (pixels + regions)).map { Float($0) / 3 - Float(rank) })
        }
        let joined = try Self.onRanks(count) { try $0.joined(keys($0.rank)) }
        let expected = try MemoryRecord(joining: (0..<count).map(keys))
        #expect(joined.allSatisfy { $0 == expected })

        let words = keys(2).words
        #expect(try MemoryRecord(words: words) == keys(2))
        for wrong in [[], Array(words.dropLast()), words + [0], [7, 2, 1 << 62, 1, 1]] {
            #expect(throws: WireError.self) { try MemoryRecord(words: wrong) }
        }
    }

    /// One rank's images may have no label at all; its joint operations must still be the others'.
    @Test func aRankWithoutAnchorsKeepsStep() throws {
        let several = try Self.onRanks(2) { ranks -> Double in
            let trainer = try Self.trainer(ranks)
            let batch = try Self.batch(ranks.share(of: Self.images), step: 1)
            let pass = try trainer.forward(batch, learnsEmbedding: true)
            let pixels = ranks.rank == 0 ? [0, 5] : []
            let gradient = [Float](repeating: 0.25, count: pixels.count * 16)
            try trainer.backwardFromAnchors(pass, at: pixels, gradient)
            try trainer.backwardThroughBackbone(pass)
            try trainer.sumGradients()
            return try Self.gradients(trainer).joined().reduce(0) { $0 + abs($1) }
        }
        #expect(several[0] > 0)
        #expect(several[0] == several[1])
    }

    @Test func everyImageOfAMiniBatchHasOneRank() {
        for count in [1, 2, 3, 4, 6, 12] {
            let shares = (0..<count).map { Ranks(rank: $0, count: count, group: nil).share(of: 12) }
            #expect(shares.flatMap(Array.init) == Array(0..<12))
            #expect(Set(shares.map(\.count)).count == 1)
        }
    }
}
