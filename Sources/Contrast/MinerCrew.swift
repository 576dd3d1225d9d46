import Foundation

/// Miners for tickets that come side by side, on so many threads as are given altogether.
///
/// A ticket has one thread while there are tickets for all of them; where there are fewer, as at the end of a mini-batch, what
/// is taken up then shares in the idle ones. Of a memory so large that tickets side by side would list too much, one ticket
/// after the other has all threads: what they hand over to each other is little beside such a search.
///
/// `@unchecked Sendable` is sound because the condition's lock guards what changes once tickets come.
public final class MinerCrew: @unchecked Sendable {
    public let threads: Int
    private let product: any SimilarityProduct
    /// Most bytes of lists held at once, by all tickets in work together.
    var listLimit = PoolSearch.listLimit
    private let condition = NSCondition()
    private var idle: [Miner] = []
    private var inWork = 0
    /// Bytes that the tickets in work list.
    private var listed = 0

    /// - Parameter product: computes the similarities, for all of them.
    public init(threads: Int, product: any SimilarityProduct = VectorProduct()) {
        self.threads = max(threads, 1)
        self.product = product
    }

    /// May be called by several threads at once. Throws as `Miner.mine`, and gives equal bytes for equal inputs.
    public func mine(_ input: MiningInput, memory: Memory) throws -> MiningOutput {
        let bytes = Miner.listedBytes(input, memory: memory)
        let (miner, share) = begin(bytes)
        defer { end(bytes, miner) }
        return try miner.mine(input, memory: memory, threads: share)
    }

    private func begin(_ bytes: Int) -> (Miner, share: Int) {
        condition.lock()
        defer { condition.unlock() }
        while inWork > 0, listed + bytes > listLimit { condition.wait() }
        inWork += 1
        listed += bytes
        return (idle.popLast() ?? Miner(product: product), max(1, threads / inWork))
    }

    private func end(_ bytes: Int, _ miner: Miner) {
        condition.lock()
        defer { condition.unlock() }
        inWork -= 1
        listed -= bytes
        idle.append(miner)
        condition.broadcast()
    }
}
