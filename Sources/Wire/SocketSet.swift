import CZeroMQ
import Foundation

/// Waits for any of very many sockets at once, in a time that does not grow with their number (`Poller` looks at
/// each): for whoever plays a thousand workers.
///
/// A socket's descriptor tells of each change once, and any `send` or `receive` may take that away. So after waking up,
/// and after every `send`, `receive` must be called until nothing comes.
public final class SocketSet {
    private let descriptor: Int32
    private var events = [epoll_event](repeating: epoll_event(), count: 256)

    /// - Throws: `WireError.socket` where the system has no room for another set.
    public init(_ sockets: [Socket]) throws {
        descriptor = epoll_create1(0)
        for (index, socket) in sockets.enumerated() {
            var event = epoll_event()
            event.events = 1  // EPOLLIN
            event.data.u64 = UInt64(index)
            guard epoll_ctl(descriptor, EPOLL_CTL_ADD, socket.descriptor, &event) == 0 else {
                throw WireError.socket(
                    operation: "wait for", endpoint: "\(sockets.count) sockets",
                    reason: String(cString: strerror(errno)))
            }
        }
    }

    deinit { close(descriptor) }

    /// Numbers of sockets to which something happened, in the order they were given; none where the time was over.
    public func wait(milliseconds: Int) -> [Int] {
        let count = epoll_wait(descriptor, &events, Int32(events.count), Int32(milliseconds))
        return events.prefix(Int(max(0, count))).map { Int($0.data.u64) }
    }
}
