import Foundation

/// A length of time as people read it, two units at most: `0.42 ms`, `450 ms`, `12.3 s`, `5 min 02 s`, `1 h 02 min`, `3 d 04 h`.
/// What is nothing of the smaller unit is left out: `30 s`, `5 min`.
///
/// - Returns: `-` for what is no length: negative, not finite, or beyond 30 years.
public func durationText(seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0, seconds < 1e9 else { return "-" }
    // Each unit ends where its rounded number would be the next one's.
    if seconds == 0 { return "0 s" }
    if seconds < 0.000_995 { return shortest(seconds * 1000, digits: 2) + " ms" }
    if seconds < 0.009_95 { return shortest(seconds * 1000, digits: 1) + " ms" }
    if seconds < 0.9995 { return shortest(seconds * 1000, digits: 0) + " ms" }
    if seconds < 59.95 { return shortest(seconds, digits: 1) + " s" }
    let (whole, minutes, hours) = (
        Int(seconds.rounded()), Int((seconds / 60).rounded()), Int((seconds / 3600).rounded())
    )
    if whole < 3600 { return pair(whole / 60, "min", whole % 60, "s") }
    if minutes < 24 * 60 { return pair(minutes / 60, "h", minutes % 60, "min") }
    return pair(hours / 24, "d", hours % 24, "h")
}

extension Duration {
    /// As `durationText(seconds:)` writes it.
    public var text: String {
        let (seconds, attoseconds) = components
        return durationText(seconds: Double(seconds) + Double(attoseconds) / 1e18)
    }
}

/// Without zeros at the fraction's end.
private func shortest(_ value: Double, digits: Int) -> String {
    let text = String(format: "%.\(digits)f", value)
    guard digits > 0 else { return text }
    let trimmed = text.reversed().drop { $0 == "0" }
    return String((trimmed.first == "." ? trimmed.dropFirst() : trimmed).reversed())
}

private func pair(_ large: Int, _ unit: String, _ small: Int, _ smallUnit: String) -> String {
    small == 0 ? "\(large) \(unit)" : "\(large) \(unit) \(small < 10 ? "0" : "")\(small) \(smallUnit)"
}
