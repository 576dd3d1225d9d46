import Basics
import Configuration
import Foundation
import StageKit
import Synchronization
import Wire

/// The shell around `SupervisorCore`: sockets, clock, processes, journal and signals, on one thread.
public final class SupervisorRunner {
    /// What other threads tell the loop.
    private enum Outside: Sendable {
        case exit(ProcessTable.Exit)
        /// - number: counts the evaluations of this supervisor.
        case evaluation(number: Int, EvaluationOutcome)
        case evaluated(number: Int, done: Int, total: Int)
        case refusal(String)
    }

    private var core: SupervisorCore
    private let files: RunFiles
    private let control: Endpoint
    private let evaluation: (any CheckpointEvaluation)?
    private let environment: Environment
    private let display: any ProgressDisplay
    private let context = Context()
    private let inbox: Inbox<Outside>
    private let processes: ProcessTable
    /// Nil where the run's files are not to be written.
    private let events: RunEvents?
    /// The newest evaluation: what it says is heard until it has ended or was cancelled.
    private var session: (number: Int, stop: StopToken, losses: LossListener, hasEnded: DispatchSemaphore)?
    private var isListening = false
    private var evaluated: (done: Int, total: Int)?

    public init(
        plan: LaunchPlan, files: RunFiles, control: Endpoint, evaluation: (any CheckpointEvaluation)?,
        environment: Environment,
        display: any ProgressDisplay, timing: SupervisionTiming? = nil
    ) {
        core = SupervisorCore(plan: plan, timing: timing, hasEvaluation: evaluation != nil)
        self.files = files
        self.control = control
        self.evaluation = evaluation
        self.environment = environment
        self.display = display
        // Who journals a run also tells its story.
        events = files.journal.map { _ in
            RunEvents(runDirectory: files.directory, recipe: plan.recipe) { display.log(.warning, $0) }
        }
        let inbox = Inbox<Outside>()
        self.inbox = inbox
        processes = ProcessTable { inbox.put(.exit($0)) }
    }

    /// Runs until all processes are gone.
    ///
    /// - Parameter survivors: living processes of the run, taken over instead of starting all; nil starts all.
    /// - Throws: what keeps the supervisor itself from working, a full disk for instance, after killing all processes.
    func run(takingOver survivors: [ProcessTable.Entry]? = nil) throws -> RunOutcome {
        do {
            let outcome = try loop(survivors)
            try files.processes.map { path in
                if unlink(path) != 0, errno != ENOENT { throw DurableFile.systemError("cannot remove", path) }
            }
            return outcome
        } catch {
            session?.stop.request(.stop)
            for entry in processes.entries { processes.signal(Replica(entry.stage, entry.id), SIGKILL) }
            throw error
        }
    }

    private func loop(_ survivors: [ProcessTable.Entry]?) throws -> RunOutcome {
        let sender = Sender(run: core.plan.runName, name: "supervisor")
        let display = self.display
        let keys = core.plan.keys.map(KeysFolder.init)
        let allowed = AllowedKeys(try keys?.allowedKeys() ?? [])
        if let keys {
            try context.secureServers(
                ServerSecurity(
                    keys: keys.serverKeys(), allowed: allowed, onNote: { [inbox] in inbox.put(.refusal($0)) }))
        }
        let server = try ControlServer(
            bind: control, alsoAt: core.plan.addresses.listen.map { [$0] } ?? [], context: context, sender: sender,
            epoch: core.plan.epoch,
            onNote: { display.log(.warning, $0) })
        let signals = environment.watchesSignals ? SignalWatch(wakeup: inbox.wakeup) : nil
        // Stands still while the machine sleeps, so that a closed lid is no death.
        let clock = SuspendingClock()
        let start = clock.now
        var queue: ArraySlice<SupervisorEvent> = [try survivors.map { .takeOver(try adopt($0)) } ?? .start]
        while true {
            let now = start.duration(to: clock.now)
            // Messages before exits: a stage's last words come before its death.
            var heard = 0
            while heard < ControlServer.burst, let received = try server.receive() {
                heard += 1
                queue.append(.message(received.message, from: received.peer, incarnation: received.incarnation))
            }
            for outside in inbox.take() {
                switch outside {
                case .exit(let exit):
                    let log = files.log(of: exit.replica)
                    queue.append(.exited(exit.replica, pid: exit.pid, exit.end, lastLine: LogTail.lastLine(of: log)))
                case .evaluation(let number, let outcome):
                    if isListening, number == session?.number { queue.append(endEvaluation(outcome)) }
                case .evaluated(let number, let done, let total):
                    guard isListening, number == session?.number else { continue }
                    evaluated = (done, total)
                    queue.append(.evaluated)
                case .refusal(let text): display.log(.warning, text)
                }
            }
            for _ in 0..<(signals?.take() ?? 0) { queue.append(.interrupt) }
            queue.append(.tick)
            while let event = queue.popFirst() {
                for action in core.handle(event, now: now) {
                    if case .end(let outcome) = action {
                        events?.end(outcome)
                        display.end(core.report())
                        return outcome
                    }
                    if case .reloadKeys(let peer) = action {
                        try reload(keys, allowed, answering: peer, server).map { queue.append($0) }
                    } else {
                        try perform(action, server).map { queue.append($0) }
                    }
                }
            }
            display.show(core.report(), evaluated: evaluated, now: now)
            let wait = core.nextDeadline.map { $0 - start.duration(to: clock.now) } ?? .seconds(1)
            // A second at most, for the display, and less where so long a wait would pass for a standstill.
            let longest = min(1000, max(1, Int(core.timing.workerSilence / .milliseconds(4))))
            let milliseconds = min(longest, max(0, Int(wait / .milliseconds(1)) + 1))
            _ = Poller.wait([server.socket], wakeup: inbox.wakeup, milliseconds: milliseconds)
        }
    }

