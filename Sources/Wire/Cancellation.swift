/// Says to a thread that what it does, or waits for, is wanted no more.
public final class Cancellation: Sendable {
    private struct State {
        var isCancelled = false
        var handlers: [@Sendable () -> Void] = []
    }

    private let monitor = Monitor(State())

    public init() {}

    public var isCancelled: Bool { monitor.withLock { $0.isCancelled } }

    /// Calls `handler` once at the cancellation, at once if it has been: the place to wake a thread that waits for something
    /// else. Called on the thread that cancels, so it must not block.
    public func onCancel(_ handler: @escaping @Sendable () -> Void) {
        let late = monitor.withLock { state in
            if !state.isCancelled { state.handlers.append(handler) }
            return state.isCancelled
        }
        if late { handler() }
    }

    public func cancel() {
        let handlers = monitor.withLock { state in
            state.isCancelled = true
            defer { state.handlers = [] }
            return state.handlers
        }
        for handler in handlers { handler() }
    }
}
