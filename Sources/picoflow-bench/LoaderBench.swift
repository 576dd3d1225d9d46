import ArgumentParser
import Basics
import BenchKit
import Datasets
import Foundation
import Imaging

/// `tools/bench loader`: processor time of making one training sample, beside decoding alone what the sample needs, and
/// beside other programs' in turns.
struct LoaderBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loader",
        abstract: "Processor time per training sample, beside decoding alone and another program's.",
        discussion: """
            Three datasets: images of CamVid's size as JPEG, of Cityscapes' as JPEG and as PNG, with label maps as PNG. They are \
            drawn by `picoflow data synthesize` unless folders hold real ones (train, trainannot).

            --peer names a program that is run in turns with ours, as PROGRAM --data DIR --backend NAME --crop H W --workers 0 \
            --batches N --repeats 1, and prints a JSON object with cpu_ms_per_image.
            """)

    @Option(help: "A folder with train and trainannot, JPEGs of 480x360.") var camvid: String?
    @Option(help: "A folder with train and trainannot, JPEGs of 2048x1024, which are also measured as PNGs.")
    var cityscapes: String?
    @Option(help: "Another program to measure in turns with ours.") var peer: String?
    @Option(help: "What the peer reads images with, separated by commas.") var backends = "pil,cv,dali"
    @Option(help: "Seconds of each of our measurements.") var seconds = 3.0
    @Option(help: "How often each measurement is made; medians are shown.") var rounds = 3
    @Flag(help: "Print all measurements as JSON.") var json = false
    @Flag(help: .private) var ratios = false

    struct Row: Codable {
        var name: String
        /// Height and width.
        var crop: [Int]
        var ours: [LoaderMeasurement]
        /// Milliseconds of processor time per image, by backend.
        var peers: [Peer]

        struct Peer: Codable {
            var backend: String
            var milliseconds: [Double]
        }
    }

    func validate() throws {
        guard seconds >= 0.1, seconds <= 600 else { throw ValidationError("--seconds takes 0.1 to 600") }
        guard (1...99).contains(rounds) else { throw ValidationError("--rounds takes 1 to 99") }
    }

    func run() throws {
        let scratch = try ScratchFolder()
        let names = peer == nil ? [] : backends.split(separator: ",").map(String.init)
        var rows: [Row] = []
        for (name, root, crop) in try folders(in: scratch.path) {
            var row = Row(name: name, crop: crop, ours: [], peers: names.map { .init(backend: $0, milliseconds: []) })
            for _ in 0..<rounds {
                Child.tell("\(name)")
                let arguments = ["--root", root, "--crop"] + crop.map(String.init) + ["--seconds", "\(seconds)"]
                row.ours.append(try Child.measure(["loader-case"] + arguments))
                for index in row.peers.indices {
                    Child.tell("\(name), \(row.peers[index].backend)")
                    do {
                        let time = try measurePeer(row.peers[index].backend, root, crop)
                        row.peers[index].milliseconds.append(time)
                    } catch {
                        // Not every program reads every format.
                        Child.tell("\(error)")
                    }
                }
            }
            rows.append(row)
        }
        Child.tell("")
        if ratios {
            return try Ratio.print(rows.map { Ratio("loader \($0.name)", $0.ours.map { $0.sample / $0.decode }) })
        }
        print(try json ? rows.prettyJSON() : Self.table(rows))
    }

    /// What is measured: name, folder, crop.
    private func folders(in scratch: String) throws -> [(String, String, [Int])] {
        let small = try camvid ?? synthesized(scratch + "/camvid", width: 480, height: 360, count: 40)
        let large = try cityscapes ?? synthesized(scratch + "/cityscapes", width: 2048, height: 1024, count: 16)
        for root in [small, large] {
            for name in try FileManager.default.contentsOfDirectory(atPath: root + "/train").sorted()
            where ![".jpg", ".jpeg"].contains(where: name.lowercased().hasSuffix) {
                throw UserError("\(root)/train/\(name): is no JPEG, and what is measured here is how JPEGs are read")
            }
        }
        let lossless = scratch + "/cityscapes-png"
        try copy(large, asPNGTo: lossless)
        return [
            ("camvid, JPEG", small, [360, 480]), ("cityscapes, JPEG", large, [512, 1024]),
            ("cityscapes, PNG", lossless, [512, 1024]),
        ]
    }

    private func synthesized(_ root: String, width: Int, height: Int, count: Int) throws -> String {
        Child.tell("drawing \(count) images of \(width)x\(height)")
        var options = Synthesizer.Options()
        (options.width, options.height, options.train, options.val) = (width, height, count, 1)
        _ = try Synthesizer.write(to: root, options: options)
        return root
    }

    private func copy(_ root: String, asPNGTo target: String) throws {
        let files = FileManager.default
        try files.createDirectory(atPath: target + "/train", withIntermediateDirectories: true)
        try files.copyItem(atPath: root + "/trainannot", toPath: target + "/trainannot")
        // What is not measured, but belongs to a dataset of this layout.
        for name in ["dataset.yaml", "val", "valannot"] where files.fileExists(atPath: "\(root)/\(name)") {
            try files.copyItem(atPath: "\(root)/\(name)", toPath: "\(target)/\(name)")
        }
        for name in try files.contentsOfDirectory(atPath: root + "/train").sorted() {
            Child.tell("writing PNGs: \(name)")
            let image = try ImageFile.readImage("\(root)/train/\(name)")
            let stem = (name as NSString).deletingPathExtension
            try ImageFile.write(PNG.encode(image), to: "\(target)/train/\(stem).png")
        }
    }

    private func measurePeer(_ backend: String, _ root: String, _ crop: [Int]) throws -> Double {
        struct Answer: Decodable { var cpu_ms_per_image: Double }
        let batches = crop[0] > 400 ? 8 : 40
        let answer: Answer = try Child.measure(
            command: try shellWords(peer ?? "") + [
                "--data", root, "--backend", backend, "--crop", "\(crop[0])", "\(crop[1])", "--workers", "0",
                "--batches", "\(batches)", "--repeats", "1",
            ])
        return answer.cpu_ms_per_image
    }

    static func table(_ rows: [Row]) -> String {
        let backends = rows.first?.peers.map(\.backend) ?? []
        return markdownTable(
            ["images", "crop", "ours, ms", "decoding alone, ms", "of it"]
                + backends.flatMap { ["\($0), ms", "\($0) / ours"] },
            rows.map { row in
                let ours = row.ours.map(\.sample)
                return [
                    row.name, "\(row.crop[1])x\(row.crop[0])", ours.summary(2), row.ours.map(\.decode).median.fixed(2),
                    row.ours.map { $0.sample / $0.decode }.median.fixed(2),
                ]
                    + row.peers.flatMap { peer in
                        [
                            peer.milliseconds.median.fixed(1),
                            zip(peer.milliseconds, ours).map { $0 / $1 }.median.fixed(1),
                        ]
                    }
            })
    }
}
