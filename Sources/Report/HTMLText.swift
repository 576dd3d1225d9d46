import Foundation

/// Text and numbers as a page shows them.
enum HTMLText {
    static func escape(_ text: String) -> String {
        var escaped = ""
        // By scalar: a quotation mark with an accent is a character of its own, but still ends an attribute.
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// `41.3 %`, `absent` where there is none.
    static func percent(_ fraction: Double?) -> String {
        fraction.map { $0.isFinite ? String(format: "%.1f %%", 100 * $0) : "-" } ?? "absent"
    }

    /// About four digits: `0.0412`, `12.3`, `1,024`, `3.2e-05`.
    static func number(_ value: Double) -> String {
        guard value.isFinite else { return "not a number" }
        let size = abs(value)
        if value == 0 { return "0" }
        if size < 0.001 || size >= 1e7 { return String(format: "%.2g", value) }
        if size < 1 { return trimmed(String(format: "%.4f", value)) }
        if size < 100 { return trimmed(String(format: "%.2f", value)) }
        return grouped(Int(value.rounded()))
    }

    static func grouped(_ value: Int) -> String {
        var digits = String(abs(value))
        var groups: [String] = []
        while digits.count > 3 {
            groups.insert(String(digits.suffix(3)), at: 0)
            digits.removeLast(3)
        }
        return (value < 0 ? "-" : "") + ([digits] + groups).joined(separator: ",")
    }

    /// `22.5 MiB`
    static func size(bytes: Int) -> String {
        bytes < 1 << 20
            ? String(format: "%.1f KiB", Double(bytes) / 1024) : String(format: "%.1f MiB", Double(bytes) / 1_048_576)
    }

    private static func trimmed(_ text: String) -> String {
        guard text.contains(".") else { return text }
        var text = text
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text
    }
}
