import Basics

/// Rows in aligned columns that fit a width: columns are left out before any is cut.
struct TextTable {
    struct Column {
        var title: String
        var alignsRight = false
        /// The lowest goes first where there is no room; nil stays.
        var keep: Int?
    }

    var columns: [Column]
    /// A cell per column.
    var rows: [[String]]

    /// The titles, then the rows, each at most `width` characters.
    func lines(width: Int) -> [String] {
        let cells = [columns.map(\.title)] + rows
        let widths = columns.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
        var shown = Array(columns.indices)
        func total() -> Int { shown.reduce(0) { $0 + widths[$1] } + 2 * max(0, shown.count - 1) }
        while total() > width {
            guard
                let first = shown.filter({ columns[$0].keep != nil }).min(by: { columns[$0].keep! < columns[$1].keep! })
            else { break }
            shown.removeAll { $0 == first }
        }
        return cells.map { row in
            shown.map { row[$0].padded(to: widths[$0], right: columns[$0].alignsRight) }
                .joined(separator: "  ").cut(to: width)
        }
    }
}

extension String {
    /// At most so many characters; what is cut ends with an ellipsis. Blanks at the end go.
    func cut(to width: Int) -> String {
        let line = withoutTrailingBlanks
        guard line.count > width else { return line }
        return width > 0 ? line.prefix(width - 1) + "…" : ""
    }

    /// Without characters that would make a terminal do something: what stages and hosts call themselves is theirs.
    var printable: String {
        String(
            String.UnicodeScalarView(
                unicodeScalars.map { scalar -> Unicode.Scalar in
                    switch scalar.properties.generalCategory {
                    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: "\u{fffd}"
                    default: scalar
                    }
                }))
    }
}
