import Foundation
import StageKit
import Wire

/// A peer of the control socket: its routing id.
public struct ControlPeer: Hashable, Sendable {
    public var bytes: Data
    /// Who came over TCP; nil for a process on this machine.
    public var key: CurveKey?

    public init(_ bytes: Data, key: CurveKey? = nil) {
        self.bytes = bytes
        self.key = key
    }
}

/// What a stage or a client says, decoded and checked.
public enum ControlInbound: Sendable, Equatable {
    case hello(Hello)
    case heartbeat(Heartbeat)
    case event(StageEvent)
    case bye(Bye)
    case statusRequest
    case stopRequest
    case scaleRequest(ScaleRequest)
    case swapRequest(SwapRequest)
    case keysChanged
    case join(JoinRequest)
    case leave
}

/// What the supervisor says.
public enum ControlOutbound: Sendable, Equatable {
    case configuration(StageConfiguration)
    case heartbeat
    case command(Command)
    case refused(String)
    case reply(StatusReport)
    case joined(JoinReply)
}

/// How a process ended.
public enum ProcessEnd: Sendable, Equatable, CustomStringConvertible {
    case code(Int32)
    case signal(Int32)
    /// Of a process that an earlier supervisor started: only its parent is told how it ended.
    case unknown

    public var description: String {
        switch self {
        case .code(let code): "exited with code \(code)"
        case .signal(let number): "was killed by signal \(number) (\(String(cString: strsignal(number))))"
        case .unknown: "ended"
        }
    }
}

/// What happens to the supervisor.
public enum SupervisorEvent: Sendable, Equatable {
    case start
    /// Instead of `start`: these processes of the run live, started by a supervisor that died.
    case takeOver([Survivor])
    /// Answers `.beginEpoch`: the epoch is in the journal, and this is the newest complete checkpoint.
    case epochBegun(Epoch, from: Checkpoint?)
    case message(ControlInbound, from: ControlPeer, incarnation: Incarnation)
    case spawned(Replica, pid: Int32)
    case spawnFailed(Replica, String)
    /// - lastLine: the newest line of its log, where it has one.
    case exited(Replica, pid: Int32, ProcessEnd, lastLine: String?)
    /// Ctrl-C, SIGTERM, SIGHUP.
    case interrupt
    /// Another image is measured.
    case evaluated
    case evaluationEnded(EvaluationOutcome)
    /// The list of allowed keys, read again.
    case keysAllowed(Set<CurveKey>)
    case tick
}

/// A process that outlived the supervisor which started it.
public struct Survivor: Sendable, Equatable {
    public var replica: Replica
    public var pid: Int32
    public var generation: Generation

    public init(_ replica: Replica, pid: Int32, generation: Generation = .first) {
        self.replica = replica
        self.pid = pid
        self.generation = generation
    }
}

/// What the supervisor does.
public enum SupervisorAction: Sendable, Equatable {
    case spawn(Replica)
    case send(ControlOutbound, to: ControlPeer)
    case signal(Replica, Int32)
    case journal(JournalEntry)
    /// Looks for the newest checkpoint and journals a new epoch that starts from it; `.epochBegun` follows.
    case beginEpoch
    /// Read the list of allowed keys again; the answer to the client follows.
    case reloadKeys(for: ControlPeer)
    case log(LogLevel, String)
    /// For the event files: a sentence under a tag, at compute's newest step.
    case runEvent(tag: String, String, step: UInt64)
    case startEvaluation(checkpoint: String)
    /// Nobody waits for its result any more; it has failed then.
    case cancelEvaluation
    /// Keep what an evaluation found: its record, a line of the metrics, event files. Its checkpoint may go then.
    case recordEvaluation(EvaluationScores, EvaluationResult)
    case recordFailedEvaluation(step: UInt64, String)
    /// Evaluators: as `Command.expectLoss` and `.workerLost` are for compute.
    case evaluationWorkerLost(String, expected: Bool)
    /// All processes are gone; nothing more will happen.
    case end(RunOutcome)
}

public enum EvaluationOutcome: Sendable, Equatable {
    case succeeded(EvaluationResult)
    case failed(String)
}

/// How a run went.
public enum RunOutcome: Sendable, Equatable {
    /// - checkpoint: nil where the goal was evaluation alone.
    case finished(step: UInt64?, checkpoint: String?, evaluation: EvaluationReport?)
    /// Asked to stop; `checkpoint` is the newest.
    case stopped(step: UInt64?, checkpoint: String?)
    /// One line: which stage failed first, and why.
    case failed(String)
}
