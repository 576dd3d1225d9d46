import Basics
import Configuration

/// A ticket that may be mined: checked, and what its anchors may sample.
struct MiningWork {
    let input: MiningInput
    let sampler: Sampler
    let synthesis: Synthesis
    /// Its anchors' places among those that are mined together.
    var anchors = 0..<0
    var output: MiningOutput

    private let own: CandidateSet
    private let others: CandidateSet

    /// - Throws: `ContrastError` for settings out of range, anchors that are no unit vectors or do not fill rows;
    ///   `MemoryError` for a class or dimension that the memory does not have.
    init(_ input: MiningInput, memory: MemoryRows) throws {
        let dimension = input.dimension
        guard dimension == memory.dimension else {
            throw MemoryError.dimensionMismatch(memory: memory.dimension, given: dimension)
        }
        guard input.classID.index < memory.classes else {
            throw MemoryError.classOutOfRange(input.classID, classes: memory.classes)
        }
        guard input.anchors.count % dimension == 0 else {
            throw ContrastError.shape("\(input.anchors.count) numbers are no whole number of anchors of \(dimension)")
        }
        guard input.keys.count == input.anchorCount else {
            throw ContrastError.shape("\(input.keys.count) keys for \(input.anchorCount) anchors")
        }
        guard input.temperature > 0, input.temperature.isFinite else {
            throw ContrastError.setting("contrast.temperature \(input.temperature) must be positive")
        }
        if let bad = input.anchors.withUnsafeBufferPointer({ firstRowOffUnitLength($0, dimension: dimension) }) {
            throw ContrastError.notUnit(what: "anchor", row: bad.row, squaredLength: bad.squaredLength)
        }
        self.input = input
        sampler = try Sampler(input.sampler, seed: input.seed)
        synthesis = try Synthesis(input.synthesis, seed: input.seed)
        let limit = input.sampler.candidates
        let all = (0..<memory.classes).map { ClassID($0) }
        own = CandidateSet(memory, classes: [input.classID], limit: limit, seed: input.seed)
        others = CandidateSet(memory, classes: all.filter { $0 != input.classID }, limit: limit, seed: input.seed)
        output = .nothing(anchors: input.anchorCount, dimension: dimension)
    }

    /// Whether its anchors have a positive and a negative.
    var contrasts: Bool {
        input.anchorCount > 0 && drawCount(.positives) > 0 && drawCount(.negatives) > 0
    }

    func candidates(_ side: Sampler.Side) -> CandidateSet { side == .positives ? own : others }

    func poolSize(_ side: Sampler.Side) -> Int { sampler.poolSize(side, available: candidates(side).count) }

    /// How many candidates each anchor gets.
    func drawCount(_ side: Sampler.Side) -> Int { sampler.drawCount(side, available: candidates(side).count) }

    /// Whether the draw needs similarities with all candidates.
    func needsSimilarities(_ side: Sampler.Side) -> Bool {
        sampler.needsSimilarities(side, available: candidates(side).count)
    }

    /// Whether its candidates are the whole memory but its class, so that tickets of several classes can look together.
    func seesAll(_ side: Sampler.Side) -> Bool { side == .negatives && input.sampler.candidates == nil }

    /// What an anchor gets, by rank in its pool, ascending.
    ///
    /// - Parameter anchor: among those that are mined together.
    func draw(_ side: Sampler.Side, anchor: Int) -> [Int] {
        sampler.draw(side, anchor: key(of: anchor), available: candidates(side).count)
    }

    /// What an anchor's draws are keyed by.
    func key(of anchor: Int) -> Int { input.keys[anchor - anchors.lowerBound] }

    /// What its anchors' samples take in tables.
    var sampleBytes: Int {
        input.anchorCount * (drawCount(.positives) + drawCount(.negatives)) * SampleTable.entryBytes
    }
}
