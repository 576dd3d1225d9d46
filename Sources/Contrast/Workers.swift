import Dispatch

/// Splits `0 ..< count` into one contiguous range per thread and runs them side by side.
///
/// Which thread does an item never shows in the result: items write to places of their own, and nothing is summed
/// across items here.
func inParallel(_ count: Int, threads: Int, _ body: @Sendable (Range<Int>) -> Void) {
    let workers = max(1, min(threads, count))
    guard workers > 1 else { return body(0..<count) }
    DispatchQueue.concurrentPerform(iterations: workers) { worker in
        body(count * worker / workers..<count * (worker + 1) / workers)
    }
}

/// What is handed to other threads.
///
/// `@unchecked Sendable` is sound where it is memory that outlives `inParallel`, whose threads write only their own items'
/// places, or an object that one thread at a time takes.
struct Shared<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}

/// Scratch numbers that keep their memory between uses; contents are whatever the last use left.
final class Scratch<Element: BitwiseCopyable> {
    private var buffer = UnsafeMutableBufferPointer<Element>(start: nil, count: 0)

    deinit { UnsafeMutableRawPointer(buffer.baseAddress)?.deallocate() }

    /// Room for `count` elements, valid until the next call.
    func take(_ count: Int) -> UnsafeMutablePointer<Element> {
        if buffer.count < max(count, 1) {
            UnsafeMutableRawPointer(buffer.baseAddress)?.deallocate()
            let raw = UnsafeMutableRawPointer.allocate(
                byteCount: max(count, 1) * MemoryLayout<Element>.stride, alignment: 64)
            buffer = UnsafeMutableBufferPointer(start: raw.assumingMemoryBound(to: Element.self), count: max(count, 1))
        }
        return buffer.baseAddress!
    }
}
