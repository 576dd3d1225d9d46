/// The cheapest one-to-one assignment of rows to columns.
///
/// The Hungarian method with potentials and shortest augmenting paths (Jonker & Volgenant, 1987; the form of Crouse,
/// 2016, that SciPy has): O(n² · m) for n assigned pairs and m alternatives. Each round adds one row: Dijkstra's
/// search over reduced costs, which the potentials keep from becoming negative, finds the cheapest way to give it a
/// column and to move others to new ones.
public enum Assignment {
    /// - Parameter costs: `[rows · columns]`, row-major. What is not finite is avoided as far as possible.
    /// - Returns: `min(rows, columns)` pairs, by rising row. Of equally cheap assignments it is always the same one.
    public static func cheapest(_ costs: [Double], rows: Int, columns: Int) -> [(row: Int, column: Int)] {
        precondition(costs.count == rows * columns, "one cost per row and column")
        // Every row gets a column, so there may not be more rows than columns.
        guard rows <= columns else {
            let turned = (0..<columns * rows).map { costs[$0 % rows * columns + $0 / rows] }
            return cheapest(turned, rows: columns, columns: rows).map { (row: $0.column, column: $0.row) }
                .sorted { $0.row < $1.row }
        }
        guard rows > 0 else { return [] }
        // What is avoided costs more than all else together, but not so much that sums would lose the others' digits.
        let largest = costs.reduce(0) { $1.isFinite ? max($0, abs($1)) : $0 }
        let avoided = 2 * (largest + 1) * Double(rows + 1)
        let finite = costs.map { $0.isFinite ? $0 : avoided }

        // With reduced cost[i, j] = cost - rowPotential[i] - columnPotential[j] ≥ 0, and 0 for assigned pairs.
        var rowPotential = [Double](repeating: 0, count: rows)
        var columnPotential = [Double](repeating: 0, count: columns)
        var rowOf = [Int?](repeating: nil, count: columns)
        var columnOf = [Int](repeating: 0, count: rows)
        for start in 0..<rows {
            // Dijkstra from `start` to the nearest free column.
            var distance = [Double](repeating: .infinity, count: columns)
            var previousRow = [Int](repeating: start, count: columns)
            var reached = [Bool](repeating: false, count: columns)
            var row = start
            var travelled = 0.0
            var end: Int?
            while end == nil {
                var nearest = -1
                for column in 0..<columns where !reached[column] {
                    let through =
                        travelled + finite[row * columns + column] - rowPotential[row] - columnPotential[column]
                    if through < distance[column] {
                        distance[column] = through
                        previousRow[column] = row
                    }
                    // A free column at the same distance ends the search.
                    let isNearer =
                        nearest < 0 || distance[column] < distance[nearest]
                        || distance[column] == distance[nearest] && rowOf[column] == nil && rowOf[nearest] != nil
                    if isNearer { nearest = column }
                }
                reached[nearest] = true
                travelled = distance[nearest]
                if let next = rowOf[nearest] { row = next } else { end = nearest }
            }
            // The potentials follow the distances, so that reduced costs stay non-negative.
            rowPotential[start] += travelled
            for column in 0..<columns where reached[column] && column != end {
                columnPotential[column] += distance[column] - travelled
                rowPotential[rowOf[column]!] += travelled - distance[column]
            }
            // Along the path back to `start`, each row takes the column that it was reached through.
            var column = end!
            while true {
                let row = previousRow[column]
                let given = columnOf[row]
                rowOf[column] = row
                columnOf[row] = column
                if row == start { break }
                column = given
            }
        }
        return columnOf.enumerated().map { (row: $0.offset, column: $0.element) }
    }
}
