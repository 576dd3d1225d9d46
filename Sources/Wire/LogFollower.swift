import Basics
import Foundation

/// A miner's end of the log: a replica that is brought to exactly the sequence that a ticket names, and read by any number of
/// threads at that sequence.
///
/// `@unchecked Sendable`: the replica is touched by the I/O thread only while a caller waits for it to move, and by callers
/// only while none does (`turns` sees to it); the mailbox's lock orders the two. All else is constant.
public final class LogFollower<Replica: LogReplica & Sendable>: @unchecked Sendable {
    private enum Command: Sendable {
        case advance(Target, token: UInt64)
        /// Of the current wait, or of the one with that token only.
        case cancel(token: UInt64?)
    }

    private enum Target: Sendable {
        case exactly(LogFollowerCore.Goal)
        case newest(Epoch, lag: UInt64)

        /// Where the replica is to stand, if that is known beforehand.
        var place: LogFollowerCore.Goal? {
            if case .exactly(let goal) = self { goal } else { nil }
        }
    }

    /// What ends a wait before its time is over.
    private enum End { case outcome(Result<Void, LogError>), cancelled }

    /// Whose turn it is: one caller's that moves the replica, or all those' that read it where it stands.
    private struct Turns {
        var isMoving = false
        var readers = 0
        /// Where it stands; of meaning while there are readers.
        var place: LogFollowerCore.Goal?
    }

    private struct State {
        var token: UInt64 = 0
        var outcome: (token: UInt64, result: Result<Void, LogError>)?
        var isClosed = false
        var hasEnded = false
        var started: Result<Void, any Error>?
    }

    /// Where the I/O thread finds the replica without keeping the follower alive.
    private final class Holder {
        var replica: Replica
        init(_ replica: Replica) { self.replica = replica }
    }

    private let mailbox: LogMailbox<Command, State>
    private let holder: Holder
    private let turns = Monitor(Turns())

