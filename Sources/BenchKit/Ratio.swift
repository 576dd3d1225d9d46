import Foundation

/// What one measurement cost over another of the same run, one number per round: smaller is better, and other machines, or
/// a busier one, find much the same.
public struct Ratio: Codable, Sendable, Equatable {
    public var name: String
    public var values: [Double]

    public init(_ name: String, _ values: [Double]) {
        self.name = name
        self.values = values
    }

    /// Whether all of this is beyond all that was found before, by a twentieth and more.
    public func isWorse(than before: Ratio) -> Bool {
        values.spread.lowerBound > 1.05 * before.values.spread.upperBound
    }

    /// As one line, for `CheckBench`.
    public static func print(_ ratios: [Ratio]) throws {
        Swift.print(String(decoding: try JSONEncoder().encode(ratios), as: UTF8.self))
    }
}
