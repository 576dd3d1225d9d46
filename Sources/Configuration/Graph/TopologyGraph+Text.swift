/// A topology drawn in characters: the samples' way from left to right, the miners to the right of compute, the bank below.
extension TopologyGraph {
    public var text: String {
        var canvas = TextCanvas()
        let chain = sampleChain
        guard let compute = chain.last else { return "" }
        let miner = stage(compute.mining)
        let row = chain + (miner.map { [$0] } ?? [])
        let height = Self.height(row)

        var lefts: [Int] = []
        var x = 0
        for (index, stage) in row.enumerated() {
            lefts.append(x)
            let lines = Self.lines(stage)
            canvas.box(lines, x: x, y: 0, height: height)
            x += TextCanvas.boxWidth(lines)
            guard index + 1 < row.count else { break }
            if index + 1 < chain.count {
                canvas.write("──samples──▶", x: x, y: 1)
                x += 12
            } else {
                canvas.write("────anchors────▶", x: x, y: 1)
                canvas.write("◀───gradients───", x: x, y: 2)
                x += 16
            }
        }
        var bottom = height
        if let bank = stage(compute.memory) {
            let left = lefts[chain.count - 1]
            let lines = Self.lines(bank)
            canvas.write("│", x: left + 2, y: height)
            canvas.write("│ keys", x: left + 2, y: height + 1)
            canvas.write("▼", x: left + 2, y: height + 2)
            canvas.box(lines, x: left, y: height + 3, height: Self.height([bank]))
            if let miner, miner.memory == bank.name {
                let start = left + TextCanvas.boxWidth(lines)
                // The miner's box begins right of compute's, but the bank's may be wider than both.
                let end = max(lefts[chain.count] + 2, start + 8)
                let line = String(repeating: "─", count: end - start)
                canvas.write(line + "┘", x: start, y: height + 4)
                canvas.write("log", x: start + (end - start - 3) / 2, y: height + 4)
                canvas.write("▲", x: end, y: height)
                for y in height + 1...height + 3 { canvas.write("│", x: end, y: y) }
            }
            bottom = height + 3 + Self.height([bank])
        }
        for evaluator in stages where evaluator.kind == .evaluator {
            let lines = Self.lines(evaluator)
            let height = Self.height([evaluator])
            canvas.box(lines, x: 0, y: bottom, height: height)
            let end = TextCanvas.boxWidth(lines)
            canvas.write("──confusions──▶", x: end, y: bottom + 1)
            canvas.box([Self.commandLine, "command line"], x: end + 15, y: bottom, height: height)
            bottom += height
        }
        return canvas.text
    }

    /// Boxes of one row are equally high.
    private static func height(_ stages: [StageSettings]) -> Int { (stages.map { lines($0).count }.max() ?? 0) + 2 }
}
