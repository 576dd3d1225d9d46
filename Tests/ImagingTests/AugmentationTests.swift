import Basics
import Configuration
import Foundation
import Testing

@testable import Imaging

@Suite struct AugmentationTests {
    private let padding = RGB8(124, 116, 104)

    @Test func theSameSeedGivesTheSameBytesEverywhere() throws {
        let image = patternImage(96, 72)
        let labels = patternLabels(96, 72, below: 11)
        var settings = AugmentationSettings()
        settings.crop = [60, 80]
        var hash = SHA256()
        for seed in 0..<32 as Range<UInt64> {
            let sample = try augment(image, labels, settings: settings, seed: seed, padding: padding)
            hash.update(sample.image.pixels)
            hash.update(sample.label.values)
        }
        // Written down once; a change of any drawn value or rounding changes every run's results.
        #expect(hash.hex() == "b49470d876d5c3b428e4ae4c8de42af8065dfda43f282e15f56aace6f0992e4b")
    }

    /// Image and label carry the coordinates they came from: after scale, crop and flip they must still agree.
    @Test func imageAndLabelStayAligned() throws {
        let width = 60
        let height = 50
        let image = Image(width: width, height: height) { target in
            for i in 0..<width * height {
                target[3 * i] = UInt8(i % width * 4)
                target[3 * i + 1] = UInt8(i / width * 5)
                target[3 * i + 2] = 0
            }
        }
        let columns = LabelMap(width: width, height: height) { t in for i in 0..<t.count { t[i] = UInt8(i % width) } }
        let rows = LabelMap(width: width, height: height) { t in for i in 0..<t.count { t[i] = UInt8(i / width) } }
        var settings = withoutJitter()
        settings.crop = [40, 70]
        let marker = RGB8(1, 2, 255)  // blue never occurs in the image
        var padded = 0
        var flipped = 0
        for seed in 0..<200 as Range<UInt64> {
            let a = try augment(image, columns, settings: settings, seed: seed, padding: marker)
            let b = try augment(image, rows, settings: settings, seed: seed, padding: marker)
            #expect(a.image == b.image)
            #expect(a.image.width == 70 && a.image.height == 40 && a.label.width == 70 && a.label.height == 40)
            for y in 0..<40 {
                for x in 0..<70 {
                    let color = a.image[x, y]
                    if a.label[x, y] == IgnoreLabel.value {
                        #expect(color == marker && b.label[x, y] == IgnoreLabel.value)
                        padded += 1
                    } else {
                        // The label is the pixel under the centre: half a pixel away at most, and rounding.
                        #expect(color.blue == 0)
                        #expect(abs(Double(color.red) / 4 - Double(a.label[x, y])) <= 0.7, "seed \(seed) at \(x), \(y)")
                        #expect(
                            abs(Double(color.green) / 5 - Double(b.label[x, y])) <= 0.7, "seed \(seed) at \(x), \(y)")
                    }
                }
            }
            flipped += a.image[0, 0].red > a.image[5, 0].red ? 1 : 0
        }
        #expect(padded > 0)
        #expect((60...140).contains(flipped), "probability 0.5")
    }

    @Test func scalesAndCornersCoverTheirRanges() throws {
        var settings = withoutJitter()
        settings.crop = [360, 480]
        var scales: [Double] = []
        for seed in 0..<2000 as Range<UInt64> {
            let plan = try AugmentationPlan(width: 480, height: 360, settings: settings, seed: seed)
            let window = plan.window
            #expect(window.left >= 0 && window.left + window.width <= window.scaledWidth)
            #expect(window.top >= 0 && window.top + window.height <= window.scaledHeight)
            scales.append(Double(window.scaledWidth) / 480)
        }
        #expect(scales.min()! >= 0.5 && scales.min()! < 0.51 && scales.max()! <= 2 && scales.max()! > 1.99)
        let mean = scales.reduce(0, +) / 2000
        #expect(abs(mean - 1.25) < 0.04)  // 4 standard errors: 0.433 / sqrt(2000) each
    }

    @Test func withoutChangesTheImageComesBack() throws {
        var settings = withoutJitter()
        settings.scale = [1, 1]
        settings.flip = 0
        settings.crop = [30, 40]
        let image = patternImage(40, 30)
        let labels = patternLabels(40, 30, below: 5)
        let sample = try augment(image, labels, settings: settings, seed: 9, padding: padding)
        #expect(sample.image == image && sample.label == labels)
    }

    @Test func jitterLeavesPaddingAlone() throws {
        var settings = AugmentationSettings()
        settings.crop = [64, 64]
        settings.scale = [0.5, 0.5]
        let sample = try augment(
            patternImage(40, 40), patternLabels(40, 40, below: 5), settings: settings, seed: 2, padding: padding)
        for at in [(20, 0), (63, 63), (0, 20), (63, 0)] {
            #expect(sample.image[at.0, at.1] == padding && sample.label[at.0, at.1] == IgnoreLabel.value)
        }
        #expect(sample.label[19, 19] != IgnoreLabel.value)
    }

    @Test func aSinglePixelIsAnImageToo() throws {
        var settings = AugmentationSettings()
        settings.crop = [3, 3]
        for seed in 0..<20 as Range<UInt64> {
            _ = try augment(
                patternImage(1, 1), patternLabels(1, 1, below: 5), settings: settings, seed: seed, padding: padding)
        }
    }

    @Test func senselessArgumentsAreErrors() {
        let image = patternImage(8, 8)
        let labels = patternLabels(8, 8, below: 5)
        func refused(_ change: (inout AugmentationSettings) -> Void) -> Bool {
            var settings = AugmentationSettings()
            change(&settings)
            return !message { _ = try augment(image, labels, settings: settings, seed: 0, padding: padding) }.isEmpty
        }
        #expect(refused { $0.crop = [] })
        #expect(refused { $0.crop = [-4, 8] })
        #expect(refused { $0.crop = [1_000_000, 8] })
        #expect(refused { $0.crop = [16_384, 16_384] })
        #expect(refused { $0.scale = [0, 1] })
        #expect(refused { $0.scale = [2, 1] })
        #expect(refused { $0.scale = [.nan, 1] })
        #expect(refused { $0.scale = [1, .infinity] })
        #expect(refused { $0.brightness = 1e30 })
        #expect(refused { $0.hue = .nan })
        #expect(!refused { $0.flip = 1 })
        let text = message {
            _ = try augment(
                image, patternLabels(8, 7, below: 5), settings: AugmentationSettings(), seed: 0, padding: padding)
        }
        #expect(text == "the image is 8x8 but its label map is 8x7")
    }

    @Test func thePaddingColourIsTheMean() {
        #expect(paddingColor(mean: [0.485, 0.456, 0.406]) == RGB8(124, 116, 104))
    }

    private func withoutJitter() -> AugmentationSettings {
        var settings = AugmentationSettings()
        settings.brightness = 0
        settings.contrast = 0
        settings.saturation = 0
        settings.hue = 0
        return settings
    }
}
