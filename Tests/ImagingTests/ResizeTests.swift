import Basics
import Testing

@testable import Imaging

@Suite struct ResizeTests {
    @Test(arguments: [
        (1, 1, 1, 1), (1, 1, 5, 4), (5, 4, 1, 1), (2, 2, 3, 5), (7, 5, 14, 10), (13, 9, 6, 4), (31, 17, 29, 40),
        (8, 8, 8, 3),
        (64, 48, 37, 91),
    ])
    func bilinearIsWithinOneLevelOfTheFormula(w: Int, h: Int, newW: Int, newH: Int) {
        let image = patternImage(w, h)
        let resized = image.resized(width: newW, height: newH)
        let source = image.pixels.array(of: UInt8.self)
        var worst = 0.0
        for y in 0..<newH {
            let fy = max(0, (Double(y) + 0.5) * Double(h) / Double(newH) - 0.5)
            let y0 = min(Int(fy), h - 1)
            let y1 = min(y0 + 1, h - 1)
            for x in 0..<newW {
                let fx = max(0, (Double(x) + 0.5) * Double(w) / Double(newW) - 0.5)
                let x0 = min(Int(fx), w - 1)
                let x1 = min(x0 + 1, w - 1)
                let color = resized[x, y]
                for (c, value) in [color.red, color.green, color.blue].enumerated() {
                    func at(_ i: Int, _ j: Int) -> Double { Double(source[(j * w + i) * 3 + c]) }
                    let a = at(x0, y0) + (at(x1, y0) - at(x0, y0)) * (fx - Double(x0))
                    let b = at(x0, y1) + (at(x1, y1) - at(x0, y1)) * (fx - Double(x0))
                    worst = max(worst, abs(Double(value) - (a + (b - a) * (fy - Double(y0)))))
                }
            }
        }
        #expect(worst <= 0.75, "rounding 0.5 and the weights' 11 bits")
    }

    @Test(arguments: [(1, 1, 4, 3), (5, 4, 1, 1), (10, 6, 5, 3), (7, 5, 23, 11), (31, 17, 9, 4)])
    func labelsTakeTheNumberUnderEachCentre(w: Int, h: Int, newW: Int, newH: Int) {
        let labels = patternLabels(w, h, below: 256)
        let resized = labels.resized(width: newW, height: newH)
        for y in 0..<newH {
            for x in 0..<newW {
                let sx = min(w - 1, Int((Double(x) + 0.5) * Double(w) / Double(newW)))
                let sy = min(h - 1, Int((Double(y) + 0.5) * Double(h) / Double(newH)))
                #expect(resized[x, y] == labels[sx, sy])
            }
        }
    }

    @Test func sameSizeChangesNothing() {
        let image = patternImage(12, 7)
        #expect(image.resized(width: 12, height: 7) == image)
    }

    @Test func aWindowIsThatPartOfTheWholeResizedImage() {
        let image = patternImage(40, 30)
        let labels = patternLabels(40, 30, below: 11)
        var random = KeyedRandom(seed: 3, purpose: "windows")
        for _ in 0..<60 {
            let scaledWidth = 1 + random.below(90)
            let scaledHeight = 1 + random.below(70)
            let width = 1 + random.below(scaledWidth)
            let height = 1 + random.below(scaledHeight)
            let window = ScaledWindow(
                scaledWidth: scaledWidth, scaledHeight: scaledHeight, left: random.below(scaledWidth - width + 1),
                top: random.below(scaledHeight - height + 1), width: width, height: height,
                flipped: random.below(2) == 1)
            let part = Image(width: width, height: height) {
                image.resize(
                    window: window, into: $0.baseAddress!.assumingMemoryBound(to: UInt8.self), stride: width * 3)
            }
            let labelPart = LabelMap(width: width, height: height) {
                labels.resize(window: window, into: $0.baseAddress!.assumingMemoryBound(to: UInt8.self), stride: width)
            }
            let whole = image.resized(width: scaledWidth, height: scaledHeight)
            let wholeLabels = labels.resized(width: scaledWidth, height: scaledHeight)
            for y in 0..<height {
                for x in 0..<width {
                    let column = window.left + (window.flipped ? width - 1 - x : x)
                    #expect(part[x, y] == whole[column, window.top + y], "\(window)")
                    #expect(labelPart[x, y] == wholeLabels[column, window.top + y], "\(window)")
                }
            }
        }
    }
}
