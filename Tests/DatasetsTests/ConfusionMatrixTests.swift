import Basics
import Foundation
import Imaging
import Testing

@testable import Datasets

@Suite struct ConfusionMatrixTests {
    @Test func countsByHand() throws {
        var matrix = ConfusionMatrix(classes: 4)
        let label = labels(3, 2) { x, y in [[0, 0, 1], [1, 255, 1]][y][x] }
        let prediction = labels(3, 2) { x, y in [[0, 1, 1], [1, 3, 2]][y][x] }
        try matrix.accumulate(prediction: prediction, label: label)
        #expect(matrix[label: 0, prediction: 1] == 1 && matrix[label: 1, prediction: 1] == 2 && matrix.total == 5)
        let iou: [Double?] = [0.5, 0.5, 0, nil]  // 2 is only predicted; 3 only where ignored
        #expect(matrix.iou == iou)
        let twoThirds = 2.0 / 3
        let accuracy: [Double?] = [0.5, twoThirds, nil, nil]
        #expect(matrix.classAccuracy == accuracy)
        let meanIoU = 1.0 / 3
        #expect(matrix.meanIoU == meanIoU)
        #expect(matrix.pixelAccuracy == 0.6)
        #expect(try #require(matrix.meanAccuracy) == (0.5 + twoThirds) / 2)
    }

    @Test func nothingCountedHasNoNumbers() throws {
        var matrix = ConfusionMatrix(classes: 3)
        try matrix.accumulate(prediction: labels(2, 2) { _, _ in 1 }, label: labels(2, 2) { _, _ in 255 })
        #expect(matrix.meanIoU == nil && matrix.pixelAccuracy == nil && matrix.meanAccuracy == nil && matrix.total == 0)
        #expect(matrix.iou == [nil, nil, nil])
    }

    @Test func partsMergeToTheWhole() throws {
        var random = KeyedRandom(seed: 8, purpose: "confusion")
        var whole = ConfusionMatrix(classes: 5)
        var parts = [ConfusionMatrix(classes: 5), ConfusionMatrix(classes: 5)]
        for i in 0..<10 {
            let label = labels(9, 7) { _, _ in UInt8(random.below(5)) }
            let prediction = labels(9, 7) { _, _ in UInt8(random.below(5)) }
            try whole.accumulate(prediction: prediction, label: label)
            try parts[i % 2].accumulate(prediction: prediction, label: label)
        }
        try parts[1].merge(parts[0])
        #expect(parts[1] == whole && whole.total == 630)
        #expect(throws: UserError.self) { try parts[0].merge(ConfusionMatrix(classes: 4)) }
    }

    @Test func wrongInputIsRefusedAndAddsNothing() throws {
        var matrix = ConfusionMatrix(classes: 2)
        let fine = labels(2, 2) { x, _ in UInt8(x) }
        #expect(throws: UserError.self) { try matrix.accumulate(prediction: labels(2, 2) { _, _ in 2 }, label: fine) }
        #expect(throws: UserError.self) { try matrix.accumulate(prediction: fine, label: labels(2, 2) { _, _ in 7 }) }
        #expect(throws: UserError.self) { try matrix.accumulate(prediction: fine, label: labels(2, 1) { _, _ in 0 }) }
        #expect(matrix == ConfusionMatrix(classes: 2))
        #expect(throws: UserError.self) { try ConfusionMatrix(classes: 2, counts: [1, 2, 3]) }
        #expect(throws: UserError.self) { try ConfusionMatrix(classes: 2, counts: [1, 2, 3, -4]) }
    }

    @Test func jsonKeepsCountsAndRefusesLies() throws {
        var matrix = ConfusionMatrix(classes: 2)
        try matrix.accumulate(prediction: labels(2, 2) { x, _ in UInt8(x) }, label: labels(2, 2) { _, y in UInt8(y) })
        let json = try JSONEncoder().encode(matrix)
        #expect(try JSONDecoder().decode(ConfusionMatrix.self, from: json) == matrix)
        let lie = Data(#"{"classes": 3, "counts": [1, 2, 3, 4]}"#.utf8)
        #expect(throws: (any Error).self) { try JSONDecoder().decode(ConfusionMatrix.self, from: lie) }
    }
}

/// The published way of counting, from the parity cases.
@Suite struct MeanIoUParityTests {
    private struct Case: Decodable {
        var classes: Int
        var ignore: UInt8
        var height: Int
        var width: Int
        var label: [UInt8]
        var prediction: [UInt8]
        var confusion: [[Int64]]
        var iou: [Double?]
        var miou: Double
        var classAccuracy: [Double?]
        var meanAccuracy: Double
        var pixelAccuracy: Double
    }

    private static let path =
        (ProcessInfo.processInfo.environment["PICOFLOW_PARITY_DIR"]
            ?? URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("ModelsTests/Parity").path) + "/miou.json"

    @Test(
        .enabled(
            if: FileManager.default.fileExists(atPath: path), "needs the parity case miou.json (PICOFLOW_PARITY_DIR)"))
    func meanIoUAgrees() throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let expected = try decoder.decode(Case.self, from: Data(contentsOf: URL(fileURLWithPath: Self.path)))
        var matrix = ConfusionMatrix(classes: expected.classes)
        try matrix.accumulate(
            prediction: LabelMap(
                width: expected.width, height: expected.height, values: SharedBytes(expected.prediction)),
            label: LabelMap(width: expected.width, height: expected.height, values: SharedBytes(expected.label)),
            ignore: expected.ignore)
        #expect(matrix.counts == expected.confusion.flatMap { $0 })
        // The parser may be off by one unit in the last place.
        func near(_ a: Double?, _ b: Double?) -> Bool {
            guard let a, let b else { return a == nil && b == nil }
            return abs(a - b) <= 1e-14 * max(abs(b), 1)
        }
        #expect(zip(matrix.iou, expected.iou).allSatisfy(near) && matrix.iou.count == expected.iou.count)
        #expect(zip(matrix.classAccuracy, expected.classAccuracy).allSatisfy(near))
        #expect(near(matrix.meanIoU, expected.miou) && near(matrix.meanAccuracy, expected.meanAccuracy))
        #expect(near(matrix.pixelAccuracy, expected.pixelAccuracy))
    }
}
