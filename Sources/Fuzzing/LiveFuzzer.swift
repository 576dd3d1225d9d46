import Basics
import Foundation
import Supervisor
import Synchronization

/// Sends bad messages to every socket that a run at work has bound, then looks at what became of the run.
///
/// It needs no more than the run directory: `processes.json` names the control socket, beside which the others lie. Every
/// socket gets a thread, new routing ids all the time (a peer is cut off after 16 bad frames, and what is not read finds
/// nothing), and the counts of what reached which check come from the run's own status.
public final class LiveFuzzer {
    public struct Options: Sendable {
        /// Bad messages to each socket.
        public var messages = 20_000
        public var seed: UInt64 = 1
        /// An end for a machine that is too slow.
        public var limit = Duration.seconds(600)
        /// What a process may grow by beside its own work: the libzmq connections under way, JSON decoders' scratch
        /// memory, 4 MiB bodies that wait to be refused.
        public var growth = 96 << 20

        public init() {}
    }

    private let run: String
    private let options: Options
    private let folder: String
    private let sockets: [String]

    /// - Throws: `UserError` where no run is at work in the directory, or none of its sockets is local.
    public init(run: String, options: Options = Options()) throws {
        self.run = try RunDirectory.absolute(run)
        self.options = options
        struct Record: Decodable { var control: String }
        guard let bytes = FileManager.default.contents(atPath: self.run + "/processes.json"),
            let control = try? JSONDecoder().decode(Record.self, from: bytes).control, control.hasPrefix("ipc://")
        else { throw UserError("\(run): no run with local sockets is at work there") }
        folder = (String(control.dropFirst(6)) as NSString).deletingLastPathComponent
        sockets = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
            .filter { LinkKind(socket: $0) != nil }
        guard !sockets.isEmpty else { throw UserError("\(folder): no sockets of a run there") }
    }

    /// Fuzzes and reports. Takes as long as the sockets take the messages, and a few seconds for the counts to come.
    ///
    /// - Parameter progress: told now and then how many messages were sent.
    public func fuzz(progress: @escaping @Sendable (Int) -> Void = { _ in }) throws -> FuzzReport {
        let before = try RunView(run)
        let name = (run as NSString).lastPathComponent
        let start = ContinuousClock.now
        let deadline = start + options.limit
        let total = Atomic<Int>(0)
        let outcomes = Mutex<[String: SocketFuzzer.Outcome]>([:])
        let threads = DispatchGroup()
        for (index, socket) in sockets.enumerated() {
            var forge = FrameForge(
                kind: LinkKind(socket: socket)!, run: name, epoch: before.status.epoch,
                seed: options.seed &+ UInt64(index) &* 1_000_003)
            forge.captureGoodMessages()
            let path = folder + "/" + socket
            let wanted = options.messages
            threads.enter()
            let thread = Thread { [forge] in
                var fuzzer = SocketFuzzer(path: path, forge: forge)
                let outcome = fuzzer.run(messages: wanted, until: deadline) { sent in
                    progress(total.add(sent, ordering: .relaxed).newValue)
                }
                outcomes.withLock { $0[socket] = outcome }
                threads.leave()
            }
            thread.stackSize = 8 << 20
            thread.start()
        }
        threads.wait()
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let sent = outcomes.withLock { $0 }
        let after = try settled(sent, since: before)
        return FuzzReport(
            seed: options.seed, seconds: seconds, growthLimit: options.growth, sent: sent, before: before, after: after,
            wanted: options.messages)
    }

    /// The run once its counts, which stages tell once a second, include all that was sent.
    private func settled(_ sent: [String: SocketFuzzer.Outcome], since before: RunView) throws -> RunView {
        var view = try RunView(run)
        let deadline = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < deadline {
            let isThere = sent.allSatisfy { socket, outcome in
                let counts = view.counts(of: socket, since: before)
                return counts["heard", default: 0] + counts["unheard", default: 0] >= Double(outcome.messages)
            }
            if isThere { break }
            usleep(300_000)
            view = try RunView(run)
        }
        return view
    }
}

/// A run at one moment, as an outsider sees it.
struct RunView {
    var status: StatusReport
    /// Resident bytes by process, the supervisor among them.
    var processes: [String: (pid: Int32, resident: Int)] = [:]
    /// Lines of each log.
    var logLines: [String: Int] = [:]

    init(_ run: String) throws {
        status = try ControlClient(run: run).ask(.status, timeout: .seconds(30))
        struct Record: Decodable { var supervisor: Int32 }
        if let bytes = FileManager.default.contents(atPath: run + "/processes.json"),
            let record = try? JSONDecoder().decode(Record.self, from: bytes)
        {
            processes["supervisor"] = (record.supervisor, Self.resident(record.supervisor))
        }
        for stage in status.stages {
            if let pid = stage.pid { processes["\(stage.stage)-\(stage.id)"] = (pid, Self.resident(pid)) }
        }
        for file in (try? FileManager.default.contentsOfDirectory(atPath: run + "/logs")) ?? [] {
            let bytes = FileManager.default.contents(atPath: run + "/logs/" + file) ?? Data()
            logLines[file] = bytes.reduce(0) { $0 + ($1 == 0x0a ? 1 : 0) }
        }
    }

    private static func resident(_ pid: Int32) -> Int {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8)) ?? ""
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * Int(getpagesize())
    }

    /// What a socket's owner counted since then: `heard`, `bad.header`, `cutOffPeers` and so on.
    func counts(of socket: String, since earlier: RunView) -> [String: Double] {
        let link = String(socket.prefix { $0 != "." && $0 != "-" })
        func all(_ view: RunView) -> [String: Double] {
            let metrics = link == "control" ? [view.status.control ?? [:]] : view.status.stages.map(\.metrics)
            var sums: [String: Double] = [:]
            for (key, value) in metrics.joined() where key.hasPrefix(link + ".") {
                sums[String(key.dropFirst(link.count + 1)), default: 0] += value
            }
            return sums
        }
        return all(self).merging(all(earlier)) { $0 - $1 }
    }
}
