import Basics
import Configuration
import Wire

/// The types of the control link's messages; who sends which is written in PROTOCOL.md.
public enum ControlType: String, Sendable, CaseIterable {
    // Stage to supervisor.
    case hello, event, bye
    // Both ways.
    case heartbeat
    // Supervisor to stage.
    case configuration, command, refused
    // `picoflow status`, `stop`, `scale` and `swap`, and their answer.
    case statusRequest = "status-request"
    case stopRequest = "stop-request"
    case scaleRequest = "scale-request"
    case swapRequest = "swap-request"
    case reply
    // `picoflow keys`: the list of allowed keys has changed.
    case keysChanged = "keys-changed"
    // `picoflow join`, and the supervisor's answer.
    case join, joined, leave
}

extension MessageLimits {
    /// Control messages are small and carry no tensors.
    public static var control: MessageLimits {
        var limits = MessageLimits()
        limits.headerBytes = 4 << 10
        limits.bodyBytes = 1 << 20
        limits.tensors = 0
        limits.tensorBytes = 0
        return limits
    }

    /// What a client takes of its run's supervisor: a report grows with the run's replicas, 350 bytes each.
    public static var reply: MessageLimits {
        var limits = control
        limits.bodyBytes = 64 << 20
        return limits
    }
}

/// A stage's first message. The header carries its incarnation.
public struct Hello: Codable, Sendable, Equatable {
    public var stage: String
    public var id: Int
    public var kind: StageKind
    public var pid: Int32
    public var host: String
    public var fingerprint: Fingerprint
    /// Of the configuration that it works under, which a supervisor before this one gave it; nil where it has none.
    public var epoch: Epoch?

    public init(
        stage: String, id: Int, kind: StageKind, pid: Int32, host: String, fingerprint: Fingerprint, epoch: Epoch? = nil
    ) {
        self.stage = stage
        self.id = id
        self.kind = kind
        self.pid = pid
        self.host = host
        self.fingerprint = fingerprint
        self.epoch = epoch
    }

    public var replica: Replica { Replica(stage, id) }
}

/// What a stage is doing, as `picoflow status` shows it.
public enum StageState: String, Codable, Sendable, CaseIterable {
    /// Started; no HELLO yet.
    case starting
    /// Has its configuration and makes ready: reads the dataset's list, loads weights.
    case preparing
    case running
    /// Waits for another stage; `waitingOn` says for what.
    case waiting
    case checkpointing
    /// Finishes what it has begun, takes nothing new.
    case stopping
    /// Died and will be started again.
    case restarting
    case exited
    /// On another host and silent: cut off, or gone with its host. It may come back.
    case lost
}

/// A stage's sign of life, one every `supervisor.heartbeat`.
public struct Heartbeat: Codable, Sendable, Equatable {
    public var state: StageState
    /// What the stage waits for in a reader's words: `samples`, `gradients`.
    public var waitingOn: String?
    /// What compute waits for while miners work.
    public static let gradients = "gradients"
    /// The stage's own numbers by name; finite ones only.
    public var metrics: [String: Double]
    /// Compute: the newest step.
    public var step: StepMetrics?

    public init(
        state: StageState, waitingOn: String? = nil, metrics: [String: Double] = [:], step: StepMetrics? = nil
    ) {
        self.state = state
        self.waitingOn = waitingOn
        self.metrics = metrics.filter { $0.value.isFinite }
        self.step = step
    }
}

/// Something that happened once and that the run's log or journal should say.
public struct StageEvent: Codable, Sendable, Equatable {
    public enum Kind: String, Codable, Sendable {
        /// The stage cannot go on; `message` is one line. It exits with 1 after this. With a `remedy`, another start may
        /// help; without, the run ends.
        case failed
        /// Compute: all iterations are done and the last checkpoint, at `path`, is durable.
        case finished
        /// A checkpoint's manifest is durable.
        case checkpoint
        /// A checkpoint could not be written and training goes on; the next that is due is tried again.
        case checkpointFailed
        /// A sample was replaced by an all-ignore one; goes into the journal.
        case sampleSkipped
        /// Compute: `swap` can be made from its step on, and no ticket of that step goes out before it is committed.
        case swapPlanned
        /// Compute: `swap`, of which only the generation counts, cannot be made; `message` says why.
        case swapRefused
        case note
    }

    public var kind: Kind
    public var message: String
    public var step: UInt64?
    public var path: String?
    public var swap: Swap?
    public var remedy: Remedy?
    /// Of the sample that was skipped, in the run's sample order.
    public var position: UInt64?

