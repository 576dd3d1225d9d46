import ArgumentParser
import Basics
import BenchKit
import COpenBLAS
import Configuration
import Contrast
import Foundation

/// What a mini-batch's mining is timed with: the sizes of three datasets, memories full.
enum MiningSize: String, CaseIterable, Codable, ExpressibleByArgument {
    case camvid, cityscapes, ade

    var classes: Int { [.camvid: 11, .cityscapes: 19, .ade: 150][self]! }
    /// Of the mini-batch.
    var classesPresent: Int { [.camvid: 11, .cityscapes: 19, .ade: 20][self]! }
    /// Per class.
    var pixels: Int { [.camvid: 3670, .cityscapes: 29_750, .ade: 10_000][self]! }
    var regions: Int { [.camvid: 367, .cityscapes: 2975, .ade: 2000][self]! }
}

enum MiningMode: String, CaseIterable, Codable, ExpressibleByArgument {
    /// The nearest and farthest tenths of the whole memory.
    case exact
    /// The same, and synthetic hard negatives.
    case synthesis
    /// The same as `exact` among a random 30,720 of the memory's entries, alike many of each class.
    case candidates
    /// Draws from the whole memory, without a search: the quick and the demo recipes' samples.
    case random

    static let candidatesInAll = 30_720

    /// What `--peer` calls it.
    var peerName: String? {
        switch self {
        case .exact: "mined"
        case .synthesis: "mined+"
        case .candidates: "subsampled"
        case .random: nil
        }
    }
}

/// One process's measurement.
struct MiningMeasurement: Codable {
    var size: MiningSize
    var mode: MiningMode
    var threads: Int
    /// Wall and processor time of all classes of one mini-batch.
    var milliseconds: Percentiles
    var cpuMilliseconds: Double
    var repeats: Int
    /// OpenBLAS's square product of 2,048, on as many threads.
    var gigaflopsPerSecond: Double
    var kernels: String
    /// Time of the bare similarity products at that rate.
    var productMilliseconds: Double
    var memoryMiB: Double
    /// The most that was resident above the memory itself.
    var aboveMemoryMiB: Double
}

/// `mining-case`: one size and mode in a process of its own, so that memory counts from zero.
struct MiningCase: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "mining-case", shouldDisplay: false)
    static let dimension = 256
    static let anchorsPerClass = 50

    @Option var size: MiningSize
    @Option var mode: MiningMode
    @Option var threads: Int
    @Option var seconds: Double
    @Option(help: "Times as many entries of each class.") var growth = 1

    private var pixels: Int { size.pixels * growth }
    private var regions: Int { size.regions * growth }

    func run() throws {
        let rate = Self.productRate(threads: threads)
        let memory = try fullMemory()
        let before = Usage.resident
        let miner = Miner()
        let inputs = try (0..<size.classesPresent).map { try input($0) }
        func step() {
            for result in miner.mine(inputs, memory: memory, threads: threads) {
                if case .failure(let error) = result { fatalError("\(error)") }
            }
        }
        step()
        var wall: [Double] = []
        var cpu: [Double] = []
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds)
        while wall.count < 3 || clock.now < end {
            let started = Usage.cpu
            wall.append(clock.measure(step) / .milliseconds(1))
            cpu.append(1000 * (Usage.cpu - started))
        }
        let entries = pixels + regions
        let all = size.classes * entries
        let sampler = inputs[0].sampler
        // So many candidates each anchor is compared with.
        let compared =
            switch mode {
            case .exact, .synthesis: all
            case .candidates: min(MiningMode.candidatesInAll, all)
            case .random: min(sampler.positives, entries) + min(sampler.negatives, all - entries)
            }
        let anchors = size.classesPresent * Self.anchorsPerClass
        let products = 2 * Double(anchors) * Double(compared) * Double(Self.dimension)
        let measurement = MiningMeasurement(
            size: size, mode: mode, threads: threads, milliseconds: Percentiles(wall), cpuMilliseconds: cpu.median,
            repeats: wall.count, gigaflopsPerSecond: rate, kernels: String(cString: openblas_get_corename()),
            productMilliseconds: products / 1e6 / rate,
            memoryMiB: Double(size.classes * entries * Self.dimension * 4) / 1048576,
            aboveMemoryMiB: Double(max(0, Usage.peak - before)) / 1048576)
        print(String(decoding: try JSONEncoder().encode(measurement), as: UTF8.self))
    }

    private func input(_ index: Int) throws -> MiningInput {
        var sampler = SamplerSettings()
        if mode == .candidates { sampler.candidates = MiningMode.candidatesInAll / size.classes }
        if mode == .random { sampler.strategy = .random }
        var synthesis = SynthesisSettings()
        synthesis.enabled = mode == .synthesis
        return MiningInput(
            classID: ClassID(index * (size.classes / size.classesPresent)),
            anchors: Self.unitRows(Self.anchorsPerClass, seed: UInt64(1_000_000 + index)), dimension: Self.dimension,
            temperature: 0.1, sampler: sampler, synthesis: synthesis, seed: 1)
    }

    private func fullMemory() throws -> Memory {
        var memory = Memory(
            shape: try MemoryShape(
                classes: size.classes, dimension: Self.dimension, pixelCapacity: pixels,
                regionCapacity: regions, images: regions))
        for index in 0..<size.classes {
            for (part, count) in [(MemoryPart.pixels, pixels), (.regions, regions)] {
                let rows = Self.unitRows(count, seed: UInt64(2 * index) + UInt64(part.rawValue))
                let writes = (0..<count).map { SlotWrite(classID: ClassID(index), part: part, slot: $0, row: $0) }
                try rows.withUnsafeBufferPointer { try memory.apply(writes, rows: $0, dimension: Self.dimension) }
            }
        }
        return memory
    }

    /// Unit rows of independent, equally distributed numbers.
    private static func unitRows(_ count: Int, seed: UInt64) -> [Float] {
        var rows = [Float](repeating: 0, count: count * dimension)
        var stream = KeyedRandom(seed: seed, purpose: "bench rows")
        for row in 0..<count {
            var square: Float = 0
            for i in row * dimension..<(row + 1) * dimension {
                let value = stream.uniform(-1, 1)
                rows[i] = value
                square += value * value
            }
            let factor = 1 / square.squareRoot()
            for i in row * dimension..<(row + 1) * dimension { rows[i] *= factor }
        }
        return rows
    }

    /// GFLOP/s of a square product, the best of a second.
    private static func productRate(threads: Int) -> Double {
        let n = 2048
        let a = [Float](repeating: 0.5, count: n * n)
        var c = [Float](repeating: 0, count: n * n)
        openblas_set_num_threads(Int32(threads))
        let clock = ContinuousClock()
        var best = Double.infinity
        let end = clock.now + .seconds(1)
        repeat {
            let time = clock.measure {
                cblas_sgemm(
                    CblasRowMajor, CblasNoTrans, CblasTrans, blasint(n), blasint(n), blasint(n), 1, a, blasint(n), a,
                    blasint(n), 0, &c, blasint(n))
            }
            best = min(best, time / .milliseconds(1))
        } while clock.now < end
        return 2 * Double(n) * Double(n) * Double(n) / 1e6 / best
    }
}
