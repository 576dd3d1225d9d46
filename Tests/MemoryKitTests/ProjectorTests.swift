import Contrast
import Foundation
import TestSupport
import Testing
import Wire

@testable import BankStage
@testable import MemoryKit
@testable import StageKit

@Suite struct ProjectorTests {
    private let folder = try! TemporaryFolder("projector")

    /// Class 0 has many pixels and some regions, class 1 few of both, class 2 nothing. Every row is told from all others by
    /// its direction.
    private func memory() throws -> Memory {
        let shape = try MemoryShape(classes: 3, dimension: 2, pixelCapacity: 100, regionCapacity: 50, images: 50)
        var memory = Memory(shape: shape)
        func fill(_ c: Int, _ part: MemoryPart, _ count: Int) throws {
            let rows = (0..<count).flatMap { slot -> [Float] in
                let angle = Float(c * 1000 + Int(part.rawValue) * 500 + slot) / 400
                return [Foundation.cos(angle), Foundation.sin(angle)]
            }
            try rows.withUnsafeBufferPointer {
                try memory.apply(
                    (0..<count).map { SlotWrite(classID: ClassID(c), part: part, slot: $0, row: $0) }, rows: $0,
                    dimension: 2)
            }
        }
        try fill(0, .pixels, 100)
        try fill(0, .regions, 50)
        try fill(1, .pixels, 3)
        try fill(1, .regions, 1)
        return memory
    }

    @Test func classesHaveEqualSharesSpreadOverTheirSlots() throws {
        let memory = try memory()
        let files = ProjectorFiles(memory, classes: ["sky", "road\tx", "car"], step: 7, limit: 60)
        let sky = files.labels.filter { $0.name == "sky" }
        #expect(sky.count == 20)
        #expect(sky.filter { $0.part == .pixels }.map(\.slot) == (0..<15).map { $0 * 100 / 15 })
        #expect(sky.filter { $0.part == .regions }.map(\.slot) == [0, 10, 20, 30, 40])
        #expect(files.labels.filter { $0.name != "sky" }.map(\.slot) == [0, 1, 2, 0])
        for (place, label) in files.labels.enumerated() {
            let row = Array(files.rows[2 * place..<2 * place + 2])
            #expect(row == memory.vector(ClassID(label.name == "sky" ? 0 : 1), label.part, slot: label.slot))
        }
        #expect(files.metadata.hasPrefix("class\tpart\tslot\nsky\tpixels\t0\n"))
        #expect(files.metadata.contains("road x\tregions\t0\n"))
    }

    @Test func aFolderHoldsTheNewestAlone() throws {
        let memory = try memory()
        for step in [7, 24] as [UInt64] {
            try ProjectorFiles(memory, classes: ["sky", "road", "car"], step: step).write(to: folder.path)
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(names == ["memory-step-000024.bytes", "memory-step-000024.tsv", "projector_config.pbtxt"])
        #expect(folder.read("projector_config.pbtxt")?.contains("tensor_path: \"memory-step-000024.bytes\"") == true)
        #expect(FileManager.default.contents(atPath: folder("memory-step-000024.bytes"))?.count == 154 * 2 * 4)
    }

    /// The memory is decided as without anybody who looks, also where nothing can be written.
    @Test func whoeverLooksChangesNothing() throws {
        try folder.write("in the way", to: "file")
        nonisolated(unsafe) var told: [String] = []
        let telemetry = MemoryTelemetry(
            folder: folder("file"), classes: ["a", "b"], continuingAfter: 0, iterations: 3,
            onTrouble: { told.append($0) })
        let shape = try MemoryShape(classes: 2, dimension: 2, pixelCapacity: 3, regionCapacity: 2, images: 4)
        var plain = MemoryReducer(shape: shape)
        var watched = WatchedMemory(MemoryReducer(shape: shape), telemetry: telemetry)
        for step in 1...3 as ClosedRange<UInt64> {
            let record = MemoryRecord(
                step: step, images: [Int(step)], dimension: 2, pixelClasses: [0, 1], regionClasses: [1],
                regionImages: [Int32(step)], rows: [1, 0, 0, 1, 0.6, 0.8])
            let sequence = SequenceNumber(step)
            let physical = try plain.reduce(record.encode(), at: sequence)
            #expect(try watched.reduce(record.encode(), at: sequence).digest() == physical.digest())
        }
        func bytes(_ reducer: some LogReducer) throws -> [String] {
            var parts: [String] = []
            try reducer.writeSnapshot { parts.append(try $0.digest()) }
            return parts
        }
        #expect(try bytes(watched) == bytes(plain))
        #expect(told.count == 1 && told[0].hasPrefix("no TensorBoard events: "), "\(told)")
    }
}
