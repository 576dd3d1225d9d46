import Foundation
import StageKit
import Wire

/// A peer of the control socket: its routing id.
public struct ControlPeer: Hashable, Sendable {
    public var bytes: Data
    public init(_ bytes: Data) { self.bytes = bytes }
}

/// What a stage or a client says, decoded and checked.
public enum ControlInbound: Sendable, Equatable {
    case hello(Hello)
    case heartbeat(Heartbeat)
    case event(StageEvent)
    case bye(Bye)
    case statusRequest
    case stopRequest
}

/// What the supervisor says.
public enum ControlOutbound: Sendable, Equatable {
    case configuration(StageConfiguration)
    case heartbeat
    case command(Command)
    case refused(String)
    case reply(StatusReport)
}

/// How a process ended.
public enum ProcessEnd: Sendable, Equatable, CustomStringConvertible {
    case code(Int32)
    case signal(Int32)

    public var description: String {
        switch self {
        case .code(let code): "exited with code \(code)"
        case .signal(let number): "was killed by signal \(number) (\(String(cString: strsignal(number))))"
        }
    }
}

/// What happens to the supervisor.
public enum SupervisorEvent: Sendable, Equatable {
    case start
    case message(ControlInbound, from: ControlPeer, incarnation: Incarnation)
    case spawned(Replica, pid: Int32)
    case spawnFailed(Replica, String)
    /// - lastLine: the newest line of its log, where it has one.
    case exited(Replica, pid: Int32, ProcessEnd, lastLine: String?)
    /// Ctrl-C, SIGTERM, SIGHUP.
    case interrupt
    case evaluationEnded(EvaluationOutcome)
    case tick
}

/// What the supervisor does.
public enum SupervisorAction: Sendable, Equatable {
    case spawn(Replica)
    case send(ControlOutbound, to: ControlPeer)
    case signal(Replica, Int32)
    case journal(JournalEntry)
    case log(LogLevel, String)
    /// For the event files: a sentence under a tag, at compute's newest step.
    case runEvent(tag: String, String, step: UInt64)
    case startEvaluation(checkpoint: String)
    /// Nobody waits for its result any more.
    case cancelEvaluation
    /// Evaluators: as `Command.expectLoss` and `.workerLost` are for compute.
    case evaluationWorkerLost(String, expected: Bool)
    /// All processes are gone; nothing more will happen.
    case end(RunOutcome)

    public enum LogLevel: String, Sendable { case info, warning, error }
}

public enum EvaluationOutcome: Sendable, Equatable {
    case succeeded(EvaluationSummary)
    case failed(String)
}

/// How a run went.
public enum RunOutcome: Sendable, Equatable {
    /// - checkpoint: nil where the goal was evaluation alone.
    case finished(step: UInt64?, checkpoint: String?, evaluation: EvaluationSummary?)
    /// Asked to stop; `checkpoint` is the newest.
    case stopped(step: UInt64?, checkpoint: String?)
    /// One line: which stage failed first, and why.
    case failed(String)
}
