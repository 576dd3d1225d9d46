import Synchronization

/// Why a stage should end.
public enum StopReason: String, Sendable, Codable {
    /// The supervisor said so: compute finishes the step and writes a checkpoint first.
    case stop
    /// The supervisor said so: finish what was begun, take nothing new.
    case drain
    /// Nothing was heard of the supervisor for the grace time; as `stop`.
    case supervisorLost
    /// The supervisor said so: what a checkpoint needs is gone, so end without one.
    case abandon
}

/// Says from any thread to any thread that the stage should end. It is set once and stays so; only `.abandon` may still
/// come on top of another reason.
public final class StopToken: Sendable {
    private struct State {
        var reason: StopReason?
        var callbacks: [@Sendable (StopReason) -> Void] = []
        var isAbandoned = false
        var abandonCallbacks: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    public init() {}

    /// Why to stop, or nil while nobody asked.
    public var reason: StopReason? { state.withLock { $0.reason } }

    public var isStopped: Bool { reason != nil }

    /// Whether nothing should be waited for any more.
    public var isAbandoned: Bool { state.withLock { $0.isAbandoned } }

    /// The first reason wins; later ones change nothing.
    public func request(_ reason: StopReason) {
        if reason == .abandon {
            let callbacks = state.withLock { state in
                state.isAbandoned = true
                defer { state.abandonCallbacks = [] }
                return state.abandonCallbacks
            }
            for callback in callbacks { callback() }
        }
        let callbacks = state.withLock { state -> [@Sendable (StopReason) -> Void] in
            guard state.reason == nil else { return [] }
            state.reason = reason
            defer { state.callbacks = [] }
            return state.callbacks
        }
        for callback in callbacks { callback(reason) }
    }

    /// Calls `body` once when the stage is told to end without a checkpoint, on the control thread; at once where it was.
    public func onAbandon(_ body: @escaping @Sendable () -> Void) {
        let already = state.withLock { state in
            if !state.isAbandoned { state.abandonCallbacks.append(body) }
            return state.isAbandoned
        }
        if already { body() }
    }

    /// Calls `body` once on a stop, on the control thread (it should return soon); at once where the stop is already
    /// asked for.
    public func onStop(_ body: @escaping @Sendable (StopReason) -> Void) {
        let already = state.withLock { state -> StopReason? in
            if state.reason == nil { state.callbacks.append(body) }
            return state.reason
        }
        if let already { body(already) }
    }
}
