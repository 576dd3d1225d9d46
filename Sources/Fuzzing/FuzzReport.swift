import Basics
import Foundation
import Supervisor
import Wire

/// What a run made of its bad peers.
public struct FuzzReport: Sendable, Codable {
    public struct Socket: Sendable, Codable {
        public var name: String
        public var messages: Int
        public var connections: Int
        public var closed: Int
        /// Messages and connections of each malice.
        public var sent: [String: Int]
        /// By the run's own count: `heard`, `unheard` (of peers that were cut off), `cutOffPeers`, `bad.CHECK`.
        public var counted: [String: Int]
    }

    public struct Process: Sendable, Codable {
        public var name: String
        public var pid: Int32
        public var residentBefore: Int
        public var residentAfter: Int
    }

    public var seed: UInt64
    public var seconds: Double
    public var sockets: [Socket]
    public var processes: [Process]
    /// The steps that the run took meanwhile.
    public var steps: Int
    /// Log lines written meanwhile, of all stages.
    public var logLines: Int
    /// What must not be; empty where the run stood it.
    public var problems: [String]

    init(
        seed: UInt64, seconds: Double, growthLimit: Int, sent: [String: SocketFuzzer.Outcome], before: RunView,
        after: RunView, wanted: Int
    ) {
        self.seed = seed
        self.seconds = seconds
        steps = Int(after.status.step) - Int(before.status.step)
        var problems: [String] = []
        sockets = sent.sorted { $0.key < $1.key }.map { name, outcome in
            let counted = after.counts(of: name, since: before).mapValues { Int($0) }.filter { $0.value != 0 }
            if let trouble = outcome.trouble {
                problems.append("\(name): only \(outcome.messages) of \(wanted) messages were sent: \(trouble)")
            }
            let read = counted["heard", default: 0] + counted["unheard", default: 0]
            // Whoever sends too large a frame loses its connection, and with it what is on its way.
            if Double(read) < 0.95 * Double(outcome.messages) {
                problems.append("\(name): \(outcome.messages) messages were sent, \(read) arrived")
            }
            if outcome.messages > 1000, counted["cutOffPeers", default: 0] == 0 {
                problems.append("\(name): nobody was cut off")
            }
            return Socket(
                name: name, messages: outcome.messages, connections: outcome.connections, closed: outcome.closed,
                sent: Dictionary(uniqueKeysWithValues: outcome.byMalice.map { ($0.key.rawValue, $0.value) }),
                counted: counted)
        }
        processes = before.processes.sorted { $0.key < $1.key }.map { name, was in
            let now = after.processes[name]
            if now?.pid != was.pid { problems.append("\(name): process \(was.pid) is gone") }
            let growth = (now?.resident ?? 0) - was.resident
            if growth > growthLimit {
                problems.append("\(name) grew by \(growth >> 20) MiB; \(growthLimit >> 20) MiB are allowed")
            }
            return Process(name: name, pid: was.pid, residentBefore: was.resident, residentAfter: now?.resident ?? 0)
        }
        for stage in after.status.stages where stage.restarts > 0 {
            problems.append("\(stage.stage)-\(stage.id) was restarted \(stage.restarts) times")
        }
        let lines = after.logLines.map { ($0.key, $0.value - before.logLines[$0.key, default: 0]) }
        logLines = lines.reduce(0) { $0 + $1.1 }
        // Bad frames and cut-off peers are told of once a second each, on each of two links at most.
        for (file, count) in lines.sorted(by: { $0.0 < $1.0 }) where Double(count) > 40 + 4 * seconds {
            problems.append("logs/\(file) got \(count) lines in \(durationText(seconds: seconds))")
        }
        if steps <= 0 { problems.append("the run took no step in \(durationText(seconds: seconds))") }
        self.problems = problems
    }

    public var text: String {
        var lines = [
            String(
                format: "seed %llu: %.1f s, %d steps and %d log lines of the run meanwhile", seed, seconds, steps,
                logLines)
        ]
        for socket in sockets {
            lines.append("")
            lines.append(
                "\(socket.name): \(socket.messages) messages over \(socket.connections) connections, \(socket.closed) of them closed early"
            )
            let counted = socket.counted
            lines.append(
                "  read \(counted["heard", default: 0]), thrown away unread \(counted["unheard", default: 0]), "
                    + "peers cut off \(counted["cutOffPeers", default: 0])")
            let checks = FrameCheck.allCases.compactMap { check in
                counted["bad.\(check.rawValue)"].map { "\(check.rawValue) \($0)" }
            }
            lines.append("  failed at: " + checks.joined(separator: ", "))
            let sent = socket.sent.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            lines.append("  sent: " + sent.joined(separator: ", "))
        }
        lines.append("")
        for process in processes {
            lines.append(
                "\(process.name) (\(process.pid)): \(process.residentBefore >> 20) MiB before, \(process.residentAfter >> 20) MiB after"
            )
        }
        lines.append("")
        lines.append(problems.isEmpty ? "no problem" : problems.map { "PROBLEM: \($0)" }.joined(separator: "\n"))
        return lines.joined(separator: "\n")
    }
}
