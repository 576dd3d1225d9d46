import Basics
import Configuration
import Contrast
import StageKit
import Tensors

/// This process's place among the ranks that train one network, and what they tell each other beside gradients.
///
/// Every method is collective where there are several ranks: all call the same ones in the same order. For one rank
/// nothing is sent and every answer is its own.
struct Ranks {
    let rank: Int
    let count: Int
    /// Nil for one rank.
    let group: ProcessGroup?

    static var single: Ranks { Ranks(rank: 0, count: 1, group: nil) }

    init(rank: Int, count: Int, group: ProcessGroup?) {
        self.rank = rank
        self.count = count
        self.group = group
    }

    init(_ group: ProcessGroup) { self.init(rank: group.rank, count: group.size, group: group) }

    /// Meets the other replicas of this stage; waits for them.
    ///
    /// - Throws: `TensorError` where they do not come or this build cannot talk to them, `UserError` for an address of
    ///   no known form.
    init(meeting runtime: StageRuntime, device: Device) throws {
        let configuration = runtime.configuration
        let count = configuration.replicas[runtime.replica.stage] ?? 1
        guard count > 1, let rendezvous = configuration.rendezvous else {
            self = .single
            return
        }
        // With NCCL CUDA's gradients need not leave the GPUs. No build has it yet: Package.swift would have to find CUDA's and
        // NCCL's headers, define USE_C10D_NCCL and link libtorch_cuda.so. Gloo takes them through the processor's memory.
        let backend: ProcessGroup.Backend = device == .cpu || !ProcessGroup.Backend.nccl.isAvailable ? .gloo : .nccl
        self.init(
            try ProcessGroup(
                at: .init(parsing: rendezvous), prefix: "epoch-\(configuration.epoch)", backend: backend,
                rank: runtime.replica.id - 1, of: count, device: device,
                // Who dies closes its connections, and who falls silent is killed by the supervisor. Samples and gradients
                // may take any time.
                timeout: .seconds(30 * 86_400)))
    }

    /// Whether this rank writes the run's files and speaks for all.
    var isFirst: Bool { rank == 0 }

    /// Of `batch` images of a mini-batch, those that this rank trains on.
    func share(of batch: Int) -> Range<Int> {
        let size = batch / count
        return rank * size..<(rank + 1) * size
    }

    // MARK: What is agreed on

    func sum(_ values: [Double]) throws -> [Double] { try group?.sum(values) ?? values }
    func sum(_ values: [Int64]) throws -> [Int64] { try group?.sum(values) ?? values }

    /// The anchors of the whole mini-batch, from what each rank found among its own images.
    func anchors(
        of grid: EmbeddingGrid, settings: ContrastSettings, seed: UInt64, step: UInt64
    ) throws -> [ClassAnchors] {
        let own = try AnchorSelection.candidates(
            labels: grid.labels, predictions: grid.predictions, settings: settings, seed: seed, step: step,
            firstImage: grid.firstImage)
        guard let group else { return AnchorSelection.merge([own], settings: settings) }
        let all = try group.gather(AnchorSelection.Candidates.encode(own))
        return AnchorSelection.merge(try all.map { try AnchorSelection.Candidates.decode($0) }, settings: settings)
    }
}
