import CZeroMQ
import Foundation

/// Wakes a thread that waits in `poll`, from any other thread (an eventfd).
///
/// `@unchecked Sendable`: the descriptor never changes and the kernel orders reads and writes of it.
public final class Wakeup: @unchecked Sendable {
    public let descriptor: Int32

    public init() { descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)) }
    deinit { close(descriptor) }

    public func signal() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Forgets all signals so far.
    public func clear() {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
    }
}

public enum Poller {
    /// Waits until a socket has a message, the wakeup is signalled, or the time is over.
    ///
    /// - Parameter milliseconds: -1 waits for ever.
    /// - Returns: per socket whether it is readable, and whether the wakeup was signalled (and is now cleared).
    public static func wait(_ sockets: [Socket], wakeup: Wakeup?, milliseconds: Int) -> (readable: [Bool], woken: Bool)
    {
        var items = sockets.map { zmq_pollitem_t(socket: $0.handle, fd: 0, events: Int16(ZMQ_POLLIN), revents: 0) }
        if let wakeup {
            items.append(zmq_pollitem_t(socket: nil, fd: wakeup.descriptor, events: Int16(ZMQ_POLLIN), revents: 0))
        }
        // An interrupted wait (a signal) reads as "nothing yet": callers loop anyway.
        _ = zmq_poll(&items, Int32(items.count), milliseconds)
        let ready = items.map { $0.revents & Int16(ZMQ_POLLIN) != 0 }
        let woken = wakeup != nil && ready.last == true
        if woken { wakeup?.clear() }
        return (Array(ready.prefix(sockets.count)), woken)
    }
}
