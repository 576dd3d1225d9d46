import Basics
import Configuration
import Testing

@testable import Contrast

@Suite struct LabelAndKeyTests {
    /// From `torch.nn.functional.interpolate(mode="nearest-exact")`, torch 2.13; the sums are of `source * target index`.
    @Test func labelsReachTheGridAsTorchSamplesThem() {
        func sources(_ from: Int, _ to: Int) -> [Int] { nearestSources(from: from, to: to, alignCorners: false) }
        #expect(sources(7, 3) == [1, 3, 5])
        #expect(sources(3, 7) == [0, 0, 1, 1, 1, 2, 2])
        #expect(
            sources(360, 23) == [
                7, 23, 39, 54, 70, 86, 101, 117, 133, 148, 164, 180, 195, 211, 226, 242, 258, 273, 289, 305, 320, 336,
                352,
            ])
        #expect(sources(1000, 7) == [71, 214, 357, 500, 642, 785, 928])
        #expect(sources(41, 58).enumerated().reduce(0) { $0 + $1.0 * $1.1 } == 44514)
        #expect(sources(59, 41).enumerated().reduce(0) { $0 + $1.0 * $1.1 } == 32038)
        #expect(sources(5, 0).isEmpty)
    }

    /// Cross-entropy at a feature's pixel must be mostly about that feature, or the two losses ask different classes of it.
    @Test(arguments: [true, false])
    func labelsAreOfThePixelsThatFeaturesSpeakFor(alignCorners: Bool) {
        for (input, output) in [(360, 23), (480, 30), (240, 60), (97, 13), (64, 64), (17, 2), (5, 1), (3, 7)] {
            // Where torch's bilinear upsampling reads for a pixel, in units of features.
            func place(_ pixel: Int) -> Double {
                guard output > 1 else { return 0 }
                return alignCorners
                    ? Double(pixel) * Double(output - 1) / Double(max(input - 1, 1))
                    : (Double(pixel) + 0.5) * Double(output) / Double(input) - 0.5
            }
            for (feature, pixel) in nearestSources(from: input, to: output, alignCorners: alignCorners).enumerated() {
                let distance = abs(place(pixel) - Double(feature))
                let best = (0..<input).map { abs(place($0) - Double(feature)) }.min()!
                #expect(distance <= best + 1e-9, "\(input) -> \(output), feature \(feature): pixel \(pixel)")
            }
        }
    }

    /// A stride that was rounded (16 for 360 -> 23 rows) drifts from the features by up to half a cell.
    @Test func labelsFollowTheFeaturesOwnSizeNotARoundedStride() throws {
        let values = (0..<360).flatMap { row in [UInt8(row / 2), UInt8(row / 2)] }
        let labels = try LabelGrid(images: 1, height: 360, width: 2, values: values)
        #expect(try nearestLabelGrid(labels, height: 23, width: 1, alignCorners: false).values[22] == 176)
        #expect(try nearestLabelGrid(labels, height: 23, width: 1, alignCorners: true).values[22] == 179)
    }

    /// A network that pads 40 columns to 48 has 3 patches of 16, and the third one begins at column 32, not at 26; its
    /// middle is padding.
    @Test func labelsFollowThePaddingOfTheFeatures() throws {
        let labels = try LabelGrid(images: 1, height: 16, width: 40, values: (0..<16 * 40).map { UInt8($0 % 40) })
        #expect(
            try nearestLabelGrid(labels, height: 1, width: 3, extent: (16, 48), alignCorners: false).values
                == [8, 24, 255])
        #expect(
            try nearestLabelGrid(labels, height: 2, width: 6, extent: (32, 48), alignCorners: false).values
                == [4, 12, 20, 28, 36, 255] + [255, 255, 255, 255, 255, 255])
    }

    @Test func everyImageIsResizedByItself() throws {
        let grid = try nearestLabelGrid(
            LabelGrid(
                images: 2, height: 2, width: 4, values: [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18]),
            height: 1, width: 2, alignCorners: false)
        #expect(grid.values == [6, 8, 16, 18])
        #expect(throws: ContrastError.self) {
            try nearestLabelGrid(
                LabelGrid(images: 1, height: 0, width: 4, values: []), height: 1, width: 1, alignCorners: false)
        }
    }

    @Test func queuePixelsAreOfTheirClassAndAtMostVPerImage() throws {
        var stream = KeyedRandom(seed: 4, purpose: "test")
        let values = (0..<3 * 60).map { _ in [UInt8(0), 1, 1, 1, 7, 255][stream.below(6)] }
        let labels = try LabelGrid(images: 3, height: 6, width: 10, values: values)
        for perImage in [0, 1, 10, 500] {
            let drawn = PixelDraw.draw(labels: labels, perImage: perImage, seed: 1, step: 5)
            if perImage == 0 { #expect(drawn.isEmpty) }
            for group in drawn {
                let own = (group.image * 60..<group.image * 60 + 60).filter { values[$0] == group.classID.rawValue }
                #expect(group.pixels.count == min(perImage, own.count))
                #expect(Set(group.pixels).isSubset(of: own) && Set(group.pixels).count == group.pixels.count)
            }
            if perImage > 0 {
                #expect(drawn.map(\.image) == [0, 0, 0, 1, 1, 1, 2, 2, 2])
                #expect(drawn.map(\.classID) == [0, 1, 7, 0, 1, 7, 0, 1, 7])
            }
        }
    }

    @Test func queuePixelsAreDrawnUniformly() throws {
        let seed: UInt64 = 9
        let labels = try LabelGrid(images: 1, height: 5, width: 8, values: Array(repeating: 0, count: 40))
        var hits = [Int](repeating: 0, count: 40)
        for step in 0..<4000 {
            for pixel in PixelDraw.draw(labels: labels, perImage: 10, seed: seed, step: UInt64(step))[0].pixels {
                hits[pixel] += 1
            }
        }
        #expect(looksUniform(hits), "seed \(seed)")
    }

    /// The reference code indexed the image's embeddings by a pixel's rank within its class.
    @Test func recordRowsAreTheEmbeddingsOfTheirOwnPixels() throws {
        let D = 4
        // Each pixel's embedding tells its class: +e_c.
        let values: [UInt8] = [2, 2, 1, 255, 0, 1, 2, 0, 0, 1, 255, 255]
        var embeddings = [Float](repeating: 0, count: values.count * D)
        for (pixel, label) in values.enumerated() { embeddings[pixel * D + (label == 255 ? 3 : Int(label))] = 1 }
        let labels = try LabelGrid(images: 2, height: 2, width: 3, values: values)
        let record = try embeddings.withUnsafeBufferPointer {
            try LogicalRecord(
                embeddings: $0, dimension: D, labels: labels, imageIDs: [7, 3], settings: ContrastSettings(), seed: 1,
                step: 2)
        }
        let classes = record.pixels + record.regions.map(\.classID)
        for (row, classID) in classes.enumerated() {
            #expect(record.rows[row * D + classID.index] == 1)
        }
        #expect(record.pixels == [0, 1, 1, 2, 2, 0, 0, 1, 2])
        #expect(
            record.regions
                == [(0, 7), (1, 7), (2, 7), (0, 3), (1, 3), (2, 3)].map {
                    .init(classID: ClassID($0.0), image: ImageID($0.1))
                })
    }

    @Test func aRegionIsTheNormalisedMeanOfItsClassInItsImage() throws {
        let D = 3
        let rows = clusteredRows(8, dimension: D, spread: 2, seed: 3, index: 1)
        let labels = try LabelGrid(images: 2, height: 1, width: 4, values: [0, 1, 0, 255, 1, 1, 1, 0])
        let record = try rows.withUnsafeBufferPointer {
            try LogicalRecord(
                embeddings: $0, dimension: D, labels: labels, imageIDs: [0, 1], settings: ContrastSettings(), seed: 1,
                step: 2)
        }
        let members = [[0, 2], [1], [7], [4, 5, 6]]
        for (region, pixels) in members.enumerated() {
            let mean = unit((0..<D).map { k in pixels.reduce(0) { $0 + rows[$1 * D + k] } / Float(pixels.count) })
            for k in 0..<D {
                #expect(abs(record.rows[(record.pixels.count + region) * D + k] - mean[k]) < 1e-6)
            }
        }
    }

    @Test func vectorsThatCancelGiveNoRegionAndNoNaN() throws {
        let labels = try LabelGrid(images: 1, height: 1, width: 2, values: [0, 0])
        let embeddings: [Float] = [1, 0, -1, 0]
        let record = try embeddings.withUnsafeBufferPointer {
            try LogicalRecord(
                embeddings: $0, dimension: 2, labels: labels, imageIDs: [0], settings: ContrastSettings(), seed: 1,
                step: 2)
        }
        #expect(record.regions.isEmpty && record.pixels.count == 2)
    }

    @Test func ignoredImagesAddNothing() throws {
        let labels = try LabelGrid(images: 2, height: 1, width: 2, values: [255, 255, 255, 255])
        let embeddings: [Float] = [1, 0, 1, 0, 1, 0, 1, 0]
        let record = try embeddings.withUnsafeBufferPointer {
            try LogicalRecord(
                embeddings: $0, dimension: 2, labels: labels, imageIDs: [0, 1], settings: ContrastSettings(), seed: 1,
                step: 2)
        }
        #expect(record.rowCount == 0 && record.rows.isEmpty)
    }

    @Test func recordsOfRowsThatAreNoUnitVectorsAreRefused() {
        for bad: Float in [0, 2, .nan, .infinity] {
            #expect(throws: ContrastError.self) {
                try LogicalRecord(dimension: 2, pixels: [0, 0], regions: [], rows: [1, 0, bad, 0])
            }
        }
        #expect(throws: ContrastError.self) { try LogicalRecord(dimension: 2, pixels: [0], regions: [], rows: [1]) }
    }

    /// Ranks draw from their own images with the keys that the whole batch would use.
    @Test func aRanksRecordIsItsPartOfTheWholeBatchs() throws {
        let D = 4
        let rows = clusteredRows(4 * 30, dimension: D, spread: 2, seed: 8, index: 0)
        var stream = KeyedRandom(seed: 5, purpose: "test")
        let values = (0..<120).map { _ in UInt8(stream.below(2)) }
        func record(_ images: Range<Int>) throws -> LogicalRecord {
            let pixels = images.lowerBound * 30..<images.upperBound * 30
            return try Array(rows[pixels.lowerBound * D..<pixels.upperBound * D]).withUnsafeBufferPointer {
                try LogicalRecord(
                    embeddings: $0, dimension: D,
                    labels: LabelGrid(images: images.count, height: 5, width: 6, values: Array(values[pixels])),
                    imageIDs: images.map { ImageID($0) }, settings: ContrastSettings(), seed: 1, step: 2,
                    firstImage: images.lowerBound)
            }
        }
        let whole = try record(0..<4)
        let first = try record(0..<1)
        let rest = try record(1..<4)
        #expect(whole.pixels == first.pixels + rest.pixels)
        #expect(whole.regions == first.regions + rest.regions)
        var rejoined: [Float] = []
        rejoined += first.rows[..<(first.pixels.count * D)]
        rejoined += rest.rows[..<(rest.pixels.count * D)]
        rejoined += first.rows[(first.pixels.count * D)...]
        rejoined += rest.rows[(rest.pixels.count * D)...]
        #expect(whole.rows == rejoined)
    }
}
