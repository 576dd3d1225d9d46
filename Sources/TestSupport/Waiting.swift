import Foundation

/// Waits until `condition` holds, looking every few milliseconds: for tests of real processes and sockets only.
///
/// - Returns: whether it held within `timeout`, which should be generous: a busy machine is not a failure.
public func waitUntil(_ timeout: Duration = .seconds(60), _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = ContinuousClock.now + timeout
    while true {
        if try condition() { return true }
        if ContinuousClock.now >= deadline { return false }
        usleep(5000)
    }
}
