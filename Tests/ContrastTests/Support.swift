import Basics
import Configuration
import Foundation

@testable import Contrast

/// Unit rows whose numbers are ±1/√D, D a power of four: products and sums are exact in Float32, so similarities are
/// equal bit for bit whatever the order of summation, and ties abound.
func signRows(_ count: Int, dimension: Int, flips: Float, seed: UInt64, index: UInt64 = 0) -> [Float] {
    let magnitude = 1 / Float(dimension).squareRoot()
    var stream = KeyedRandom(seed: seed, purpose: "test-rows", step: 1, index: index)
    var rows: [Float] = []
    for _ in 0..<count * dimension { rows.append(stream.uniform() < flips ? -magnitude : magnitude) }
    return rows
}

/// Unit rows around a random centre.
func clusteredRows(
    _ count: Int, dimension: Int, spread: Float, seed: UInt64, index: UInt64, centre: UInt64? = nil
) -> [Float] {
    var centres = KeyedRandom(seed: seed, purpose: "test-centre", step: 0, index: centre ?? index)
    let middle = (0..<dimension).map { _ in centres.uniform(-1, 1) }
    var stream = KeyedRandom(seed: seed, purpose: "test-rows", step: 2, index: index)
    var rows: [Float] = []
    for _ in 0..<count { rows += unit(middle.map { $0 + stream.uniform(-spread, spread) }) }
    return rows
}

func unit(_ values: [Float]) -> [Float] {
    let length = values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    return values.map { Float(Double($0) / length) }
}

/// A memory that holds given rows: by class, pixels and regions, `[n, D]`.
func makeMemory(dimension: Int, _ classes: [(pixels: [Float], regions: [Float])], spare: Int = 3) throws -> Memory {
    let pixels = classes.map { $0.pixels.count / dimension }
    let regions = classes.map { $0.regions.count / dimension }
    var memory = Memory(
        shape: try MemoryShape(
            classes: classes.count, dimension: dimension, pixelCapacity: pixels.max()! + spare,
            regionCapacity: regions.max()! + spare, images: regions.max()! + spare))
    for (c, parts) in classes.enumerated() {
        for (part, rows) in [(MemoryPart.pixels, parts.pixels), (.regions, parts.regions)] {
            let writes = (0..<rows.count / dimension).map {
                SlotWrite(classID: ClassID(c), part: part, slot: $0, row: $0)
            }
            try rows.withUnsafeBufferPointer { try memory.apply(writes, rows: $0, dimension: dimension) }
        }
    }
    return memory
}

extension AnchorSelection {
    /// The anchors of a mini-batch that one process holds whole.
    static func select(
        labels: LabelGrid, predictions: [UInt8], settings: ContrastSettings, seed: UInt64, step: UInt64
    ) throws -> [ClassAnchors] {
        let found = try candidates(
            labels: labels, predictions: predictions, settings: settings, seed: seed, step: step)
        return merge([found], settings: settings)
    }
}

func samplerSettings(
    _ strategy: SamplerSettings.Strategy, positives: Int = 1024, negatives: Int = 2048, pool: Float = 0.1,
    candidates: Int? = nil
) -> SamplerSettings {
    var settings = SamplerSettings()
    settings.strategy = strategy
    settings.positives = positives
    settings.negatives = negatives
    settings.pool = pool
    settings.candidates = candidates
    return settings
}

func synthesisSettings(_ enabled: Bool, hardest: Int = 1024, pairs: Int = 256, anchorMixes: Int = 128)
    -> SynthesisSettings
{
    var settings = SynthesisSettings()
    settings.enabled = enabled
    settings.hardest = hardest
    settings.pairs = pairs
    settings.anchorMixes = anchorMixes
    return settings
}

/// Whether counts look like draws with equal chances. A chi-square sum has mean `cells - 1` and deviation
/// √(2 (cells - 1)); six deviations let one right implementation in a billion fail. Draws without replacement vary less.
func looksUniform(_ hits: [Int]) -> Bool {
    let expected = Double(hits.reduce(0, +)) / Double(hits.count)
    let chiSquare = hits.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    let freedom = Double(hits.count - 1)
    return chiSquare < freedom + 6 * (2 * freedom).squareRoot() + 10
}

func relativeError(_ a: [Float], _ b: [Double]) -> Double {
    precondition(a.count == b.count)
    var difference = 0.0
    var size = 0.0
    for (x, y) in zip(a, b) {
        difference += (Double(x) - y) * (Double(x) - y)
        size += y * y
    }
    return size == 0 ? difference.squareRoot() : (difference / size).squareRoot()
}
