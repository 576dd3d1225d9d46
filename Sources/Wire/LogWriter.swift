import Basics
import Foundation

/// Compute's end of the log: appends one record per step and never waits for the bank unless it asks to.
///
/// Calls may come from any thread; records are appended by one. An error that ends the log (`LogError.refused`,
/// `.lostRecords`) is thrown by every later call until `open` starts another epoch.
public final class LogWriter: Sendable {
    private enum Command: Sendable {
        case open(Epoch, SequenceNumber)
        case append(SequenceNumber, LogPayload)
        case control(LogWriterCore.Control, token: UInt64)
    }

    private struct State {
        var opened: (SequenceNumber, LogHash)?
        var isOpen = false
        var appended = SequenceNumber(0)
        var acknowledged = SequenceNumber(0)
        var outcomes: [UInt64: Result<LogCheckpoint?, LogError>] = [:]
        var tokens: UInt64 = 0
        var failure: LogError?
        var isClosed = false
        var isCancelled = false
        var hasEnded = false
        var started: Result<Void, any Error>?

        func check() throws {
            if isClosed { throw LogError.closed }
            if isCancelled { throw LogError.cancelled }
            if let failure { throw failure }
        }
    }

    private let mailbox: LogMailbox<Command, State>
    private let settings: LogSettings

    /// - Parameters:
    ///   - rank: of several ranks that write together, which this is, from 0; a record is durable when all have appended
    ///     their parts of it.
    ///   - onNote: gets one line per notable event, on the I/O thread.
    /// - Throws: `WireError.socket`. A bank that is not there yet is no error: it is waited for.
    public init(
        connect endpoint: Endpoint, as sender: Sender, rank: Int = 0, of ranks: Int = 1, context: Context,
        settings: LogSettings = LogSettings(),
        onNote: @escaping @Sendable (String) -> Void = { _ in }
    ) throws {
        self.settings = settings
        let mailbox = LogMailbox<Command, State>(State())
        self.mailbox = mailbox
        LogThread.start("log-writer") {
            let outcome = Result {
                try Self.serve(
                    endpoint, sender, context, LogWriterCore(settings: settings, rank: rank, ranks: ranks), settings,
                    mailbox: mailbox, onNote: onNote)
            }
            mailbox.locked { state in
                if case .failure(let error) = outcome {
                    state.started = state.started ?? .failure(error)
                    state.failure = state.failure ?? .notOpen("\(error)")
                }
                state.hasEnded = true
            }
        }
        try mailbox.wait(nil) { try $0.started?.get() }
    }

    deinit {
        mailbox.locked { $0.isClosed = true }
        mailbox.wakeup.signal()
    }

    private static func serve(
        _ endpoint: Endpoint, _ sender: Sender, _ context: Context, _ core: LogWriterCore, _ settings: LogSettings,
        mailbox: LogMailbox<Command, State>, onNote: (String) -> Void
    ) throws {
        let clock = LogClock()
        let link = try LogDealer(endpoint, sender: sender, context: context, limits: settings.limits)
        mailbox.locked { $0.started = .success(()) }
        var core = core
        func carryOut(_ actions: [LogWriterCore.Action]) throws {
            for action in actions {
                switch action {
                case .send(let type, let body, let tensors):
                    try link.send(type, epoch: core.epoch, body: body, tensors: tensors)
                case .opened(let sequence, let hash):
                    mailbox.locked { $0.opened = (sequence, hash) }
                case .acknowledged(let sequence, _):
                    mailbox.locked { $0.acknowledged = sequence }
                case .finished(let token, let checkpoint):
                    mailbox.locked { $0.outcomes[token] = .success(checkpoint) }
                case .controlRefused(let token, let error):
                    mailbox.locked { $0.outcomes[token] = .failure(error) }
                case .failed(let error):
                    mailbox.locked { $0.failure = error }
                case .note(let text):
                    onNote(text)
                }
            }
        }
        while !mailbox.locked({ $0.isClosed }) {
            link.wait(mailbox.wakeup, until: core.nextDeadline, now: clock.now)
            for command in mailbox.takeCommands() {
                switch command {
                case .open(let epoch, let sequence):
                    try carryOut(core.handle(.open(epoch, sequence), now: clock.now))
                case .append(let sequence, let payload):
                    try carryOut(core.handle(.append(sequence, payload), now: clock.now))
                case .control(let control, let token):
                    try carryOut(core.handle(.control(control, token: token), now: clock.now))
                }
            }
            for _ in 0..<LogThread.burst {
                guard let received = try link.receive() else { break }
                switch received {
                case .success(let message): try carryOut(core.handle(.received(message), now: clock.now))
                case .failure(let error): try carryOut(core.handle(.malformed("\(error)"), now: clock.now))
                }
            }
            try carryOut(core.handle(.tick, now: clock.now))
        }
    }

