import Basics
import Testing

@testable import Imaging

@Suite struct PaletteTests {
    @Test func generatedColoursAreVOCsAndAllDifferent() {
        #expect(Palette.generated(4) == [RGB8(128, 0, 0), RGB8(0, 128, 0), RGB8(128, 128, 0), RGB8(0, 0, 128)])
        let all = Palette.generated(255)
        #expect(Set(all).count == 255 && !all.contains(RGB8(0, 0, 0)))
    }

    @Test func overlaysBlendAndLeaveIgnoredPixelsAlone() throws {
        let image = Image(width: 2, height: 1) { $0.copyBytes(from: [100, 0, 200, 10, 20, 30]) }
        let labels = LabelMap(width: 2, height: 1) { $0.copyBytes(from: [1, 255]) }
        let palette = [RGB8(0, 0, 0), RGB8(200, 100, 0)]
        let half = try image.overlaid(with: labels, palette: palette, opacity: 0.5)
        #expect(half[0, 0] == RGB8(150, 50, 100) && half[1, 0] == RGB8(10, 20, 30))
        #expect(try image.overlaid(with: labels, palette: palette, opacity: 1)[0, 0] == RGB8(200, 100, 0))
        #expect(try image.overlaid(with: labels, palette: palette, opacity: 0) == image)
        #expect(throws: UserError.self) { try image.overlaid(with: patternLabels(3, 1, below: 2), palette: palette) }
    }
}