    /// - Returns: an event that follows at once.
    private func perform(_ action: SupervisorAction, _ server: ControlServer) throws -> SupervisorEvent? {
        switch action {
        case .spawn(let replica): return try spawn(replica)
        case .send(.reply(var report), let peer):
            report.control = server.frameCounts.metrics("control")
            report.evaluated = evaluated.map { StatusReport.Evaluated(done: $0.done, total: $0.total) }
            try server.send(.reply(report), to: peer)
        case .send(let outbound, let peer):
            server.epoch = core.plan.epoch
            try server.send(outbound, to: peer)
        case .signal(let replica, let number): processes.signal(replica, number)
        case .journal(let entry):
            do {
                try files.journal?.append(entry)
            } catch  where entry.isForReadersOnly {
                // A full disk is no reason to end what runs.
                display.log(.warning, "\(error)")
            }
        case .beginEpoch: return try beginEpoch()
        case .log(let level, let text): display.log(level, text)
        case .runEvent(let tag, let text, let step): events?.text(tag, text, step: step)
        case .startEvaluation(let checkpoint): return startEvaluation(checkpoint)
        case .cancelEvaluation:
            session?.stop.request(.stop)
            // Its thread may take its time; only the next evaluation waits for it.
            return endEvaluation(.failed("cancelled"))
        case .evaluationWorkerLost(let name, let expected): session?.losses.tell(name, expected)
        case .recordEvaluation(let scores, let result): record(scores, result)
        case .recordFailedEvaluation(let step, let why): recordFailure(of: step, why)
        case .reloadKeys, .end: break
        }
        return nil
    }

    /// Reads the list of allowed keys again and answers whoever asked for it.
    private func reload(
        _ keys: KeysFolder?, _ allowed: AllowedKeys, answering peer: ControlPeer, _ server: ControlServer
    ) throws -> SupervisorEvent? {
        do {
            guard let keys else { throw UserError("this run does not listen, so no key can join it") }
            let newer = try keys.allowedKeys()
            allowed.replace(by: newer)
            try server.send(.reply(core.answer()), to: peer)
            return .keysAllowed(newer)
        } catch let error as UserError {
            try server.send(.refused("\(error)"), to: peer)
            return nil
        }
    }

    private func spawn(_ replica: Replica) throws -> SupervisorEvent {
        guard let settings = core.settings(of: replica) else {
            return .spawnFailed(replica, "the topology has no stage of this name")
        }
        let command = StageCommand(
            replica, settings: settings, control: control, run: core.plan.runName,
            timing: core.plan.topology.supervisor, folder: environment.executables, inherited: environment.variables)
        let pid: Int32
        do {
            pid = try processes.spawn(
                replica, generation: core.generation(of: replica), command: command.command,
                environment: command.environment, log: files.log(of: replica))
        } catch {
            return .spawnFailed(replica, "\(error)")
        }
        listProcesses()
        return .spawned(replica, pid: pid)
    }

    /// Takes over the processes that still live.
    private func adopt(_ entries: [ProcessTable.Entry]) throws -> [Survivor] {
        let living = try entries.filter { try processes.adopt($0) }
        listProcesses()
        display.log(.info, "took over \(living.map { "\($0.stage)-\($0.id)" }.joined(separator: ", "))")
        return living.map { Survivor(Replica($0.stage, $0.id), pid: $0.pid, generation: $0.generation ?? .first) }
    }

