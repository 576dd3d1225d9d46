import Configuration
import Wire

/// What mining tickets carry of the recipe, which a swap may change while a run trains.
public struct MiningSettings: Codable, Sendable, Equatable {
    public var sampler: SamplerSettings
    public var synthesis: SynthesisSettings
    public var temperature: Float

    public init(_ recipe: Recipe) {
        sampler = recipe.sampler
        synthesis = recipe.synthesis
        temperature = recipe.contrast.temperature
    }
}

/// A swap before its step is known: what is asked of compute.
public struct SwapProposal: Codable, Sendable, Equatable {
    /// From 1; never used for another swap of the run, also where this one comes to nothing.
    public var generation: Generation
    /// The stage in the topology, `miner`.
    public var stage: String
    /// The first step that it shall apply to; the next possible one where nil.
    public var atStep: UInt64?
    /// All of the settings from then on.
    public var mining: MiningSettings
    /// Program and arguments from then on, the executable of the stage's kind where empty; nil where the program stays.
    public var exec: [String]?
    /// What changes, in the words of the command line.
    public var change: String

    public init(
        generation: Generation, stage: String, atStep: UInt64? = nil, mining: MiningSettings, exec: [String]? = nil,
        change: String
    ) {
        self.generation = generation
        self.stage = stage
        self.atStep = atStep
        self.mining = mining
        self.exec = exec
        self.change = change
    }
}

/// A change of the mining stage's settings, of its program, or of both, from one step on.
///
/// It is in the run's journal before the first ticket of its step goes out, and holds for that step in every replay.
public struct Swap: Codable, Sendable, Equatable {
    public var generation: Generation
    public var stage: String
    /// The first step whose tickets are of this generation.
    public var step: UInt64
    public var mining: MiningSettings
    /// As in `SwapProposal`.
    public var exec: [String]?
    public var change: String

    public init(_ proposal: SwapProposal, step: UInt64) {
        generation = proposal.generation
        stage = proposal.stage
        self.step = step
        mining = proposal.mining
        exec = proposal.exec
        change = proposal.change
    }
}

/// Which settings and whose workers a step's tickets have: a function of the step, whatever the epoch.
public struct SwapSchedule: Sendable, Equatable {
    public struct Settings: Sendable, Equatable {
        public var mining: MiningSettings
        /// Swaps so far; 0 before the first.
        public var generation: Generation
        /// The generation of the workers that execute the tickets: the last swap of the program.
        public var workers: Generation
    }

    private let start: MiningSettings
    /// By generation; steps never descend.
    public private(set) var swaps: [Swap]

    public init(_ recipe: Recipe, swaps: [Swap]) {
        start = MiningSettings(recipe)
        self.swaps = swaps.sorted { $0.generation < $1.generation }
    }

    public mutating func append(_ swap: Swap) { swaps.append(swap) }

    /// What holds at a step: the last swap up to it.
    public func settings(at step: UInt64) -> Settings {
        let past = swaps.prefix { $0.step <= step }
        return Settings(
            mining: past.last?.mining ?? start, generation: past.last?.generation ?? .first,
            workers: past.last { $0.exec != nil }?.generation ?? .first)
    }

    /// The newest settings, whenever they begin: what a further swap changes.
    public var newest: MiningSettings { swaps.last?.mining ?? start }

    /// The generations of workers that the steps from this one on need, ascending.
    public func workers(from step: UInt64) -> [Generation] {
        let later = swaps.filter { $0.step > step && $0.exec != nil }.map(\.generation)
        // One that is replaced at the very step at which it would begin never gets a ticket.
        let began = Set(([step] + swaps.map(\.step)).map { settings(at: $0).workers })
        return [settings(at: step).workers] + later.filter(began.contains)
    }

    /// The program of a generation of workers; nil is the topology's own.
    public func program(of workers: Generation) -> [String]? {
        swaps.last { $0.generation <= workers && $0.exec != nil }?.exec
    }
}

/// What a supervisor says to compute of a swap.
public enum SwapOrder: Sendable, Equatable {
    case prepare(SwapProposal)
    /// The swap is in the journal: it holds from this step on.
    case commit(Generation, step: UInt64)
    /// It comes to nothing.
    case cancel(Generation)
    /// Another supervisor has taken over, which may not know what is planned.
    case supervisorChanged
}
