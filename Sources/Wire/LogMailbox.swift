import Foundation

/// Commands on their way to an I/O thread, and a state on which their senders wait for what comes of them.
final class LogMailbox<Command: Sendable, State>: Sendable {
    private let shared: Monitor<(commands: [Command], state: State)>
    let wakeup = Wakeup()

    init(_ state: State) { shared = Monitor((commands: [], state: state)) }

    /// Hands a command to the I/O thread and wakes it.
    func post(_ command: Command) {
        shared.withLock { $0.commands.append(command) }
        wakeup.signal()
    }

    func takeCommands() -> [Command] {
        shared.withLock { shared in
            defer { shared.commands = [] }
            return shared.commands
        }
    }

    /// Changes the shared state and wakes whoever waits for it.
    @discardableResult
    func locked<R>(_ change: (inout State) throws -> R) rethrows -> R {
        try shared.update { try change(&$0.state) }
    }

    /// Waits until `ready` gives something; nil where the time is over first.
    func wait<R>(_ timeout: Duration?, until ready: (inout State) throws -> R?) rethrows -> R? {
        try shared.wait(until: timeout.map { Instant.now() + $0 }) { try ready(&$0.state) }
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }

    /// For `zmq_poll`: rounded up, so that a deadline has passed when the wait ends.
    var pollMilliseconds: Int {
        Int(components.seconds) * 1000 + Int((components.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}

/// The log's time: since an arbitrary start, unaffected by the wall clock, and it stands still while the machine sleeps.
struct LogClock: Sendable {
    private let start = SuspendingClock.now
    var now: Duration { SuspendingClock.now - start }
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
