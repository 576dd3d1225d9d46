/// Rows of Float32 that grow as they are filled: contiguous, aligned, and a value (copies share memory until one writes).
///
/// `@unchecked Sendable` is sound because a storage that two buffers share is never written: every mutation first
/// makes it unique.
struct RowBuffer: @unchecked Sendable {
    private final class Storage {
        let base: UnsafeMutablePointer<Float>
        let capacity: Int

        /// - Parameter capacity: in floats.
        init(capacity: Int) {
            let bytes = max(capacity, 1) * MemoryLayout<Float>.stride
            base = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64).assumingMemoryBound(to: Float.self)
            self.capacity = capacity
        }

        deinit { UnsafeMutableRawPointer(base).deallocate() }
    }

    let width: Int
    /// Filled rows; all of them lie before the unfilled ones.
    private(set) var count = 0
    private var storage = Storage(capacity: 0)

    init(width: Int) { self.width = width }

    /// The filled rows. Valid while this value lives and is not mutated.
    var rows: UnsafeBufferPointer<Float> { UnsafeBufferPointer(start: storage.base, count: count * width) }

    /// Overwrites a filled row or fills the next one.
    ///
    /// - Precondition: `row <= count`; the caller checked it.
    mutating func set(_ row: Int, to values: UnsafePointer<Float>, limit: Int) {
        precondition(row <= count, "rows fill without gaps")
        prepare(rows: max(count, row + 1), limit: limit)
        (storage.base + row * width).update(from: values, count: width)
        count = max(count, row + 1)
    }

    /// Makes exactly `rows` rows filled, with zeros.
    mutating func assign(rows: Int) {
        storage = Storage(capacity: rows * width)
        count = rows
        storage.base.initialize(repeating: 0, count: rows * width)
    }

    /// Overwrites bytes of the filled rows, from `offset` on.
    mutating func copy(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        prepare(rows: count, limit: count)
        let rows = UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(start: storage.base, count: count * width))
        UnsafeMutableRawBufferPointer(rebasing: rows[offset...]).copyMemory(from: bytes)
    }

    /// Memory that is ours alone and holds at least `rows` rows; doubles, but not beyond `limit` rows.
    private mutating func prepare(rows: Int, limit: Int) {
        let fits = storage.capacity >= rows * width
        if fits && isKnownUniquelyReferenced(&storage) { return }
        let capacity = fits ? storage.capacity / width : max(rows, min(limit, max(16, 2 * count)))
        let larger = Storage(capacity: capacity * width)
        larger.base.update(from: storage.base, count: count * width)
        storage = larger
    }
}
