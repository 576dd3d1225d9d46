/// A part of a training step, as `metrics.jsonl` names it.
enum StepPhase: String {
    case samples, forward, anchors, backwardHead, gradients, backwardEmbedding, backwardBackbone, exchange, optimizer
}

/// Where a step's time goes: wall time by phase. A machine that sleeps does not train.
struct Stopwatch {
    private let clock = SuspendingClock()
    private let begin: SuspendingClock.Instant
    private var last: SuspendingClock.Instant
    private var phases: [StepPhase: Duration] = [:]

    init() {
        begin = clock.now
        last = begin
    }

    /// Ends the phase that ran since the last call, or since the start.
    mutating func lap(_ phase: StepPhase) {
        let now = clock.now
        phases[phase, default: .zero] += now - last
        last = now
    }

    /// Milliseconds of a phase; 0 where it did not run.
    subscript(phase: StepPhase) -> Double { Self.milliseconds(phases[phase] ?? .zero) }

    /// Milliseconds of each phase that ran.
    var milliseconds: [String: Double] {
        Dictionary(uniqueKeysWithValues: phases.map { ($0.key.rawValue, Self.milliseconds($0.value)) })
    }

    /// Milliseconds since the start.
    var total: Double { Self.milliseconds(clock.now - begin) }

    private static func milliseconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) * 1e3 + Double(duration.components.attoseconds) / 1e15
    }
}
