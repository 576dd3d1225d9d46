import Basics
import Configuration
import Foundation
import TestSupport
import Testing

@testable import StageKit

@Suite struct EventFileTests {
    private let folder = try! TemporaryFolder("events")

    private func bytes(_ name: String) throws -> [UInt8] {
        Array(try #require(FileManager.default.contents(atPath: folder("e/" + name))))
    }

    private func file(after step: UInt64? = nil, trouble: @escaping (String) -> Void = { _ in }) -> EventFile {
        EventFile(folder: folder("e"), continuingAfter: step, clock: { 1.5 }, onTrouble: trouble)
    }

    private var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder("e"))) ?? []).sorted()
    }

    /// RFC 3720, appendix B.4, and the check value of the CRC catalogues.
    @Test func checksumsAreCastagnolis() {
        #expect(CRC32C.checksum("123456789".utf8) == 0xe306_9283)
        #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
        #expect(CRC32C.checksum([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
        #expect(CRC32C.checksum(0..<32 as Range<UInt8>) == 0x46dd_794e)
        #expect(CRC32C.checksum([]) == 0)
    }

    /// As TensorFlow's own writer frames them.
    @Test func fileBeginsWithItsVersion() throws {
        _ = file()
        #expect(names == ["events.out.tfevents.0000000001.picoflow"])
        #expect(
            try bytes(names[0]) == [
                0x18, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22,
                0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0x1a, 13,
            ] + Array("brain.Event:2".utf8) + checksum(ofLast: 24, in: bytes(names[0])))
    }

    /// The last four bytes of a record, worked out from the message before them.
    private func checksum(ofLast count: Int, in bytes: [UInt8]) -> [UInt8] {
        let message = bytes.dropLast(4).suffix(count)
        return withUnsafeBytes(of: CRC32C.masked(message).littleEndian) { Array($0) }
    }

    @Test func scalarsAreSummaryValues() {
        #expect(
            EventRecord.scalars([("a", 0.5), ("b", -2)], step: 300).encoded(wallTime: 0) == [
                0x09, 0, 0, 0, 0, 0, 0, 0, 0,  // wall_time
                0x10, 0xac, 0x02,  // step
                0x2a, 20,  // summary
                0x0a, 8, 0x0a, 1, 0x61, 0x15, 0, 0, 0, 0x3f,  // value: tag, simple_value
                0x0a, 8, 0x0a, 1, 0x62, 0x15, 0, 0, 0, 0xc0,
            ])
    }

    @Test func textIsAStringTensorOfTheTextPlugin() {
        #expect(
            EventRecord.text(tag: "t", "hi", step: 1).encoded(wallTime: 0) == [
                0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1,
                0x2a, 29, 0x0a, 27, 0x0a, 1, 0x74,
                0x42, 12, 0x08, 7, 0x12, 4, 0x12, 2, 0x08, 1, 0x42, 2, 0x68, 0x69,
                0x4a, 8, 0x0a, 6, 0x0a, 4, 0x74, 0x65, 0x78, 0x74,
            ])
    }

    @Test func imagesAreTheirFilesBytes() {
        #expect(
            EventRecord.image(tag: "i", [0x89, 0x50], width: 300, height: 2, step: 1).encoded(wallTime: 0) == [
                0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1,
                0x2a, 18, 0x0a, 16, 0x0a, 1, 0x69,
                0x22, 11, 0x08, 2, 0x10, 0xac, 0x02, 0x18, 3, 0x22, 2, 0x89, 0x50,
            ])
    }

    /// Nulls have no column, lists are text, and quotes of a text are YAML's.
    @Test func recipesBecomeHyperParameters() throws {
        var recipe = Recipe()
        recipe.dataset.root = "/data/a b"
        recipe.schedule.lr = 0.25
        let values = Dictionary(
            uniqueKeysWithValues: HyperParameters(recipe, results: []).values.map { ($0.name, $0.value) })
        #expect(values["dataset.root"] == .text("/data/a b"))
        #expect(values["schedule.lr"] == .number(0.25))
        #expect(values["contrast.enabled"] == .flag(true))
        #expect(values["evaluate.scales"] == .text("[1.0]"))
        #expect(values["sampler.strategy"] == .text("semi-hard"))
        #expect(values["model.pretrained"] == nil)
        #expect(values.count > 40)
    }

    @Test func curvesOfEachClassHaveAThousandPointsOrSo() {
        #expect(EventFile.stretch(iterations: 80) == 1)
        #expect(EventFile.stretch(iterations: 40_000) == 40)
        for iterations in [1, 999, 1000, 1999, 2000, 160_000] {
            #expect(iterations / Int(EventFile.stretch(iterations: iterations)) < 2000)
        }
    }

    @Test func eachStartBeginsAFileOfItsOwn() throws {
        _ = file(after: 0)
        _ = file(after: 24)
        #expect(names == ["events.out.tfevents.0000000001.picoflow", "events.out.tfevents.0000000002.picoflow"])
        let start = EventRecord.start(after: 24).encoded(wallTime: 1.5)
        #expect(start.suffix(6) == [0x10, 25, 0x3a, 2, 0x08, 1])
        #expect(try bytes(names[1]).dropLast(4).suffix(start.count) == start[...])
    }

    @Test func numbersAreWrittenTogetherAndTextAtOnce() throws {
        var now = 0.0
        let file = EventFile(folder: folder("e"), continuingAfter: nil, clock: { now }, onTrouble: { _ in })
        let begun = try bytes(names[0]).count
        file.scalars([("a", 1)], step: 1)
        #expect(try bytes(names[0]).count == begun)
        now = 1
        file.scalars([("a", 2)], step: 2)
        let both = try bytes(names[0]).count
        #expect(both > begun)
        file.text("t", "now", step: 2)
        #expect(try bytes(names[0]).count > both)
        file.scalars([("a", 3)], step: 3)
        for step in 4..<3000 as Range<UInt64> { file.scalars([("a", 3)], step: step) }
        #expect(try bytes(names[0]).count > 64 << 10)
    }

    @Test func whatKeepsItFromBeingWrittenIsToldOnce() throws {
        try folder.write("in the way", to: "e")
        var told: [String] = []
        let file = file { told.append($0) }
        for step in 1...3 as ClosedRange<UInt64> { file.text("t", "x", step: step) }
        #expect(told.count == 1 && told[0].hasPrefix("no TensorBoard events: "), "\(told)")
    }

    @Test(.enabled(if: TensorBoard.isThere, "the tensorboard package is needed"))
    func tensorBoardReadsItBack() throws {
        func metrics(_ step: UInt64, _ ce: Double) -> StepMetrics {
            StepMetrics(step: step, lr: 0.25, ce: ce, nce: step > 1 ? .nan : nil, imagesPerSecond: 8)
        }
        do {
            let first = file(after: 0)
            for step in 1...5 as ClosedRange<UInt64> { first.append(metrics(step, 1), lambda: 1) }
            first.text("swaps", "to **hardest** – ab Schritt 3", step: 3)
        }
        let second = file(after: 3)
        for step in 4...6 as ClosedRange<UInt64> { second.append(metrics(step, 2), lambda: 1) }
        second.flush()
        #expect(
            try TensorBoard.read(folder("e")) == """
                lr [(1, 0.25), (2, 0.25), (3, 0.25), (4, 0.25), (5, 0.25), (6, 0.25)]
                loss/cross-entropy [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0), (5, 2.0), (6, 2.0)]
                loss/contrast [(2, nan), (3, nan), (4, nan), (5, nan), (6, nan)]
                swaps text [(3, 'to **hardest** – ab Schritt 3')]

                """)
    }
}

/// TensorBoard's own reader, in the Python of the PATH.
private enum TensorBoard {
    static let isThere = Python.has("tensorboard")

    static func read(_ folder: String) throws -> String { try Python.run(["-c", script, folder]) }

    private static let script = """
        import sys
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        found = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "tensors": 0})
        found.Reload()
        for tag in ("lr", "loss/cross-entropy", "loss/contrast"):
            print(tag, [(e.step, e.value) for e in found.Scalars(tag)])
        plugin = found.SummaryMetadata("swaps").plugin_data.plugin_name
        print("swaps", plugin, [(e.step, e.tensor_proto.string_val[0].decode()) for e in found.Tensors("swaps")])
        """
}