    /// - Parameters:
    ///   - replica: any state; it starts from a snapshot.
    ///   - onNote: gets one line per notable event, on the I/O thread.
    /// - Throws: `WireError.socket`. A bank that is not there yet is no error: it is waited for.
    public init(
        connect endpoint: Endpoint, as sender: Sender, replica: Replica, context: Context,
        settings: LogSettings = LogSettings(), onNote: @escaping @Sendable (String) -> Void = { _ in }
    ) throws {
        let mailbox = LogMailbox<Command, State>(State())
        let holder = Holder(replica)
        self.mailbox = mailbox
        self.holder = holder
        nonisolated(unsafe) let shared = holder
        LogThread.start("log-follower") {
            let outcome = Result {
                try Self.serve(endpoint, sender, context, settings, shared, mailbox: mailbox, onNote: onNote)
            }
            mailbox.locked { state in
                if case .failure(let error) = outcome {
                    state.started = state.started ?? .failure(error)
                    onNote("the follower ended: \(error)")
                }
                state.isClosed = true
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
        _ endpoint: Endpoint, _ sender: Sender, _ context: Context, _ settings: LogSettings, _ holder: Holder,
        mailbox: LogMailbox<Command, State>, onNote: (String) -> Void
    ) throws {
        let clock = LogClock()
        let link = try LogDealer(endpoint, sender: sender, context: context, limits: settings.limits)
        mailbox.locked { $0.started = .success(()) }
        var core = LogFollowerCore(settings: settings)
        var current: UInt64?
        func settle(_ result: Result<Void, LogError>) {
            guard let token = current else { return }
            current = nil
            mailbox.locked { $0.outcome = (token, result) }
        }
        func carryOut(_ actions: [LogFollowerCore.Action]) throws {
            for action in actions {
                do {
                    switch action {
                    case .beginRestore: try holder.replica.beginRestore()
                    case .restore(let part): try holder.replica.restore(part)
                    case .endRestore(let sequence): try holder.replica.endRestore(at: sequence)
                    case .apply(let sequence, let record): try holder.replica.apply(record, at: sequence)
                    case .send(let type, let body): try link.send(type, epoch: core.epoch, body: body)
                    case .reached: settle(.success(()))
                    case .failed(let error): settle(.failure(error))
                    case .note(let text): onNote(text)
                    }
                } catch {
                    if case .send = action { throw error }
                    return try carryOut(core.handle(.replicaFailed("\(error)"), now: clock.now))
                }
            }
        }
        while !mailbox.locked({ $0.isClosed }) {
            link.wait(mailbox.wakeup, until: core.nextDeadline, now: clock.now)
            for command in mailbox.takeCommands() {
                switch command {
                case .advance(let target, let token):
                    current = token
                    switch target {
                    case .exactly(let goal): try carryOut(core.handle(.advance(goal), now: clock.now))
                    case .newest(let epoch, let lag):
                        try carryOut(core.handle(.catchUp(epoch, lag: lag), now: clock.now))
                    }
                case .cancel(let token):
                    guard current != nil, token == nil || token == current else { continue }
                    try carryOut(core.handle(.cancel, now: clock.now))
                    settle(.failure(.cancelled))
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

    /// Takes a snapshot and comes to where the bank is, less `lag` records, so that the first ticket does not wait for
    /// that. Waits for the epoch to be opened.
    ///
    /// - Throws: as `read`.
    public func catchUp(lag: UInt64, epoch: Epoch, timeout: Duration) throws {
        try enter(.newest(epoch, lag: lag), timeout: timeout, unless: nil)
        leave()
    }

    /// Brings the replica to exactly `sequence`, never beyond, and reads it while nothing changes it. Callers read side by
    /// side where they want the same sequence; others wait for their turn.
    ///
    /// Forwards it applies records, waiting for those that do not exist yet; backwards it starts again from a
    /// snapshot, which the bank can serve for the last 8 sequences at least.
    ///
    /// - Parameters:
    ///   - timeout: for the log, nil for as long as it takes; a turn is waited for as long as it takes.
    ///   - cancellation: ends the waiting, for a turn also, with `LogError.cancelled`.
    /// - Throws: `LogError.staleEpoch` where the log is at a newer epoch, `.refused(.gone…)` where the bank no longer
    ///   keeps what is asked for, `.timeout`, `.cancelled`, `.replica` where the replica threw, `.closed`.
    public func read<R>(
        at sequence: SequenceNumber, epoch: Epoch, timeout: Duration?, unless cancellation: Cancellation? = nil,
        _ body: (Replica) throws -> R
    ) throws -> R {
        let goal = LogFollowerCore.Goal(epoch: epoch, sequence: sequence)
        try enter(.exactly(goal), timeout: timeout, unless: cancellation)
        defer { leave() }
        return try body(holder.replica)
    }

    /// Makes the caller one of the readers, of those that are there or, once they have left, at another place.
    private func enter(_ target: Target, timeout: Duration?, unless cancellation: Cancellation?) throws {
        cancellation?.onCancel { [turns, mailbox] in
            turns.update { _ in }
            mailbox.locked { _ in }
        }
        let isThere = try turns.wait { turns -> Bool? in
            if cancellation?.isCancelled == true { throw LogError.cancelled }
            if turns.isMoving { return nil }
            if turns.readers > 0 {
                guard let place = target.place, turns.place == place else { return nil }
                turns.readers += 1
                return true
            }
            turns.isMoving = true
            return false
        }
        if isThere == true { return }
        let result = Result { try reach(target, timeout: timeout, unless: cancellation) }
        turns.update { turns in
            turns.isMoving = false
            turns.place = target.place
            if case .success = result { turns.readers = 1 }
        }
        try result.get()
    }

    private func leave() { turns.update { $0.readers -= 1 } }

    private func reach(_ target: Target, timeout: Duration?, unless cancellation: Cancellation?) throws {
        let token = mailbox.locked { state in
            state.token += 1
            return state.token
        }
        func outcome(_ state: inout State) throws -> Result<Void, LogError>? {
            if let outcome = state.outcome, outcome.token == token { return outcome.result }
            if state.hasEnded { throw LogError.closed }
            return nil
        }
        mailbox.post(.advance(target, token: token))
        let end = try mailbox.wait(timeout) { state -> End? in
            if let outcome = try outcome(&state) { return .outcome(outcome) }
            return cancellation?.isCancelled == true ? .cancelled : nil
        }
        if case .outcome(let result)? = end { return try result.get() }
        // The I/O thread must have let go of the replica before anybody else reads it.
        mailbox.post(.cancel(token: token))
        if case .success = try mailbox.wait(nil, until: outcome) { return }
        if end != nil { throw LogError.cancelled }
        switch target {
        case .exactly(let goal): throw LogError.timeout("record \(goal.sequence) of epoch \(goal.epoch)")
        case .newest(let epoch, _): throw LogError.timeout("the newest state of epoch \(epoch)")
        }
    }

    /// Wakes whoever waits for the replica to move, with `LogError.cancelled`; the follower stays usable.
    public func cancel() { mailbox.post(.cancel(token: nil)) }

    /// Ends the thread and closes the socket.
    public func close() {
        mailbox.locked { $0.isClosed = true }
        mailbox.wakeup.signal()
        mailbox.wait(nil) { $0.hasEnded ? () : nil }
    }
}
