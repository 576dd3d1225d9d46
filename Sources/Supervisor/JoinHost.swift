import Basics
import Configuration
import Datasets
import Foundation
import StageKit
import Wire

/// The shell around `JoinCore`: socket, clock, processes and signals, on one thread.
public final class JoinHost {
    public struct Options: Sendable {
        /// Where the run listens, `tcp://HEAD:PORT`.
        public var address: Endpoint
        /// Absolute.
        public var keyFile: String
        /// The run's name; nil takes the key file's.
        public var run: String?
        /// Replicas of each stage.
        public var stages: [String: Int]
        /// Where this host has the dataset; nil where it is at the run's own path.
        public var datasetRoot: String?
        /// Folder of the stages' logs, which is made where missing.
        public var logs: String

        public init(
            address: Endpoint, keyFile: String, run: String? = nil, stages: [String: Int], datasetRoot: String? = nil,
            logs: String
        ) {
            self.address = address
            self.keyFile = keyFile
            self.run = run
            self.stages = stages
            self.datasetRoot = datasetRoot
            self.logs = logs
        }
    }

    private let options: Options
    private let key: ClientKeyFile
    private let run: String
    private let environment: SupervisorRunner.Environment
    private let display: any ProgressDisplay
    private let sender: Sender
    private let exits: Inbox<ProcessTable.Exit>
    private let processes: ProcessTable
    private var sequence: UInt64 = 0
    private var reply: JoinReply?

    /// - Throws: `UserError` for a key file that is none, or one that names no run.
    public init(
        _ options: Options, environment: SupervisorRunner.Environment, display: any ProgressDisplay
    ) throws {
        self.options = options
        self.environment = environment
        self.display = display
        key = try ClientKeyFile(contentsOf: options.keyFile)
        guard let run = options.run ?? key.run else {
            throw UserError("\(options.keyFile) names no run; give its name by --run")
        }
        self.run = run
        guard options.address.isTCP, options.address.port != nil, options.address.host != "*" else {
            throw UserError("\(options.address) is no address to join: tcp://HEAD:PORT was expected")
        }
        sender = Sender(run: run, name: "join")
        let exits = Inbox<ProcessTable.Exit>()
        self.exits = exits
        processes = ProcessTable { exits.put($0) }
    }

    /// Works for the run until it ends, or until a signal.
    ///
    /// - Returns: one line that says how it ended.
    /// - Throws: `UserError` where the run refuses this host or falls silent, or where the dataset is another one.
    public func work() throws -> String {
        do {
            return try loop()
        } catch {
            for entry in processes.entries { processes.signal(Replica(entry.stage, entry.id), SIGKILL) }
            throw error
        }
    }

    private func loop() throws -> String {
        try DurableFile.makeFolder(options.logs)
        let context = Context()
        context.identify(as: try key.security)
        var socket = try dial(context)
        let signals = environment.watchesSignals ? SignalWatch(wakeup: exits.wakeup) : nil
        let clock = SuspendingClock()
        let start = clock.now
        var dialled = clock.now
        let defaults = SupervisorSettings()
        var core = JoinCore(heartbeat: defaults.heartbeat, grace: defaults.grace)
        var queue: ArraySlice<JoinCore.Event> = []
        while true {
            while let event = try receive(socket) { queue.append(event) }
            for exit in exits.take() {
                queue.append(.exited(exit.replica, exit.end, lastLine: LogTail.lastLine(of: log(of: exit.replica))))
            }
            for _ in 0..<(signals?.take() ?? 0) {
                queue.append(signals?.hasTerminated == true ? .terminate : .interrupt)
            }
            queue.append(.tick)
            while let event = queue.popFirst() {
                for action in core.handle(event, now: start.duration(to: clock.now)) {
                    if case .end(let outcome) = action { return try summary(outcome) }
                    try perform(action, socket).map { queue.append($0) }
                }
            }
            if reply == nil, dialled.duration(to: clock.now) >= Self.patience {
                // Where the key was refused libzmq never dials again; by now it may be allowed.
                socket.close()
                socket = try dial(context)
                dialled = clock.now
            }
            let wait = core.nextDeadline - start.duration(to: clock.now)
            let milliseconds = min(1000, max(0, Int(wait / .milliseconds(1)) + 1))
            _ = Poller.wait([socket], wakeup: exits.wakeup, milliseconds: milliseconds)
        }
    }

    /// How long one connection may stay without an answer.
    private static let patience = Duration.seconds(10)

