import Basics

/// A page of characters to draw on; it grows as needed.
struct TextCanvas {
    private var rows: [[Character]] = []

    /// - Parameters:
    ///   - x: the column of the first character, from 0.
    ///   - y: the row, from 0.
    mutating func write(_ text: String, x: Int, y: Int) {
        while rows.count <= y { rows.append([]) }
        let end = x + text.count
        if rows[y].count < end { rows[y] += [Character](repeating: " ", count: end - rows[y].count) }
        rows[y].replaceSubrange(x..<end, with: text)
    }

    /// A box around some lines.
    ///
    /// - Parameter height: rows with its borders; at least what the lines need.
    mutating func box(_ lines: [String], x: Int, y: Int, height: Int) {
        let width = TextCanvas.boxWidth(lines) - 2
        write("┌" + String(repeating: "─", count: width) + "┐", x: x, y: y)
        for row in 0..<height - 2 {
            let line = row < lines.count ? lines[row] : ""
            write("│ " + line.padded(to: width - 1) + "│", x: x, y: y + 1 + row)
        }
        write("└" + String(repeating: "─", count: width) + "┘", x: x, y: y + height - 1)
    }

    static func boxWidth(_ lines: [String]) -> Int { (lines.map(\.count).max() ?? 0) + 4 }

    /// The page without trailing blanks.
    var text: String { rows.map { String($0).withoutTrailingBlanks + "\n" }.joined() }
}
