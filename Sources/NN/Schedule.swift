import Foundation

/// A polynomial decline of the learning rate with a linear ramp before it.
///
/// rate(s) = base · (1 - s / total)^power · min(1, (s + 1) / ramp), s counted from 0 and set before the step.
public struct PolySchedule: Sendable, Equatable {
    public let base: Double
    /// Steps of the whole training; the rate is 0 from there on.
    public let total: Int
    public let power: Double
    /// Steps over which the rate rises from base / ramp to its own; 0 or 1 for none.
    public let ramp: Int

    public init(base: Double, total: Int, power: Double = 0.9, ramp: Int = 0) {
        self.base = base
        self.total = total
        self.power = power
        self.ramp = ramp
    }

    public func rate(at step: Int) -> Double {
        guard step < total else { return 0 }
        let decline = pow(1 - Double(step) / Double(total), power)
        return base * decline * min(1, Double(step + 1) / Double(max(1, ramp)))
    }
}
