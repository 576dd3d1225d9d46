import Foundation

/// A block of bytes that several owners may read and nobody changes: an image, a label map, a tensor's memory.
///
/// Messages carry these without copying: a received frame's memory, or a decoder's buffer, stays where it is until
/// the last reader lets go.
///
/// `@unchecked Sendable` is sound because the memory is written before `init` returns and only read afterwards.
public final class SharedBytes: @unchecked Sendable {
    private let base: UnsafeMutableRawPointer
    public let count: Int
    private let release: (UnsafeMutableRawPointer) -> Void

    /// Takes over memory that somebody else allocated; `release` frees it, once, when the last reader has gone.
    public init(
        adopting base: UnsafeMutableRawPointer, count: Int, release: @escaping (UnsafeMutableRawPointer) -> Void
    ) {
        self.base = base
        self.count = count
        self.release = release
    }

    /// Allocates `count` bytes, aligned for SIMD, and lets `fill` write all of them.
    public convenience init(count: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
        let base = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1), alignment: 64)
        do {
            try fill(UnsafeMutableRawBufferPointer(start: base, count: count))
        } catch {
            base.deallocate()
            throw error
        }
        self.init(adopting: base, count: count) { $0.deallocate() }
    }

    /// Copies the elements' memory.
    public convenience init<Element: BitwiseCopyable>(_ elements: [Element]) {
        self.init(count: elements.count * MemoryLayout<Element>.stride) { target in
            elements.withUnsafeBytes { target.copyMemory(from: $0) }
        }
    }

    deinit { release(base) }

    /// Calls `body` with the memory, which is valid only during the call.
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try body(UnsafeRawBufferPointer(start: base, count: count))
    }

    /// The bytes as elements of another type, copied.
    ///
    /// - Precondition: `count` is a multiple of the element's size.
    public func array<Element: BitwiseCopyable>(of type: Element.Type = Element.self) -> [Element] {
        precondition(count % MemoryLayout<Element>.stride == 0, "\(count) bytes are no whole number of \(Element.self)")
        return withUnsafeBytes { source in
            [Element](unsafeUninitializedCapacity: count / MemoryLayout<Element>.stride) { target, filled in
                UnsafeMutableRawBufferPointer(target).copyMemory(from: source)
                filled = count / MemoryLayout<Element>.stride
            }
        }
    }
}
