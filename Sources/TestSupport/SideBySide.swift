import Foundation

/// Calls `body` with 0 ..< `count`, each on a thread of its own, and waits for all: processes that talk to each other,
/// without the processes.
///
/// - Returns: what each gave, in order.
/// - Throws: the first one's error, once all have ended.
public func sideBySide<R>(_ count: Int, _ body: @escaping (Int) throws -> R) throws -> [R] {
    let places = Places<R>(count)
    let lock = NSLock()
    let ended = DispatchSemaphore(value: 0)
    nonisolated(unsafe) let body = body
    for index in 0..<count {
        let thread = Thread {
            let result = Result { try body(index) }
            lock.withLock { places.results[index] = result }
            ended.signal()
        }
        thread.stackSize = 8 << 20
        thread.start()
    }
    for _ in 0..<count { ended.wait() }
    return try lock.withLock { try places.results.map { try $0!.get() } }
}

/// `@unchecked Sendable`: each thread writes its own place, with the lock held, and all have ended before anybody reads.
private final class Places<R>: @unchecked Sendable {
    var results: [Result<R, any Error>?]

    init(_ count: Int) { results = Array(repeating: nil, count: count) }
}