    private func dial(_ context: Context) throws -> Socket {
        let socket = try Socket(
            .dealer, context: context, identity: "join.\(sender.incarnation)",
            maxMessageBytes: MessageLimits.control.bodyBytes, onlyWhileConnected: true)
        try socket.connect(options.address)
        return socket
    }

    private func summary(_ outcome: JoinCore.Outcome) throws -> String {
        switch outcome {
        case .ended: return "run \(run) needs no more work"
        case .left: return "left run \(run)"
        case .failed(let message) where reply == nil:
            throw UserError(
                "\(options.address): \(message); is the run at work, is '\(run)' its name, does it listen there, and is the key allowed?"
            )
        case .failed(let message): throw UserError(message)
        }
    }

    /// The next message that means something; nil where none waits.
    private func receive(_ socket: Socket) throws -> JoinCore.Event? {
        while let frames = try socket.receive() {
            do {
                let message = try Message(frames: frames, run: run, limits: .control)
                switch ControlType(rawValue: message.header.type) {
                case .joined:
                    let reply: JoinReply = try message.decodeBody()
                    if self.reply == nil { try checkDataset(reply, socket) }
                    self.reply = reply
                    return .answered(reply)
                case .refused: return .refused(try message.decodeBody(Refusal.self).message)
                default: display.log(.warning, "dropped a message of type '\(message.header.type)'")
                }
            } catch let error as WireError {
                display.log(.warning, "dropped a message: \(error)")
            }
        }
        return nil
    }

    /// Loaders must read the same images: another dataset would train another network.
    private func checkDataset(_ reply: JoinReply, _ socket: Socket) throws {
        do {
            try checkDataset(reply)
        } catch {
            try send(.leave, Empty().wireJSON(), socket)
            throw error
        }
    }

    private func checkDataset(_ reply: JoinReply) throws {
        let loads = reply.stages.contains { stage in
            stage.kind == .loader && reply.replicas.contains { $0.stage == stage.name }
        }
        guard loads else { return }
        let settings = options.datasetRoot.map(reply.dataset.moved) ?? reply.dataset
        let here: DatasetSummary
        do {
            here = try DatasetSummary(opening: settings)
        } catch {
            let place =
                reply.dataset.root.isEmpty
                ? ((reply.dataset.description ?? "") as NSString).deletingLastPathComponent : reply.dataset.root
            throw UserError(
                "\(errorLine(error)); --dataset-root DIR says where this host has the dataset that the run has in "
                    + place)
        }
        try here.checkUnchanged(since: reply.summary, root: settings.place)
    }

    /// - Returns: an event that follows at once.
    private func perform(_ action: JoinCore.Action, _ socket: Socket) throws -> JoinCore.Event? {
        switch action {
        case .ask(let replicas):
            let request = JoinRequest(
                host: ProcessInfo.processInfo.hostName, stages: options.stages, replicas: replicas)
            try send(.join, request.wireJSON(), socket)
        case .leave: try send(.leave, Empty().wireJSON(), socket)
        case .spawn(let replica): return spawn(replica)
        case .signal(let replica, let number): processes.signal(replica, number)
        case .log(let level, let text): display.log(level, text)
        case .end: break
        }
        return nil
    }

    private func send(_ type: ControlType, _ body: Data, _ socket: Socket) throws {
        sequence += 1
        let message = Message(type.rawValue, from: sender, epoch: Epoch(0), sequence: sequence, body: body)
        try socket.send(message.frames())
    }

    private func log(of replica: Replica) -> String { "\(options.logs)/\(replica).log" }

    private func spawn(_ replica: Replica) -> JoinCore.Event? {
        guard let reply, let settings = reply.stages.first(where: { $0.name == replica.stage }) else {
            return .spawnFailed(replica, "the supervisor said nothing about its stage")
        }
        do {
            try StageCommand.check([settings], folder: environment.executables)
            var command = StageCommand(
                replica, settings: settings, control: options.address, run: run, timing: reply.supervisor,
                folder: environment.executables, inherited: environment.variables)
            command.command += ["--key", options.keyFile]
            if let root = options.datasetRoot { command.command += ["--dataset-root", root] }
            let pid = try processes.spawn(
                replica, command: command.command, environment: command.environment, log: log(of: replica))
            display.log(.info, "started \(replica), process \(pid)")
            return nil
        } catch {
            return .spawnFailed(replica, "\(error)")
        }
    }
}
