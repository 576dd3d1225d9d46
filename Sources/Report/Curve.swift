import Foundation

/// A line of a plot: means of equal stretches of steps, with the band that each stretch spans.
struct Curve {
    struct Point: Equatable {
        var step: Double
        var mean: Double
        var low: Double
        var high: Double
    }

    var name: String
    /// Which of the page's colours.
    var color: Int
    var points: [Point]
    /// Whether points are marked and no band is drawn: measurements rather than a stream.
    var isMarked = false

    /// Most points: more than a screen shows of a plot.
    static let limit = 240

    /// - Parameter values: in the order of their steps; those that are not finite are left out.
    init(_ name: String, color: Int, _ values: [(step: UInt64, value: Double)], isMarked: Bool = false) {
        self.name = name
        self.color = color
        self.isMarked = isMarked
        let finite = values.filter { $0.value.isFinite }
        let stretch = isMarked ? 1 : max(1, (finite.count + Self.limit - 1) / Self.limit)
        points = stride(from: 0, to: finite.count, by: stretch).map { start in
            let part = finite[start..<min(finite.count, start + stretch)]
            let numbers = part.map(\.value)
            return Point(
                step: Double(part.last!.step), mean: numbers.reduce(0, +) / Double(numbers.count),
                low: numbers.min()!, high: numbers.max()!)
        }
    }
}

/// A plot of some curves over training's steps, as inline SVG.
struct CurvePlot {
    var title: String
    /// Behind the numbers: `%`, `images/s`.
    var unit = ""
    /// What is shown of a value: 100 for percent.
    var scale = 1.0
    /// Whether the axis begins at 0.
    var fromZero = false
    var curves: [Curve]

    /// Of the drawing; it is stretched to the width that there is.
    private static let (width, height) = (640.0, 240.0)
    private static let (left, right, top, bottom) = (60.0, 8.0, 12.0, 26.0)

    var isEmpty: Bool { curves.allSatisfy(\.points.isEmpty) }

    /// `<figure>`; empty where there is nothing to show.
    var html: String {
        guard !isEmpty else { return "" }
        let all = curves.flatMap(\.points)
        var steps = (all.map(\.step).min()!, all.map(\.step).max()!)
        if steps.0 == steps.1 { steps = (steps.0 - 1, steps.1 + 1) }
        let (low, high, marks) = range(all)
        func x(_ step: Double) -> Double {
            Self.left + (step - steps.0) / (steps.1 - steps.0) * (Self.width - Self.left - Self.right)
        }
        func y(_ value: Double) -> Double {
            Self.top + (high - value) / (high - low) * (Self.height - Self.top - Self.bottom)
        }
        // Finer than any screen: what the pointer is told is worked out from it.
        func place(_ step: Double, _ value: Double) -> String { String(format: "%.3f,%.3f", x(step), y(value)) }
        var parts: [String] = []
        for mark in marks {
            let at = String(format: "%.1f", y(mark))
            parts.append(
                "<path class=grid d=\"M\(Self.left) \(at)H\(Self.width - Self.right)\"/>"
                    + "<text x=\(Self.left - 6) y=\(at) dy=4 text-anchor=end>\(label(mark, step: marks))</text>")
        }
        for mark in Self.nice(steps.0, steps.1, about: 5)
        where mark >= steps.0 && mark <= steps.1 && mark == mark.rounded() {
            // One at the right edge would be cut off.
            let anchor = x(mark) > Self.width - 60 ? "end" : "middle"
            parts.append(
                "<text x=\(String(format: "%.1f", x(mark))) y=\(Self.height - 6) text-anchor=\(anchor)>\(HTMLText.grouped(Int(mark)))</text>"
            )
        }
        for curve in curves where !curve.points.isEmpty {
            if !curve.isMarked, curve.points.contains(where: { $0.low < $0.high }) {
                let over = curve.points.map { place($0.step, $0.high) }
                let under = curve.points.reversed().map { place($0.step, $0.low) }
                parts.append(
                    "<polygon class=\"band c\(curve.color)\" points=\"\((over + under).joined(separator: " "))\"/>")
            }
            let line = curve.points.map { place($0.step, $0.mean) }.joined(separator: " ")
            parts.append(
                "<polyline class=\"line c\(curve.color)\" data-name=\"\(HTMLText.escape(curve.name))\" points=\"\(line)\"/>"
            )
            if curve.isMarked {
                parts += curve.points.map {
                    String(
                        format: "<circle class=\"c\(curve.color)\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/>", x($0.step),
                        y($0.mean))
                }
            }
        }
        let last = curves.compactMap { curve in
            curve.points.last.map {
                "\(curve.name) \(HTMLText.number($0.mean * scale))\(suffix) at step \(Int($0.step))"
            }
        }.joined(separator: "; ")
        let legend = curves.filter { !$0.points.isEmpty }.map {
            "<span class=\"key c\($0.color)\">\(HTMLText.escape($0.name))</span>"
        }.joined()
        return """
            <figure>
            <figcaption><b>\(HTMLText.escape(title))\(unit.isEmpty ? "" : " <small>\(HTMLText.escape(unit))</small>")</b><output></output></figcaption>
            <svg class=plot viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" role=img tabindex=0 aria-label="\(HTMLText.escape(title)): \(HTMLText.escape(last))" \
            data-x="\(steps.0) \(steps.1) \(Self.left) \(Self.width - Self.right)" data-y="\(low * scale) \(high * scale) \(Self.height - Self.bottom) \(Self.top)" data-unit="\(HTMLText.escape(suffix))">
            \(parts.joined(separator: "\n"))
            <path class=cross d=""/>
            </svg>
            <p class=legend>\(legend)</p>
            </figure>
            """
    }

    private var suffix: String { unit.isEmpty ? "" : " \(unit)" }

    /// The axis' ends and marks. A few wild values of a diverging curve must not press all others flat, so the axis follows
    /// the means, not the bands.
    private func range(_ points: [Curve.Point]) -> (low: Double, high: Double, marks: [Double]) {
        var low = fromZero ? 0 : points.map(\.mean).min()!
        var high = points.map(\.mean).max()!
        if low == high { (low, high) = low == 0 ? (0, 1) : (low - abs(low) / 10, high + abs(high) / 10) }
        let marks = Self.nice(low, high, about: 4)
        guard let first = marks.first, let last = marks.last else { return (low, high, []) }
        return (min(low, first), max(high, last), marks)
    }

    private func label(_ value: Double, step marks: [Double]) -> String {
        guard marks.count > 1 else { return HTMLText.number(value * scale) }
        // As many places as the marks differ in.
        let gap = abs(marks[1] - marks[0]) * scale
        let places = gap > 0 ? max(0, Int((-log10(gap)).rounded(.up))) : 0
        return places > 4 ? String(format: "%.1e", value * scale) : String(format: "%.\(places)f", value * scale)
    }

    /// Round numbers from one at or below `low` to one at or above `high`, about so many.
    static func nice(_ low: Double, _ high: Double, about count: Int) -> [Double] {
        guard high > low, (high - low).isFinite else { return [] }
        let raw = (high - low) / Double(count)
        let power = pow(10, floor(log10(raw)))
        let gap = [1.0, 2, 5, 10].map { $0 * power }.first { $0 >= raw * 0.999 } ?? raw
        let first = (low / gap).rounded(.down)
        let last = (high / gap).rounded(.up)
        guard last - first < 100 else { return [] }
        return stride(from: first, through: last, by: 1).map { $0 * gap }
    }
}
