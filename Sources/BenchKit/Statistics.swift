import Foundation

/// Of a measurement's repetitions.
public struct Percentiles: Codable, Sendable {
    public var p50: Double
    public var p90: Double
    public var p99: Double

    /// - Parameter samples: at least one.
    public init(_ samples: [Double]) {
        let sorted = samples.sorted()
        func at(_ share: Double) -> Double { sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))] }
        (p50, p90, p99) = (at(0.5), at(0.9), at(0.99))
    }
}

extension [Double] {
    /// Of an empty array it is not a number.
    public var median: Double {
        guard !isEmpty else { return .nan }
        let sorted = self.sorted()
        let middle = count / 2
        return count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// From the smallest to the largest.
    public var spread: ClosedRange<Double> { (self.min() ?? .nan)...(self.max() ?? .nan) }
}

extension Double {
    /// With so many digits after the point; `-` where it is not a number.
    public func fixed(_ digits: Int) -> String { isNaN ? "-" : String(format: "%.\(digits)f", self) }
}

extension [Double] {
    /// The median, and from where to where: `12.3 (11.9 - 12.8)`.
    public func summary(_ digits: Int) -> String {
        isEmpty
            ? "-"
            : "\(median.fixed(digits)) (\(spread.lowerBound.fixed(digits)) - \(spread.upperBound.fixed(digits)))"
    }
}

/// A Markdown table: numbers to the right.
public func markdownTable(_ heads: [String], left: Set<Int> = [0], _ rows: [[String]]) -> String {
    let rule = heads.indices.map { left.contains($0) ? "---" : "---:" }
    return ([heads, rule] + rows).map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n")
}
