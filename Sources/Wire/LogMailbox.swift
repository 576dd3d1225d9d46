import Foundation

/// Commands on their way to an I/O thread, and a condition on which their senders wait for what comes of them.
///
/// `@unchecked Sendable`: `state` is only touched inside `locked`, `wait` and `post`, which hold the condition's lock.
final class LogMailbox<Command: Sendable, State>: @unchecked Sendable {
    private let condition = NSCondition()
    private var commands: [Command] = []
    private var state: State
    let wakeup = Wakeup()

    init(_ state: State) { self.state = state }

    /// Hands a command to the I/O thread and wakes it.
    func post(_ command: Command) {
        condition.lock()
        commands.append(command)
        condition.unlock()
        wakeup.signal()
    }

    func takeCommands() -> [Command] {
        condition.lock()
        defer { condition.unlock() }
        let taken = commands
        commands = []
        return taken
    }

    /// Changes the shared state and wakes whoever waits for it.
    @discardableResult
    func locked<R>(_ change: (inout State) throws -> R) rethrows -> R {
        condition.lock()
        defer {
            condition.broadcast()
            condition.unlock()
        }
        return try change(&state)
    }

    /// Waits until `ready` gives something; nil where the time is over first.
    func wait<R>(_ timeout: Duration?, until ready: (inout State) throws -> R?) rethrows -> R? {
        let deadline = timeout.map { Date().addingTimeInterval($0.seconds) }
        condition.lock()
        defer { condition.unlock() }
        while true {
            if let result = try ready(&state) { return result }
            if let deadline {
                guard condition.wait(until: deadline) else { return try ready(&state) }
            } else {
                condition.wait()
            }
        }
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }

    /// For `zmq_poll`: rounded up, so that a deadline has passed when the wait ends.
    var pollMilliseconds: Int {
        Int(components.seconds) * 1000 + Int((components.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}

/// The log's time: since an arbitrary start, unaffected by the wall clock.
struct LogClock: Sendable {
    private let start = ContinuousClock.now
    var now: Duration { ContinuousClock.now - start }
}

enum LogThread {
    /// Starts a thread; its sockets are made, used and closed in `body`.
    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let thread = Thread(block: body)
        thread.name = name
        // Foundation's default of 512 KiB is little for a JSON decoder under a reducer.
        thread.stackSize = 8 << 20
        thread.start()
    }

    /// How many messages a socket may deliver before commands and deadlines are looked at again.
    static let burst = 64
}
