import Basics
import Configuration
import Foundation
import StageKit
import Wire

/// A joining host as a value: keeps the processes of the replicas that the run's supervisor allotted to it. No sockets,
/// clocks or processes.
///
/// It asks with every heartbeat, which also tells that the host lives, and starts what it was allotted. Processes that
/// die are started again under the same replica number, with patience that doubles, and given up after repeated
/// failures. What tells a process to end is its own link to the supervisor; this only sees to it that it does.
struct JoinCore {
    enum Event {
        case answered(JoinReply)
        case refused(String)
        case spawnFailed(Replica, String)
        case exited(Replica, ProcessEnd, lastLine: String?)
        /// Ctrl-C, SIGHUP.
        case interrupt
        /// SIGTERM, which the whole run may have got.
        case terminate
        case tick
    }

    enum Action: Equatable {
        case ask(replicas: [Replica])
        case leave
        case spawn(Replica)
        case signal(Replica, Int32)
        case log(LogLevel, String)
        case end(Outcome)
    }

    enum Outcome: Equatable {
        /// The run needs no more work.
        case ended
        /// As asked for here.
        case left
        case failed(String)
    }

    private struct Stage {
        enum Life: Equatable {
            case running(since: Duration)
            case waiting(until: Duration)
            case over
        }
        let replica: Replica
        var life: Life
        /// Failures in a row.
        var failures = 0
        var isAlive: Bool { if case .running = life { true } else { false } }
    }

    private static let never = Duration.seconds(1 << 40)
    /// How long the first answer may take: an engine starts a run and the hosts that join it at once, and the run first lists
    /// its dataset.
    private static let firstAnswer = Duration.seconds(600)
    /// How long a termination waits for the word that the whole run ends.
    private static let together = Duration.seconds(2)
    private let timing: SupervisionTiming
    private var heartbeat: Duration
    private var grace: Duration
    private var stages: [Stage] = []
    private var reply: JoinReply?
    private var lastHeard = Duration.zero
    private var lastTick = Duration.zero
    private var nextAsk = Duration.zero
    private var interrupts = 0
    /// When a termination becomes a leave: where all processes of a run are told to end at once, the word that it ends is about
    /// to come, and compute needs these stages for its last step.
    private var leavesAt: Duration?
    private var hasWarned = false
    /// No process is started any more; those that have not ended by then are terminated, then killed.
    private var ending: (outcome: Outcome, terminateAt: Duration, killAt: Duration)?
    /// Nothing was heard of the supervisor for too long.
    private var isGivenUp = false
    private var isOver = false
    /// When the event in hand happened.
    private var now = Duration.zero
    /// What the event in hand asks for so far; none between events.
    private var actions: [Action] = []

    /// - Parameters:
    ///   - grace: how long the supervisor may be silent, until it has said itself.
    init(heartbeat: Duration, grace: Duration, timing: SupervisionTiming = .init()) {
        self.heartbeat = heartbeat
        self.grace = grace
        self.timing = timing
    }

    var nextDeadline: Duration {
        // Nothing beyond the next question is late for a heartbeat's time.
        var deadlines = [nextAsk]
        for case .waiting(let until) in stages.map(\.life) { deadlines.append(until) }
        if let ending {
            deadlines += [ending.terminateAt, ending.killAt]
        } else if let leavesAt {
            deadlines.append(leavesAt)
        }
        return deadlines.min()!
    }

    mutating func handle(_ event: Event, now: Duration) -> [Action] {
        guard !isOver else { return [] }
        self.now = now
        defer { actions = [] }
        switch event {
        case .answered(let reply): answered(reply)
        case .refused(let message): beginEnding(.failed("the run refuses this host: \(message)"))
        case .spawnFailed(let replica, let why):
            beginEnding(.failed("\(replica) could not be started: \(why)"))
            for index in stages.indices where stages[index].replica == replica { stages[index].life = .over }
        case .exited(let replica, let end, let line): exited(replica, end, line)
        case .interrupt: interrupt(waitingForTheRun: false)
        case .terminate: interrupt(waitingForTheRun: reply != nil)
        case .tick: tick()
        }
        if let ending, !stages.contains(where: \.isAlive) {
            isOver = true
            actions.append(.end(ending.outcome))
        }
        return actions
    }

    private mutating func answered(_ reply: JoinReply) {
        lastHeard = now
        heartbeat = reply.supervisor.heartbeat
        grace = reply.supervisor.grace
        let isFirst = self.reply == nil
        self.reply = reply
        if reply.isEnding {
            // Compute may need these stages for its last step and checkpoint.
            return beginEnding(.ended, within: timing.computeStop + timing.stop)
        }
        guard isFirst, ending == nil else { return }
        for replica in reply.replicas {
            stages.append(Stage(replica: replica, life: .running(since: now)))
            actions.append(.spawn(replica))
        }
    }

