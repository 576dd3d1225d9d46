import Basics
import Contrast
import Foundation
import MemoryKit
import StageKit
import TestSupport
import Testing

@testable import Dashboard
@testable import Wire

/// What the dashboard reads from a run's directory.
@Suite struct RunFilesTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder("run") }

    @Test func curvesFollowTheFileAsItGrowsAndIsReplaced() async throws {
        let path = folder("metrics.jsonl")
        let curves = Curves(path: path)
        #expect(await curves.points(limit: 10).step == [])
        let file = try MetricsFile(path: path, continuingAfter: 0)
        for step in 1...5 as ClosedRange<UInt64> { try file.append(StepMetrics(step: step, lr: 1, ce: Double(step))) }
        #expect(await curves.points(limit: 10).ce == [1, 2, 3, 4, 5])
        try MetricsFile.append(
            EvaluationScores(step: 4, split: "val", mIoU: 0.5, pixelAccuracy: nil, meanAccuracy: nil), to: path)
        try file.append(StepMetrics(step: 6, lr: 1, ce: .nan, nce: 2))
        let points = await curves.points(limit: 10)
        #expect(points.step.last == 6 && points.ce.last == .some(nil) && points.nce.last == 2)
        #expect(points.evaluations.map(\.step) == [4])
        // Half as many points: means of two.
        #expect(await curves.points(limit: 3).step == [2, 4, 6])
        #expect(await curves.points(limit: 3).ce == [1.5, 3.5, 5])
        // A rollback to step 2.
        let again = try MetricsFile(path: path, continuingAfter: 2)
        try again.append(StepMetrics(step: 3, lr: 1, ce: 30))
        #expect(await curves.points(limit: 10).ce == [1, 2, 30])
        #expect(await curves.points(limit: 10).evaluations.count == 1)
    }

    @Test func halfALineWaitsForItsOtherHalf() async throws {
        let curves = Curves(path: folder("metrics.jsonl"))
        let line = String(decoding: try StepMetrics(step: 1, lr: 1, ce: 7).wireJSON(), as: UTF8.self)
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: folder.write("", to: "metrics.jsonl")))
        try file.write(contentsOf: Data(line.prefix(20).utf8))
        #expect(await curves.points(limit: 10).step == [])
        try file.write(contentsOf: Data((line.dropFirst(20) + "\n").utf8))
        #expect(await curves.points(limit: 10).ce == [7])
    }

    @Test func logsAreMergedByTime() throws {
        try FileManager.default.createDirectory(atPath: folder("logs"), withIntermediateDirectories: true)
        func line(_ second: Int, _ name: String) -> String {
            "2025-03-01T12:00:0\(second).000Z info \(name)@here step 3: x\n"
        }
        try folder.write(line(1, "loader-1") + "Fatal error: y\n" + line(5, "loader-1"), to: "logs/loader-1.log")
        try folder.write("no time\n" + line(3, "miner-1"), to: "logs/miner-1.log")
        try folder.write("not a log", to: "logs/notes.txt")
        let all = RunLogs(folder: folder("logs"))
        #expect(all.names == ["loader-1", "miner-1"])
        #expect(
            all.lines == ["no time"]
                + [line(1, "loader-1"), "Fatal error: y\n", line(3, "miner-1"), line(5, "loader-1")].map {
                    String($0.dropLast())
                })
        #expect(RunLogs(folder: folder("logs"), of: "miner-1").lines.count == 2)
        #expect(RunLogs(folder: folder("logs"), of: "../secrets").lines == [])
        try folder.write(String(repeating: line(7, "loader-1"), count: 5000), to: "logs/loader-1.log")
        #expect(RunLogs(folder: folder("logs")).lines.count == RunLogs.maxLines)
    }

    @Test func picturesAreTheNewestEvaluations() throws {
        for name in [
            "step-000100/a.png", "step-000200/b.png", "step-000200/a.png", "step-000300/notes.txt",
            "step-000400.partial/c.png",
        ] {
            let path = folder("evaluations/" + name)
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try folder.write(name, to: "evaluations/" + name)
        }
        try folder.write("secret", to: "recipe.png")
        let panels = ImagePanels(run: folder.path)
        #expect(panels.step == 200 && panels.panels.map(\.name) == ["a", "b"])
        let path = try #require(panels.panels.last?.path)
        #expect(ImagePanels.file(path.dropFirst(7), run: folder.path) == Data("step-000200/b.png".utf8))
        for path in ["step-000300/notes.txt", "../recipe.png", "step-000200/../../recipe.png", "step-000200/", "x", ""]
        {
            #expect(ImagePanels.file(path[...], run: folder.path) == nil, "\(path)")
        }
    }

    // MARK: The memory

    /// A snapshot as the bank writes it: `filled` slots per class, row s of class c pointing along (c, s).
    private func snapshot(_ filled: [(pixels: Int, regions: Int)], dimension: Int) throws -> (String, [[Float]]) {
        let capacity = filled.map { max($0.pixels, $0.regions) }.max() ?? 1
        var reducer = try MemoryReducer(
            shape: MemoryShape(
                classes: filled.count, dimension: dimension, pixelCapacity: capacity, regionCapacity: capacity,
                images: capacity))
        var random = KeyedRandom(seed: 3, purpose: "dashboard")
        func row() -> [Float] {
            let row = (0..<dimension).map { _ in random.uniform(-1, 1) + 0.001 }
            let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return row.map { $0 / length }
        }
        var pixels: [(Int, [Float])] = []
        var regions: [(Int, Int, [Float])] = []
        for (index, slots) in filled.enumerated() {
            for _ in 0..<slots.pixels { pixels.append((index, row())) }
            for image in 0..<slots.regions { regions.append((index, image, row())) }
        }
        let record = MemoryRecord(
            step: 1, images: [], dimension: dimension, pixelClasses: pixels.map { Int32($0.0) },
            regionClasses: regions.map { Int32($0.0) }, regionImages: regions.map { Int32($0.1) },
            rows: pixels.flatMap(\.1) + regions.flatMap(\.2))
        _ = try reducer.reduce(record.encode(), at: SequenceNumber(1))
        let path = folder("bank.snapshot")
        _ = try LogSnapshotFile(writing: reducer, sequence: SequenceNumber(1), hash: .empty, to: path)
        var expected: [[Float]] = []
        for index in filled.indices {
            expected += pixels.filter { $0.0 == index }.map(\.1) + regions.filter { $0.0 == index }.map(\.2)
        }
        return (path, expected)
    }

    @Test func sampleOfAllIsAllInOrder() throws {
        let (path, rows) = try snapshot([(5, 2), (0, 0), (3, 3)], dimension: 4)
        let sample = try MemorySample(snapshot: path, limit: 1000)
        #expect(sample.step == 1 && sample.dimension == 4)
        #expect(sample.rows == rows.flatMap { $0 })
        #expect(sample.classes == [Int](repeating: 0, count: 7) + [Int](repeating: 2, count: 6))
        #expect(sample.isRegion.filter { $0 }.count == 5)
        #expect(sample.filled.map { $0.pixels } == [5, 0, 3] && sample.filled.map { $0.regions } == [2, 0, 3])
    }

    /// More than one part of 8 MiB, so rows lie across their edges.
    @Test func sampleOfManyPartsIsSpreadEvenly() throws {
        let (path, rows) = try snapshot([(9000, 500), (9001, 0)], dimension: 256)
        let sample = try MemorySample(snapshot: path, limit: 300)
        #expect(sample.classes.filter { $0 == 0 }.count == 150 && sample.classes.count == 300)
        for place in 0..<150 {
            let own = Array(sample.rows[place * 256..<(place + 1) * 256])
            #expect(own == rows[place * 9500 / 150], "row \(place)")
            let other = Array(sample.rows[(150 + place) * 256..<(151 + place) * 256])
            #expect(other == rows[9500 + place * 9001 / 150], "row \(150 + place)")
        }
    }

    @Test func whatIsNoSnapshotSaysSo() throws {
        try folder.write("PFSNAP01 but not really", to: "bank.snapshot")
        #expect { _ = try MemorySample(snapshot: folder("bank.snapshot"), limit: 10) } throws: {
            "\($0)".contains("bank.snapshot")
        }
    }

    @Test func planeIsWhereThePointsVary() {
        // Points on an ellipse in the plane of two oblique directions of ten, with a little of everything else.
        var random = KeyedRandom(seed: 9, purpose: "plane")
        let u: [Float] = (0..<10).map { $0 % 2 == 0 ? 1 / Float(5).squareRoot() : 0 }
        let v: [Float] = (0..<10).map { $0 % 2 == 1 ? 1 / Float(5).squareRoot() : 0 }
        var rows: [Float] = []
        var angles: [Float] = []
        for _ in 0..<400 {
            let angle = random.uniform(0, 6.283)
            angles.append(angle)
            rows += (0..<10).map { 3 + 4 * Float(cos(Double(angle))) * u[$0] + Float(sin(Double(angle))) * v[$0] }
                .map { $0 + random.uniform(-0.01, 0.01) }
        }
        let plane = PrincipalPlane(rows, dimension: 10)
        for (place, angle) in zip(plane.places, angles) {
            #expect(abs(abs(place.x) - abs(4 * Float(cos(Double(angle))))) < 0.5)
            #expect(abs(abs(place.y) - abs(Float(sin(Double(angle))))) < 0.25)
        }
        #expect(plane.shares.0 > 0.9 && plane.shares.0 + plane.shares.1 > 0.99)
        #expect(PrincipalPlane([], dimension: 3).places.isEmpty)
        #expect(PrincipalPlane([1, 2, 3], dimension: 3).places.map(\.x) == [0])
        let same = PrincipalPlane([Float](repeating: 0.5, count: 40), dimension: 4)
        #expect(same.places.allSatisfy { $0.x == 0 && $0.y == 0 } && same.shares == (0, 0))
    }
}
