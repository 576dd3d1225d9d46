import Synchronization

/// Miners for tickets that come side by side, on so many threads as are given altogether.
///
/// A ticket has one thread while there are tickets for all of them; where there are fewer, as at the end of a mini-batch, what
/// is taken up then shares in the idle ones.
public final class MinerCrew: Sendable {
    private struct State {
        var idle: [Shared<Miner>] = []
        var inWork = 0
    }

    public let threads: Int
    private let product: any SimilarityProduct
    private let state = Mutex(State())

    /// - Parameter product: computes the similarities, for all of them.
    public init(threads: Int, product: any SimilarityProduct = VectorProduct()) {
        self.threads = max(threads, 1)
        self.product = product
    }

    /// May be called by several threads at once. Throws as `Miner.mine`, and gives equal bytes for equal inputs.
    public func mine(_ input: MiningInput, memory: Memory) throws -> MiningOutput {
        let (miner, share) = state.withLock { state in
            state.inWork += 1
            return (state.idle.popLast(), max(1, threads / state.inWork))
        }
        let taken = miner ?? Shared(Miner(product: product))
        defer {
            state.withLock { state in
                state.inWork -= 1
                state.idle.append(taken)
            }
        }
        return try taken.value.mine(input, memory: memory, threads: share)
    }
}
