import Synchronization
import Wire

/// What other threads leave for a loop that waits on `wakeup`.
final class Inbox<Item: Sendable>: Sendable {
    let wakeup = Wakeup()
    private let waiting = Mutex<[Item]>([])

    func put(_ item: Item) {
        waiting.withLock { $0.append(item) }
        wakeup.signal()
    }

    /// All that was left since the last call, in order.
    func take() -> [Item] {
        waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }
}