    private func listProcesses() {
        guard let path = files.processes else { return }
        do {
            try ProcessRecord(
                host: ProcessInfo.processInfo.hostName, supervisor: getpid(),
                supervisorStarted: ProcessTable.startTime(of: getpid()), control: control.address,
                processes: processes.entries, recipe: files.recipeHash
            ).write(to: path)
        } catch {
            // A full disk is no reason to end what runs. Locks keep apart whom a later supervisor would not find listed.
            display.log(.warning, "\(error)")
        }
    }

    /// Journals the epoch that follows on all before, from the newest checkpoint. Durable before anything runs under it.
    private func beginEpoch() throws -> SupervisorEvent {
        let checkpoint = Checkpoint.list(in: files.directory + "/checkpoints").last
        let epoch = files.journal?.nextEpoch ?? Epoch(core.plan.epoch.rawValue + 1)
        try files.journal?.append(.epoch(core.plan.epochStart(epoch, from: checkpoint)))
        return .epochBegun(epoch, from: checkpoint)
    }

    /// - Returns: its failure, where it cannot even begin.
    private func startEvaluation(_ checkpoint: String) -> SupervisorEvent? {
        guard let evaluation, let endpoint = try? core.plan.addresses.address(.evaluation) else {
            return .evaluationEnded(.failed("no evaluation is set up"))
        }
        let before = session?.hasEnded
        let number = (session?.number ?? 0) + 1
        let (stop, losses, hasEnded) = (StopToken(), LossListener(), DispatchSemaphore(value: 0))
        session = (number, stop, losses, hasEnded)
        isListening = true
        let inbox = self.inbox
        let settings = EvaluationSession(
            recipe: core.plan.recipe, classes: core.plan.dataset.classes, checkpoint: checkpoint, endpoint: endpoint,
            sender: Sender(run: core.plan.runName, name: "evaluation"), context: context, epoch: core.plan.epoch,
            pool: core.plan.topology.pool, stop: stop,
            progress: { inbox.put(.evaluated(number: number, done: $0, total: $1)) },
            onWorkerLoss: { losses.set($0) })
        let thread = Thread {
            // One that was cancelled may still have the endpoint.
            before?.wait()
            defer { hasEnded.signal() }
            do {
                inbox.put(.evaluation(number: number, .succeeded(try evaluation.evaluate(settings))))
            } catch {
                inbox.put(.evaluation(number: number, .failed(errorLine(error))))
            }
        }
        thread.name = "evaluation"
        thread.start()
        return nil
    }

    private func endEvaluation(_ outcome: EvaluationOutcome) -> SupervisorEvent {
        isListening = false
        evaluated = nil
        return .evaluationEnded(outcome)
    }

    /// Keeps what an evaluation found, once per step.
    private func record(_ scores: EvaluationScores, _ result: EvaluationResult) {
        guard files.journal != nil, !core.plan.isRecorded(scores.step) else { return }
        events?.scores(scores, classes: result.report.classes)
        if let trouble = result.trouble { display.log(.warning, trouble) }
        if let pictures = result.pictures {
            events?.pictures(pictures)
            do {
                try pictures.write(inRun: files.directory)
            } catch {
                display.log(.warning, "no pictures of this evaluation: \(errorLine(error))")
            }
        }
        do {
            try MetricsFile.append(scores, to: files.directory + "/metrics.jsonl")
        } catch {
            // A full disk: the journal has it.
            display.log(.warning, "\(error)")
        }
        writeRecord(result.report, step: scores.step)
    }

    private func recordFailure(of step: UInt64, _ why: String) {
        struct Failure: Encodable { var step: UInt64, failed: String }
        guard files.journal != nil else { return }
        writeRecord(Failure(step: step, failed: why), step: step)
    }

    /// Writes an evaluation's record, with which its checkpoint is kept no longer than others.
    private func writeRecord(_ record: some Encodable, step: UInt64) {
        let (run, recipe) = (files.directory, core.plan.recipe)
        do {
            try EvaluationRecord.write(record.prettyJSON(), inRun: run, step: step)
        } catch {
            // The next supervisor evaluates the step again.
            return display.log(.warning, "\(error)")
        }
        Checkpoint.prune(in: run + "/checkpoints", keep: recipe.checkpoints.keep) {
            EvaluationRecord.isAwaited(inRun: run, step: $0, recipe)
        }
    }

    /// The evaluation's closure for worker losses, whichever thread sets it.
    private final class LossListener: Sendable {
        private let body = Mutex<(@Sendable (String, Bool) -> Void)?>(nil)
        func set(_ body: @escaping @Sendable (String, Bool) -> Void) { self.body.withLock { $0 = body } }
        func tell(_ worker: String, _ expected: Bool) { body.withLock { $0 }?(worker, expected) }
    }
}