    public init(
        _ kind: Kind, _ message: String, step: UInt64? = nil, path: String? = nil, swap: Swap? = nil,
        remedy: Remedy? = nil, position: UInt64? = nil
    ) {
        self.kind = kind
        self.message = message
        self.step = step
        self.path = path
        self.swap = swap
        self.remedy = remedy
        self.position = position
    }

    /// Whether a supervisor that takes the run over must be told again: the one it was told to may have died with it.
    var isEssential: Bool {
        switch kind {
        case .failed, .finished, .checkpoint, .sampleSkipped: true
        case .checkpointFailed, .note, .swapPlanned, .swapRefused: false
        }
    }
}

/// What the supervisor asks of a stage.
public struct Command: Codable, Sendable, Equatable {
    public enum Name: String, Codable, Sendable {
        /// Compute: finish the step, write a checkpoint, exit. Others: exit soon.
        case stop
        /// Compute, after `stop` or instead of it: exit soon and write no checkpoint, as the stages that the step in hand
        /// or a checkpoint needs are gone for good.
        case abandon
        /// Workers: finish the tickets that were begun, take no more, exit.
        case drain
        /// All but compute: the run ends, but go on until `stop`, as compute needs you for its last step and checkpoint. A
        /// signal that comes now is part of that.
        case ending
        /// Consumers of a pool: `worker` is about to be killed or was, by the supervisor's doing; no ticket is to blame.
        case expectLoss
        /// Consumers of a pool: `worker` died of itself; reissue its tickets now.
        case workerLost
        /// Compute: find the step from which `proposal` can hold, and say it by `swapPlanned`.
        case prepareSwap
        /// Compute: the swap of `generation` is in the journal; it holds from `step` on.
        case commitSwap
        /// Compute: forget the swap of `generation`.
        case cancelSwap
        /// Stages that listen on TCP: read the list of allowed keys again.
        case reloadKeys
    }

    public var name: Name
    public var reason: String
    /// For losses: the worker's name on its links, `loader-1`.
    public var worker: String?
    public var proposal: SwapProposal?
    public var generation: Generation?
    public var step: UInt64?

    public init(_ name: Name, reason: String = "", worker: String? = nil) {
        self.name = name
        self.reason = reason
        self.worker = worker
    }

    public init(_ order: SwapOrder) {
        switch order {
        case .prepare(let proposal):
            self.init(.prepareSwap)
            self.proposal = proposal
        case .commit(let generation, let step):
            self.init(.commitSwap)
            self.generation = generation
            self.step = step
        case .cancel(let generation):
            self.init(.cancelSwap)
            self.generation = generation
        case .supervisorChanged: preconditionFailure("nothing that a supervisor says")
        }
    }

    /// The swap's order that this is; nil where it is another command or lacks what it needs.
    var swapOrder: SwapOrder? {
        switch name {
        case .prepareSwap: proposal.map { .prepare($0) }
        case .commitSwap: generation.flatMap { generation in step.map { .commit(generation, step: $0) } }
        case .cancelSwap: generation.map { .cancel($0) }
        case .stop, .abandon, .drain, .ending, .expectLoss, .workerLost, .reloadKeys: nil
        }
    }
}

/// A stage's last message.
public struct Bye: Codable, Sendable, Equatable {
    public enum Reason: String, Codable, Sendable { case finished, stopped, drained, supervisorLost, failed }
    public var reason: Reason

    public init(_ reason: Reason) { self.reason = reason }
}

/// Why the supervisor will not have a stage, or cannot do what a client asked; the receiver prints it and exits.
public struct Refusal: Codable, Sendable, Equatable {
    public var message: String

    public init(_ message: String) { self.message = message }
}

/// `picoflow scale`: how many replicas each stage shall have.
public struct ScaleRequest: Codable, Sendable, Equatable {
    public var stages: [String: Int]

    public init(stages: [String: Int]) { self.stages = stages }
}

/// `picoflow swap`: other settings, another program, or both for a stage.
public struct SwapRequest: Codable, Sendable, Equatable {
    public var stage: String
    /// `KEY=VALUE` over the settings that hold now, in order.
    public var set: [String]
    /// As in `SwapProposal`.
    public var exec: [String]?
    public var atStep: UInt64?

    public init(stage: String, set: [String] = [], exec: [String]? = nil, atStep: UInt64? = nil) {
        self.stage = stage
        self.set = set
        self.exec = exec
        self.atStep = atStep
    }
}

/// A body without content, `{}`.
public struct Empty: Codable, Sendable, Equatable {
    public init() {}
}
