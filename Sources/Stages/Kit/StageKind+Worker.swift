import Configuration

extension StageKind {
    /// True for the workers of a pool: their tickets are reissued when they die, so they can be replaced at any time.
    /// Bank and compute hold the run's state.
    public var isWorker: Bool {
        switch self {
        case .loader, .miner, .evaluator: true
        case .compute, .bank: false
        }
    }
}
