/// Rows of cells as lines whose columns stand two blanks apart, each as wide as its longest cell.
///
/// - Parameters:
///   - rows: of as many cells each.
///   - right: the columns that are flush right, as numbers are.
/// - Returns: a line per row, blanks at its end included.
public func alignedColumns(_ rows: [[String]], right: Set<Int> = []) -> [String] {
    guard let first = rows.first else { return [] }
    let widths = first.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
        row.indices.map { row[$0].padded(to: widths[$0], right: right.contains($0)) }.joined(separator: "  ")
    }
}

extension String {
    /// The text and blanks, `width` characters together; a longer one stays whole.
    ///
    /// - Parameter right: whether the text is flush right.
    public func padded(to width: Int, right: Bool = false) -> String {
        let blanks = String(repeating: " ", count: max(0, width - count))
        return right ? blanks + self : self + blanks
    }

    /// The text up to its last character that is no blank; other white space stays.
    public var withoutTrailingBlanks: String { String(reversed().drop { $0 == " " }.reversed()) }
}
