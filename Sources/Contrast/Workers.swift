import Dispatch
import Foundation

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
/// places.
struct Shared<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}

/// Scratch numbers that keep their memory between uses; contents are whatever the last use left.
///
/// Its pages are the system's own, not malloc's, which keeps what is freed for each thread apart: with a memory of ADE20K's
/// size a miner of two threads held 155 MiB of lists where 52 do.
final class Scratch<Element: BitwiseCopyable> {
    private var pages = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    deinit { giveBack() }

    /// Room for `count` elements, valid until the next call.
    func take(_ count: Int) -> UnsafeMutablePointer<Element> {
        let bytes = max(count, 1) * MemoryLayout<Element>.stride
        if pages.count < bytes {
            giveBack()
            let page = Int(sysconf(Int32(_SC_PAGESIZE)))
            let whole = (bytes + page - 1) / page * page
            let start = mmap(nil, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            guard let start, start != MAP_FAILED else { fatalError("out of memory: \(bytes) bytes asked for") }
            pages = UnsafeMutableRawBufferPointer(start: start, count: whole)
        }
        return pages.baseAddress!.assumingMemoryBound(to: Element.self)
    }

    private func giveBack() {
        if let start = pages.baseAddress { munmap(start, pages.count) }
    }
}
