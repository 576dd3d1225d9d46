import StageKit
import Wire

/// The swaps of a run so far, as its journal has them.
public struct SwapHistory: Sendable, Equatable {
    /// By generation.
    public var swaps: [Swap] = []
    /// The newest generation that was ever asked for; the next swap takes a later one.
    public var last = Generation.first
    /// Asked for, neither journalled with its step nor taken back: its supervisor died over it.
    public var pending: SwapProposal?
    /// Taken back. Compute may not have heard of it: the supervisor that wrote it may have died before it said so.
    public var cancelled: Set<Generation> = []
    /// By the first generation of a program.
    public var fingerprints: [Generation: Fingerprint] = [:]

    /// As a report shows them: nil where there are none.
    var listed: [Swap]? { swaps.isEmpty ? nil : swaps }

    public init(_ entries: [JournalEntry] = []) {
        for entry in entries {
            switch entry {
            case .swapAsked(let proposal):
                last = max(last, proposal.generation)
                pending = proposal
            case .swapCancelled(let generation):
                cancelled.insert(generation)
                if pending?.generation == generation { pending = nil }
            case .swap(let swap):
                // Once only, though a supervisor may have died between journalling and saying so.
                if !swaps.contains(where: { $0.generation == swap.generation }) { swaps.append(swap) }
                last = max(last, swap.generation)
                if pending?.generation == swap.generation { pending = nil }
            case .programFingerprint(let generation, let fingerprint):
                if fingerprints[generation] == nil { fingerprints[generation] = fingerprint }
            case .ended: pending = nil
            case .epoch, .fingerprint, .sampleSkipped, .scaled, .allotted, .evaluated, .evaluationFailed: break
            }
        }
    }
}
