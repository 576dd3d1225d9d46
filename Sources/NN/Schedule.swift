import Foundation

/// A polynomial decline of the learning rate with a linear ramp before it.
///
/// rate(s) = (floor + (base - floor) · (1 - s / total)^power) · rise(s), s counted from 0 and set before the step. Over the ramp's
/// steps, rise(s) is min(1, (s + 1) / ramp), or, from a given part on, 1 - (1 - part) · (1 - s / ramp), which is how mmcv's
/// and detectron2's linear warm-up do it.
public struct PolySchedule: Sendable, Equatable {
    public let base: Double
    /// Steps of the whole training; the rate is `floor` from there on.
    public let total: Int
    public let power: Double
    public let floor: Double
    /// Steps over which the rate rises from base / ramp, or from `part` of it, to its own; 0 for none.
    public let ramp: Int
    public let part: Double?

    public init(
        base: Double, total: Int, power: Double = 0.9, floor: Double = 0, ramp: Int = 0, from part: Double? = nil
    ) {
        self.base = base
        self.total = total
        self.power = power
        self.floor = floor
        self.ramp = ramp
        self.part = part
    }

    public func rate(at step: Int) -> Double {
        guard step < total else { return floor }
        let decline = pow(1 - Double(step) / Double(total), power)
        return ((base - floor) * decline + floor) * rise(at: step)
    }

    private func rise(at step: Int) -> Double {
        guard step < ramp else { return 1 }
        guard let part else { return Double(step + 1) / Double(ramp) }
        return 1 - (1 - part) * (1 - Double(step) / Double(ramp))
    }
}