    private mutating func exited(_ replica: Replica, _ end: ProcessEnd, _ line: String?) {
        guard let index = stages.firstIndex(where: { $0.replica == replica }),
            case .running(let since) = stages[index].life
        else { return }
        stages[index].life = .over
        // Told to end by the supervisor, which knows why.
        if ending == nil, end != .code(0) {
            stages[index].failures = now - since >= timing.healthy ? 1 : stages[index].failures + 1
            let why = "\(replica) \(end)" + (line.map { "; its last line: \($0)" } ?? "")
            if stages[index].failures < timing.failures {
                let delay = min(timing.longestBackoff, timing.backoff * (1 << (stages[index].failures - 1)))
                stages[index].life = .waiting(until: now + delay)
                return actions.append(.log(.warning, "\(why); starting it again"))
            }
            actions.append(.log(.error, "\(why); given up after \(timing.failures) failures in a row"))
            if stages.allSatisfy({ $0.life == .over }) { beginEnding(.failed(why)) }
        } else if ending == nil, stages.allSatisfy({ $0.life == .over }) {
            // They end by themselves, too, where they hear nothing of the supervisor.
            let silence = now - lastHeard
            let isHeard = silence < max(heartbeat, .seconds(1)) * 5
            beginEnding(isHeard ? .ended : .failed("nothing was heard of the run's supervisor for \(silence.text)"))
        }
    }

    private mutating func interrupt(waitingForTheRun waits: Bool) {
        interrupts += 1
        switch interrupts {
        case 1:
            guard ending == nil else { return }
            actions.append(.log(.info, "leaving: the stages finish what they have begun; again to stop at once"))
            if waits { leavesAt = now + Self.together } else { leave() }
        case 2:
            if ending == nil { leave() }
            ending?.terminateAt = now
        default: ending?.killAt = now
        }
    }

    private mutating func leave() {
        actions.append(.leave)
        beginEnding(.left)
    }

    /// - Parameter patience: how long the processes have to end; nil is the patience for a ticket in hand.
    private mutating func beginEnding(_ outcome: Outcome, within patience: Duration? = nil) {
        guard ending == nil else { return }
        let terminateAt = now + (patience ?? timing.stop)
        ending = (outcome, terminateAt, terminateAt + timing.kill)
        for index in stages.indices where !stages[index].isAlive { stages[index].life = .over }
        guard case .failed = outcome else { return }
        // Nobody else tells the stages, and the run shall not count on them.
        if patience == nil { ending?.terminateAt = now }
        actions.append(.leave)
    }

    private mutating func tick() {
        if let leavesAt, now >= leavesAt, ending == nil { leave() }
        if now >= nextAsk {
            // The first question may come before its connection, or before the run.
            nextAsk = now + (reply == nil ? min(heartbeat, .milliseconds(200)) : heartbeat)
            // A supervisor that is back shall not count on a host that has given it up.
            if !isGivenUp { actions.append(.ask(replicas: reply?.replicas ?? [])) }
            // The first may have been lost on the way.
            if case .left = ending?.outcome { actions.append(.leave) }
        }
        // A gap means that this process itself stood still, and asked nothing meanwhile.
        if now - lastTick > max(heartbeat, .seconds(1)) * 5 { lastHeard = now }
        lastTick = now
        let patience = reply == nil ? max(grace, Self.firstAnswer) : grace
        if reply == nil, ending == nil, !hasWarned, now - lastHeard >= grace {
            hasWarned = true
            actions.append(
                .log(
                    .warning,
                    "nothing was heard of the run's supervisor for \(grace.text); trying for \(patience.text) in all, as it may be "
                        + "starting: where it runs, look at the address, the key and the run's name"))
        }
        if now - lastHeard >= patience {
            if ending == nil {
                // The stages end by themselves, when compute has had time for its last step and checkpoint.
                beginEnding(
                    .failed("nothing was heard of the run's supervisor for \(patience.text)"),
                    within: SupervisorSettings.service(after: grace) + timing.stop)
                isGivenUp = true
            } else if !isGivenUp, let ending, ending.terminateAt > now, ending.terminateAt != Self.never {
                self.ending?.terminateAt = now
            }
        }
        for index in stages.indices {
            if case .waiting(let until) = stages[index].life, now >= until {
                stages[index].life = .running(since: now)
                actions.append(.spawn(stages[index].replica))
            }
        }
        guard let ending, now >= min(ending.terminateAt, ending.killAt) else { return }
        let number = now >= ending.killAt ? SIGKILL : SIGTERM
        for stage in stages where stage.isAlive { actions.append(.signal(stage.replica, number)) }
        // Once; the kill follows.
        if number == SIGTERM { self.ending?.terminateAt = Self.never }
        self.ending?.killAt = now + timing.kill
    }
}
