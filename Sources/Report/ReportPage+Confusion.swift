import Foundation

extension ReportPage {
    /// What is taken for what.
    var confusionMatrices: String {
        let parts = runs.indices.compactMap { index -> String? in
            guard let found = runs[index].evaluation, let matrix = found.matrix,
                matrix.contains(where: { $0.contains { $0 > 0 } })
            else { return nil }
            let title = compares ? "<h3>\(key(index))</h3>" : ""
            let names = found.classes.map(\.name)
            return "<div class=confused>\(title)<div class=scroll>\(heatMap(matrix, names))</div></div>"
                + worst(matrix, names)
        }
        return section(
            "Confusion", note: "rows: what is labelled; columns: what it is taken for, in percent of the row",
            parts.isEmpty ? "" : "<div class=confusion>\(parts.joined())</div>")
    }

    /// Names beside the cells; of more classes they would be too small to read.
    private static let mostNames = 40

    private func heatMap(_ matrix: [[Int64]], _ names: [String]) -> String {
        let count = names.count
        let isNamed = count <= Self.mostNames
        let cell = isNamed ? 26.0 : max(3, 800 / Double(count)).rounded()
        let margin = isNamed ? 10 + 7.6 * Double(min(24, names.map(\.count).max() ?? 0)) : 4
        let (width, height) = (margin + cell * Double(count) + 4, margin + cell * Double(count) + 4)
        func short(_ name: String) -> String { HTMLText.escape(name.count > 24 ? name.prefix(23) + "…" : name) }
        var parts: [String] = []
        for row in 0..<count {
            let total = Double(matrix[row].reduce(0, +))
            let y = margin + cell * Double(row)
            if isNamed {
                parts.append("<text x=\(margin - 6) y=\(y + cell / 2) dy=4 text-anchor=end>\(short(names[row]))</text>")
                let x = margin + cell * (Double(row) + 0.5)
                parts.append(
                    "<text transform=\"translate(\(x + 4) \(margin - 6)) rotate(-90)\">\(short(names[row]))</text>")
            }
            guard total > 0 else { continue }
            for column in 0..<count where matrix[row][column] > 0 {
                let part = Double(matrix[row][column]) / total
                // What no eye sees is not drawn; a large vocabulary has thousands of such cells.
                guard part >= 0.002 || (isNamed && row == column) else { continue }
                let x = margin + cell * Double(column)
                let title = "\(names[row]) taken for \(names[column]): \(HTMLText.percent(part))"
                parts.append(
                    "<rect class=\(row == column ? "right" : "wrong") x=\(x) y=\(y) width=\(cell - 1) height=\(cell - 1) fill-opacity=\(String(format: "%.3f", sqrt(part)))><title>\(HTMLText.escape(title))</title></rect>"
                )
                if isNamed, part >= 0.005 {
                    parts.append(
                        "<text class=\"part\(part > 0.5 ? " over" : "")\" x=\(x + (cell - 1) / 2) y=\(y + cell / 2) dy=3>\(Int((100 * part).rounded()))</text>"
                    )
                }
            }
        }
        let frame =
            "<rect class=frame x=\(margin) y=\(margin) width=\(cell * Double(count)) height=\"\(cell * Double(count))\"/>"
        return
            "<svg class=matrix width=\(Int(width)) height=\(Int(height)) viewBox=\"0 0 \(Int(width)) \(Int(height))\" role=img aria-label=\"confusion matrix of \(count) classes\">\(frame)\(parts.joined())</svg>"
    }

    /// The ten mistakes that cost the most pixels.
    private func worst(_ matrix: [[Int64]], _ names: [String]) -> String {
        let total = Double(matrix.joined().reduce(0, +))
        let mistakes = names.indices.flatMap { row in
            names.indices.filter { $0 != row && matrix[row][$0] > 0 }.map {
                (row: row, column: $0, count: matrix[row][$0])
            }
        }.sorted { ($1.count, $0.row, $0.column) < ($0.count, $1.row, $1.column) }
        guard !mistakes.isEmpty, total > 0 else { return "" }
        let items = mistakes.prefix(10).map {
            "<li>\(HTMLText.escape(names[$0.row])) taken for \(HTMLText.escape(names[$0.column])) <small>\(HTMLText.percent(Double($0.count) / total)) of all pixels</small></li>"
        }
        return "<div><h3>The costliest mistakes</h3><ol>\(items.joined())</ol></div>"
    }
}
