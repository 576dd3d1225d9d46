import Basics
import Testing

@testable import Models

@Suite struct AssignmentTests {
    private func total(_ pairs: [(row: Int, column: Int)], _ costs: [Double], _ columns: Int)
        -> Double
    {
        pairs.reduce(0) { $0 + costs[$1.row * columns + $1.column] }
    }

    /// The cheapest by trying all.
    private func bruteForce(_ costs: [Double], rows: Int, columns: Int) -> Double {
        func best(_ row: Int, _ taken: Set<Int>, _ left: Int) -> Double {
            guard row < rows, left > 0 else { return left == 0 ? 0 : .infinity }
            // With more rows than columns, a row may go without.
            var found = rows - row > left ? best(row + 1, taken, left) : .infinity
            for column in 0..<columns where !taken.contains(column) {
                found = min(
                    found, costs[row * columns + column] + best(row + 1, taken.union([column]), left - 1))
            }
            return found
        }
        return best(0, [], min(rows, columns))
    }

    private func expectValid(_ pairs: [(row: Int, column: Int)], rows: Int, columns: Int) {
        #expect(pairs.count == min(rows, columns))
        #expect(
            Set(pairs.map(\.row)).count == pairs.count && Set(pairs.map(\.column)).count == pairs.count)
        #expect(pairs.map(\.row) == pairs.map(\.row).sorted())
        #expect(pairs.allSatisfy { (0..<rows).contains($0.row) && (0..<columns).contains($0.column) })
    }

    /// Every small size, with costs that are far apart, equal in part, negative, and all equal.
    @Test(arguments: 1...6, 1...6) func isAsCheapAsTryingAll(_ rows: Int, _ columns: Int) {
        for round in 0..<40 {
            var random = KeyedRandom(
                seed: 1, purpose: "assignment", index: UInt64(round * 49 + rows * 7 + columns))
            let span = [1, 3, 10, 1_000_000][round % 4]
            let costs = (0..<rows * columns).map { _ in Double(random.below(span)) - Double(span / 2) }
            let pairs = Assignment.cheapest(costs, rows: rows, columns: columns)
            expectValid(pairs, rows: rows, columns: columns)
            #expect(
                total(pairs, costs, columns) == bruteForce(costs, rows: rows, columns: columns),
                "\(rows) x \(columns), round \(round): \(costs)")
        }
    }

    /// Beyond what can be tried: no exchange of two rows' columns is cheaper, and neither is a free column.
    @Test func largeAssignmentsCannotBeImprovedByExchanges() {
        var random = KeyedRandom(seed: 2, purpose: "assignment")
        let (rows, columns) = (60, 100)
        let costs = (0..<rows * columns).map { _ in Double(random.uniform(-5, 5)) }
        let pairs = Assignment.cheapest(costs, rows: rows, columns: columns)
        expectValid(pairs, rows: rows, columns: columns)
        func cost(_ row: Int, _ column: Int) -> Double { costs[row * columns + column] }
        let free = Set(0..<columns).subtracting(pairs.map(\.column))
        for a in pairs {
            for column in free { #expect(cost(a.row, column) >= cost(a.row, a.column) - 1e-9) }
            for b in pairs {
                #expect(
                    cost(a.row, b.column) + cost(b.row, a.column) >= cost(a.row, a.column)
                        + cost(b.row, b.column) - 1e-9)
            }
        }
    }

    @Test func turnedProblemsHaveTheSameCost() {
        var random = KeyedRandom(seed: 3, purpose: "assignment")
        let (rows, columns) = (7, 12)
        let costs = (0..<rows * columns).map { _ in Double(random.uniform(0, 1)) }
        let turned = (0..<rows * columns).map { costs[$0 % rows * columns + $0 / rows] }
        let one = total(Assignment.cheapest(costs, rows: rows, columns: columns), costs, columns)
        let other = total(Assignment.cheapest(turned, rows: columns, columns: rows), turned, rows)
        #expect(abs(one - other) < 1e-12)
    }

    @Test func costsThatAreNoNumbersAreAvoided() {
        let costs: [Double] = [.nan, 5, .infinity, 1, 1, .infinity]
        let pairs = Assignment.cheapest(costs, rows: 2, columns: 3)
        #expect(pairs.map(\.column) == [1, 0])
        expectValid(
            Assignment.cheapest([Double](repeating: .nan, count: 12), rows: 4, columns: 3), rows: 4,
            columns: 3)
        #expect(Assignment.cheapest([], rows: 0, columns: 3).isEmpty)
        #expect(Assignment.cheapest([], rows: 3, columns: 0).isEmpty)
    }
}