    /// Starts an epoch, or fails.
    ///
    /// - Parameters:
    ///   - epoch: newer than all before; in the journal, synced, before this call.
    ///   - sequence: where the state is, which must be where the bank is; 0 means an empty memory.
    ///   - timeout: nil waits for as long as it takes; here and below, `cancel` ends every wait.
    /// - Returns: the hash at `sequence`, to compare with the checkpoint's manifest.
    /// - Throws: `LogError.refused(.epoch…)` or `(.sequence…)`, `.timeout` where no bank answers.
    public func open(epoch: Epoch, at sequence: SequenceNumber, timeout: Duration?) throws -> LogHash {
        mailbox.locked { state in
            state.opened = nil
            state.isOpen = false
            state.failure = nil
            state.appended = sequence
            state.acknowledged = sequence
            state.outcomes = [:]
        }
        mailbox.post(.open(epoch, sequence))
        let opened = try mailbox.wait(timeout) { state -> (SequenceNumber, LogHash)? in
            try state.check()
            return state.opened
        }
        guard let opened else { throw LogError.timeout("opening epoch \(epoch) at sequence \(sequence)") }
        mailbox.locked { $0.isOpen = true }
        return opened.1
    }

    /// Hands a record to the log; never waits.
    ///
    /// - Parameter sequence: the step, one more than the last.
    /// - Throws: `LogError.outOfOrder`, `.backlog` where the bank has fallen too far behind, or what ended the log.
    public func append(_ sequence: SequenceNumber, _ record: LogPayload) throws {
        try mailbox.locked { state in
            try state.check()
            guard state.isOpen else { throw LogError.notOpen("no epoch was opened") }
            guard sequence == state.appended.next else {
                throw LogError.outOfOrder(sequence, expected: state.appended.next)
            }
            let waiting = Int(state.appended.rawValue - state.acknowledged.rawValue)
            guard waiting < settings.maxUnacknowledged else { throw LogError.backlog(waiting) }
            state.appended = sequence
        }
        mailbox.post(.append(sequence, record))
    }

    /// Waits until `append` would not throw `.backlog`: a bank that is being started again catches up.
    ///
    /// - Throws: what ended the log.
    public func waitForRoom() throws {
        try mailbox.wait(nil) { state -> Void? in
            try state.check()
            return Int(state.appended.rawValue - state.acknowledged.rawValue) < settings.maxUnacknowledged ? () : nil
        }
    }

    /// Waits until all that was appended is durable at the bank.
    ///
    /// - Parameter timeout: nil waits for as long as it takes.
    /// - Throws: `LogError.timeout`, or what ended the log.
    public func waitUntilAcknowledged(timeout: Duration? = nil) throws {
        let isDone = try mailbox.wait(timeout) { state -> Bool? in
            try state.check()
            return state.acknowledged >= state.appended ? true : nil
        }
        guard isDone != nil else { throw LogError.timeout("acknowledgement of what was appended") }
    }

    /// Ends all waits, also later ones, with `LogError.cancelled`.
    public func cancel() { mailbox.locked { $0.isCancelled = true } }

    /// Has the bank write its state at exactly `sequence`, the newest appended, into a checkpoint's folder; synced.
    ///
    /// - Parameter folder: exists, and is the same folder on the bank's machine.
    /// - Throws: `LogError.refused(.storage…)` with the file system's reason, `.timeout`, or what ended the log.
    public func checkpoint(_ sequence: SequenceNumber, into folder: String, timeout: Duration?) throws -> LogCheckpoint
    {
        guard let checkpoint = try control(.checkpoint(sequence, folder: folder), sequence, timeout) else {
            throw LogError.notOpen("the bank answered a checkpoint without one")
        }
        return checkpoint
    }

    /// Says that the checkpoint of `sequence` is whole (its manifest is durable): the bank may drop what only older
    /// ones need.
    public func retain(from sequence: SequenceNumber, timeout: Duration?) throws {
        _ = try control(.retain(sequence), sequence, timeout)
    }

    private func control(
        _ control: LogWriterCore.Control, _ sequence: SequenceNumber, _ timeout: Duration?
    ) throws -> LogCheckpoint? {
        let token = try mailbox.locked { state in
            try state.check()
            guard state.isOpen else { throw LogError.notOpen("no epoch was opened") }
            if case .checkpoint = control, sequence != state.appended {
                throw LogError.outOfOrder(sequence, expected: state.appended)
            }
            state.tokens += 1
            return state.tokens
        }
        mailbox.post(.control(control, token: token))
        let outcome = try mailbox.wait(timeout) { state in
            try state.check()
            return state.outcomes.removeValue(forKey: token)
        }
        guard let outcome else { throw LogError.timeout("\(control)") }
        return try outcome.get()
    }

    /// Ends the thread and closes the socket; what is unacknowledged is given up.
    public func close() {
        mailbox.locked { $0.isClosed = true }
        mailbox.wakeup.signal()
        mailbox.wait(nil) { $0.hasEnded ? () : nil }
    }
}
