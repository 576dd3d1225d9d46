import Basics
import Contrast
import Foundation
import StageKit

/// Some of a memory's embeddings as TensorBoard's projector reads them:
///
/// ```
/// projector_config.pbtxt     names the two others; written last, so that what it names is whole
/// memory-step-NNNNNN.bytes   Float32, [n, D], row-major
/// memory-step-NNNNNN.tsv     a line of column names, then class, part and slot of each row
/// ```
///
/// A folder holds the newest alone.
struct ProjectorFiles {
    let step: UInt64
    let dimension: Int
    private(set) var rows: [Float] = []
    /// `class`, `part`, `slot`, as many as rows.
    private(set) var labels: [(name: String, part: MemoryPart, slot: Int)] = []

    /// Most rows: what the projector's t-SNE and UMAP look at at most.
    static let limit = 5000

    /// Every class has the same share, a quarter of it for regions, spread evenly over the filled slots.
    init(_ memory: Memory, classes: [String], step: UInt64, limit: Int = ProjectorFiles.limit) {
        self.step = step
        dimension = memory.shape.dimension
        let share = max(1, limit / max(1, classes.count))
        for (c, name) in classes.enumerated() {
            let (pixels, regions) = (memory.filled(ClassID(c), .pixels), memory.filled(ClassID(c), .regions))
            let ofRegions = min(regions, max(share / 4, share - pixels))
            for (part, filled, count) in [
                (MemoryPart.pixels, pixels, min(pixels, share - ofRegions)), (.regions, regions, ofRegions),
            ] {
                for place in 0..<count {
                    let slot = place * filled / count
                    rows += memory.vector(ClassID(c), part, slot: slot)
                    labels.append((name, part, slot))
                }
            }
        }
    }

    private var stem: String { "memory-" + Checkpoint.folderName(step: step) }

    var metadata: String {
        // A tab or a line's end in a class's name would be another column or row.
        func plain(_ name: String) -> String {
            String(name.map { $0.isNewline || $0 == "\t" ? " " : $0 })
        }
        return "class\tpart\tslot\n"
            + labels.map { "\(plain($0.name))\t\($0.part)\t\($0.slot)\n" }.joined()
    }

    /// A `ProjectorConfig` of `tensorboard/plugins/projector/projector_config.proto`, as text.
    var config: String {
        """
        embeddings {
          tensor_name: "memory at step \(step)"
          tensor_path: "\(stem).bytes"
          tensor_shape: \(labels.count)
          tensor_shape: \(dimension)
          metadata_path: "\(stem).tsv"
        }

        """
    }

    /// Writes the files and removes those of earlier steps. Without a sync: nothing depends on them.
    func write(to folder: String) throws {
        func write(_ bytes: Data, _ name: String) throws {
            try bytes.write(to: URL(fileURLWithPath: folder + "/" + name), options: .atomic)
        }
        try write(rows.withUnsafeBytes { Data($0) }, stem + ".bytes")
        try write(Data(metadata.utf8), stem + ".tsv")
        try write(Data(config.utf8), "projector_config.pbtxt")
        for name in try FileManager.default.contentsOfDirectory(atPath: folder)
        where name.hasPrefix("memory-step-") && !name.hasPrefix(stem + ".") {
            try FileManager.default.removeItem(atPath: folder + "/" + name)
        }
    }
}
