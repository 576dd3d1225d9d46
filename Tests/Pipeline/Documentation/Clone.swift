import Datasets
import Foundation
import Imaging
import TestSupport

/// A folder that looks like a clone of the repository which has been built, with the data that its documentation speaks of, all
/// of it small, for typing the documented commands in.
struct Clone {
    let play: Playground
    /// Where `Pipelines/two-hosts.yaml` listens in it.
    let port: UInt16

    /// The repository's root.
    static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../..").standardizedFileURL.path

    var path: String { play.folder.path }
    /// Inside, outside of what a clone holds: files of the tests' own.
    var scratch: String { play.folder("scratch") }

    init() throws {
        play = try Playground()
        port = try Pipeline.JoinTests.freePort()
        let executables = try PicoFlowProcess.executables()
        for folder in [".build", "home", "scratch", "stand-ins/bin", "Pipelines"] { try make(folder) }
        try link(".build/release", to: executables)

        // Nothing in a clone is written to but for what the commands make.
        let made = [".build", ".git", "Pipelines", "demo-data", "runs", "sweeps"]
        for name in try FileManager.default.contentsOfDirectory(atPath: Self.repository) where !made.contains(name) {
            if !name.hasPrefix(".build") { try link(name, to: Self.repository + "/" + name) }
        }
        // Loopback and a free port: others of this machine may use the documented one.
        for name in try FileManager.default.contentsOfDirectory(atPath: Self.repository + "/Pipelines") {
            let text = try String(contentsOfFile: Self.repository + "/Pipelines/" + name, encoding: .utf8)
            let here = text.replacingOccurrences(of: "tcp://*:5810", with: "tcp://127.0.0.1:\(port)")
            try play.folder.write(here, to: "Pipelines/" + name)
        }
        try writeData()
        try writeResNet(to: "resnet50.pth")
        try writeStandIns(executables)
    }

    // MARK: Data

    private func writeData() throws {
        try link("demo-data", to: play.data)
        try link("photos", to: play.data + "/train")
        try link("masks", to: play.data + "/trainannot")
        try link("photo.jpg", to: play.data + "/val/00000.jpg")
        // The same scenes in CamVid's tree, where void is 11.
        for (split, source) in [("train", "train"), ("val", "val"), ("test", "val")] {
            try make("data/camvid/\(split)annot")
            try link("data/camvid/" + split, to: play.data + "/" + source)
            for name in try FileManager.default.contentsOfDirectory(atPath: "\(play.data)/\(source)annot") {
                let label = try ImageFile.readLabels("\(play.data)/\(source)annot/\(name)")
                let values: [UInt8] = label.values.array()
                let voided = LabelMap(width: label.width, height: label.height) { target in
                    for (i, value) in values.enumerated() { target[i] = value == 255 ? 11 : value }
                }
                try ImageFile.write(PNG.encode(voided), to: play.folder("data/camvid/\(split)annot/\(name)"))
            }
        }
    }

    /// Weights of ResNet-50 under torchvision's names, all of them zero: a file with a hole for its tensors.
    ///
    /// The format is told by the content, not by the name.
    private func writeResNet(to name: String) throws {
        struct Case: Decodable {
            var state: [Entry]
            struct Entry: Decodable {
                var name: String
                var shape: [Int]
                init(from decoder: any Decoder) throws {
                    var parts = try decoder.unkeyedContainer()
                    name = try parts.decode(String.self)
                    shape = try parts.decode([Int].self)
                }
            }
        }
        let bytes = try Data(
            contentsOf: URL(fileURLWithPath: Self.repository + "/Tests/ModelsTests/Parity/resnet50.json"))
        var header: [String: Any] = [:]
        var end = 0
        for entry in try JSONDecoder().decode(Case.self, from: bytes).state {
            let isCount = entry.name.hasSuffix("num_batches_tracked")
            let begin = end
            end += entry.shape.reduce(isCount ? 8 : 4, *)
            header[entry.name] = [
                "dtype": isCount ? "I64" : "F32", "shape": entry.shape, "data_offsets": [begin, end],
            ]
        }
        var text = try JSONSerialization.data(withJSONObject: header, options: .sortedKeys)
        text.append(Data(repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8))
        let count = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Data($0) }
        try (count + text).write(to: URL(fileURLWithPath: play.folder(name)))
        guard truncate(play.folder(name), count.count + text.count + end) == 0 else {
            throw Trouble("\(name): \(String(cString: strerror(errno)))")
        }
    }

    // MARK: What stands in for what takes minutes

    /// `swift`, whose build is there already, and `picoflow`, whose launch has a few steps; for `tools/demo`.
    private func writeStandIns(_ executables: String) throws {
        try play.folder.write(
            """
            #!/bin/sh
            case "$*" in
            *--show-bin-path) echo '\(play.folder("stand-ins/bin"))' ;;
            build*) ;;
            --version) echo 'Swift version 6.2' ;;
            *) echo "no stand-in for swift $*" >&2; exit 1 ;;
            esac

            """, to: "stand-ins/swift", executable: true)
        try play.folder.write(
            """
            #!/bin/sh
            [ "$1" != launch ] || set -- "$@" --set schedule.iterations=4 --set schedule.warmup=1
            exec '\(executables)/picoflow' "$@"

            """, to: "stand-ins/bin/picoflow", executable: true)
    }

    private func make(_ folder: String) throws {
        try FileManager.default.createDirectory(atPath: play.folder(folder), withIntermediateDirectories: true)
    }

    private func link(_ name: String, to target: String) throws {
        try FileManager.default.createSymbolicLink(atPath: play.folder(name), withDestinationPath: target)
    }
}
