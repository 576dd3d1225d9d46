import Foundation
import Imaging
import MemoryKit
import StageKit

/// The memory of the newest checkpoint as points of a plane: its embeddings' two principal directions.
struct MemoryMap: Encodable {
    struct Class: Encodable {
        var name: String
        /// `#rrggbb`
        var color: String
        /// Filled slots.
        var pixels: Int
        var regions: Int
    }

    var step: UInt64
    var dimension: Int
    var classes: [Class]
    /// Which part of the variance each axis has.
    var shares: [Float]
    /// Of each point.
    var x: [Float]
    var y: [Float]
    var classIndex: [Int]
    var isRegion: [Bool]

    /// As many as an eye tells apart, and a browser draws at once.
    static let limit = 2000

    /// - Throws: where the snapshot cannot be read.
    init(snapshot path: String, dataset: DatasetSummary?) throws {
        let sample = try MemorySample(snapshot: path, limit: Self.limit)
        let plane = PrincipalPlane(sample.rows, dimension: sample.dimension)
        step = sample.step
        dimension = sample.dimension
        shares = [plane.shares.0, plane.shares.1]
        x = plane.places.map(\.x)
        y = plane.places.map(\.y)
        classIndex = sample.classes
        isRegion = sample.isRegion
        classes = sample.filled.enumerated().map { index, filled in
            let color = dataset.flatMap { $0.palette.indices.contains(index) ? $0.palette[index] : nil }
            return Class(
                name: dataset.flatMap { $0.classes.indices.contains(index) ? $0.classes[index] : nil } ?? "\(index)",
                color: (color.flatMap(RGB8.init(list:)) ?? RGB8(128, 128, 128)).hex, pixels: filled.pixels,
                regions: filled.regions)
        }
    }

    /// The newest checkpoint's snapshot; nil where none has one: a finished run keeps none.
    static func newestSnapshot(run: String) -> String? {
        for checkpoint in Checkpoint.list(in: run + "/checkpoints").reversed() {
            let path = checkpoint.path + "/bank.snapshot"
            if FileManager.default.fileExists(atPath: path) { return path }
        }
        return nil
    }
}
