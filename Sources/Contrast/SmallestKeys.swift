import Basics

/// A pixel with the random key that decides whether it is drawn.
///
/// Drawing the k pixels with the smallest keys is a uniform draw without replacement, and one that can be split: the k
/// smallest of several ranks' k smallest are the k smallest of all.
struct KeyedPixel: Comparable {
    let key: UInt64
    /// Flat index over the whole mini-batch of all ranks.
    let pixel: Int

    static func < (a: KeyedPixel, b: KeyedPixel) -> Bool { a.key != b.key ? a.key < b.key : a.pixel < b.pixel }
}

/// Keeps the k smallest of what it is offered, in a heap whose root is the largest kept.
struct SmallestKeys {
    private(set) var heap: [KeyedPixel] = []
    let limit: Int

    init(limit: Int) { self.limit = max(limit, 0) }

    mutating func offer(_ item: KeyedPixel) {
        if heap.count < limit {
            heap.append(item)
            var child = heap.count - 1
            while child > 0, heap[(child - 1) / 2] < heap[child] {
                heap.swapAt(child, (child - 1) / 2)
                child = (child - 1) / 2
            }
        } else if limit > 0, item < heap[0] {
            heap[0] = item
            var parent = 0
            while true {
                var largest = parent
                for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[largest] < heap[child] {
                    largest = child
                }
                if largest == parent { break }
                heap.swapAt(parent, largest)
                parent = largest
            }
        }
    }

    /// The kept ones, smallest key first.
    func sorted() -> [KeyedPixel] { heap.sorted() }
}
