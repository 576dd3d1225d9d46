import Basics
import Configuration
import Datasets
import Foundation
import Imaging
import Models
import NN
import StageKit
import Tensors
import Testing
import Wire

@testable import EvaluatorStage

@Suite struct EvaluatorTests {
    /// Scores each pixel by its colour alone: class 0 red, 1 green, 2 blue. Mirroring it changes nothing.
    private final class ColorNetwork: Module, SegmentationNetwork {
        let inputNormalization = InputNormalization(mean: [0, 0, 0], std: [1, 1, 1])
        let alignCorners = false
        let classes = 3
        let pixelChannels = 3
        var projection: ProjectionHead?
        /// How far scores are shifted to the right, as only a network that sees a mirrored image differently does it.
        var shift = 0
        private(set) var sizes: [[Int]] = []

        func features(_ images: Tensor) throws -> [Tensor] {
            sizes.append(Array(images.shape[2...]))
            return [try images.roll([shift], dims: [3])]
        }
        func decode(_ features: [Tensor]) throws -> Decoded {
            Decoded(scores: Scores(main: try features[0] * 4.0))
        }
        func initializeWeights(seed: UInt64) throws {}
        var publishedBackbone: PublishedBackbone? { nil }
    }

    private func settings(_ scales: [Float], flip: Bool = false) -> EvaluationSettings {
        var settings = EvaluationSettings()
        settings.scales = scales
        settings.flip = flip
        return settings
    }

    /// Left third red, middle green, right blue: asymmetric.
    private func stripes(_ width: Int, _ height: Int) -> Image {
        Image(width: width, height: height) { target in
            for i in 0..<width * height {
                let stripe = i % width * 3 / width
                for channel in 0..<3 { target[3 * i + channel] = stripe == channel ? 250 : 5 }
            }
        }
    }

    private func classes(_ labels: LabelMap) -> [UInt8] { labels.values.array() }

    @Test(arguments: [([1] as [Float], false), ([1], true), ([0.5, 1, 1.5], false), ([0.5, 1, 1.5], true)])
    func stripesAreFoundAtEveryScaleAndMirrored(_ scales: [Float], _ flip: Bool) throws {
        let network = ColorNetwork()
        let labels = try Inference(network: network, settings: settings(scales, flip: flip)).labels(of: stripes(30, 8))
        #expect(labels.width == 30 && labels.height == 8)
        let third: [UInt8] = (0..<240).map { (index: Int) -> UInt8 in UInt8(index % 30 / 10) }
        #expect(classes(labels) == third)
        let expected = scales.flatMap { scale in
            Array(repeating: [Int((8 * scale).rounded()), Int((30 * scale).rounded())], count: flip ? 2 : 1)
        }
        #expect(network.sizes == expected)
    }

    @Test func mirroredPassesAreMirroredBack() throws {
        let network = ColorNetwork()
        network.shift = 3
        // Shifted right by 3 in one pass, left by 3 in the other: their mean is symmetric about the stripe's border.
        let both = try Inference(network: network, settings: settings([1], flip: true)).probabilities(
            of: stripes(30, 2))
        let values = try both.array(of: Float.self)
        let red = Array(values[0..<30])
        #expect(red[6] > 0.9)
        #expect(red[14] < 0.1)
        let asymmetry: Float = abs(red[8] - red[11])
        let offset: Float = abs(red[8] - 0.5)
        #expect(asymmetry < 1e-5)
        #expect(offset < 0.05)
    }

    @Test func probabilitiesSumToOne() throws {
        for settings in [settings([1]), settings([0.75, 1.25], flip: true)] {
            let probabilities = try Inference(network: ColorNetwork(), settings: settings).probabilities(
                of: stripes(17, 9))
            #expect(probabilities.shape == [1, 3, 9, 17])
            let sums = try probabilities.sum(dims: [1]).array(of: Float.self)
            #expect(sums.allSatisfy { abs($0 - 1) < 1e-5 })
        }
    }

    // MARK: Sliding window

    @Test func windowsCoverEverySideWithoutGaps() {
        for window in 1...40 {
            for length in 1...130 {
                let starts = SlidingWindow.starts(covering: length, window: window)
                guard length > window else {
                    #expect(starts == [0])
                    continue
                }
                #expect(starts.first == 0 && starts.last == length - window)
                let gaps = zip(starts, starts.dropFirst()).map { $1 - $0 }
                // Neighbours overlap by about a third; windows of one or two pixels have no third.
                #expect(gaps.allSatisfy { $0 > 0 && $0 <= max(1, (2 * window + 1) / 3) }, "\(window) on \(length)")
            }
        }
        // Published configurations: a crop of 512 moved by 341, one of 769 by 513.
        #expect(SlidingWindow.starts(covering: 1024, window: 512) == [0, 341, 512])
        #expect(SlidingWindow.starts(covering: 2049, window: 769) == [0, 513, 1026, 1280])
    }

    /// Scores that depend on where in its window a pixel is: of class 0 the pixel's column, of class 1 its row.
    private final class PlaceNetwork: Module, SegmentationNetwork {
        let inputNormalization = InputNormalization(mean: [0, 0, 0], std: [1, 1, 1])
        let alignCorners = false
        let classes = 3
        let pixelChannels = 3
        var projection: ProjectionHead?
        private(set) var sizes: [[Int]] = []

        func features(_ images: Tensor) throws -> [Tensor] {
            let (height, width) = (images.size(2), images.size(3))
            sizes.append([height, width])
            let columns = try Tensor.arange(width, dtype: .float32).reshape([1, 1, 1, width]).expand([
                1, 1, height, width,
            ])
            let rows = try Tensor.arange(height, dtype: .float32).reshape([1, 1, height, 1]).expand([
                1, 1, height, width,
            ])
            return [try Tensor.cat([columns * 0.1, rows * 0.1, images.narrow(dim: 1, start: 0, length: 1)], dim: 1)]
        }
        func decode(_ features: [Tensor]) throws -> Decoded {
            Decoded(scores: Scores(main: features[0]))
        }
        func initializeWeights(seed: UInt64) throws {}
        var publishedBackbone: PublishedBackbone? { nil }
    }

    @Test func overlappingWindowsAreAveraged() throws {
        let network = PlaceNetwork()
        let (width, height, window) = (19, 11, (height: 6, width: 8))
        let image = Image(width: width, height: height) { target in
            for i in 0..<target.count { target[i] = UInt8(truncatingIfNeeded: 37 * i + i / 7) }
        }
        let found = try Inference(network: network, settings: settings([1]), window: [window.height, window.width])
            .probabilities(of: image).array(of: Float.self)
        // Strides are 4 of 6 rows and 5 of 8 columns.
        let (rows, columns) = ([0, 4, 5], [0, 5, 10, 11])
        #expect(network.sizes == Array(repeating: [window.height, window.width], count: rows.count * columns.count))
        let red = image.pixels.array() as [UInt8]
        for y in 0..<height {
            for x in 0..<width {
                var sum: [Double] = [0, 0, 0]
                var count = 0.0
                for row in rows where (row..<row + window.height).contains(y) {
                    for column in columns where (column..<column + window.width).contains(x) {
                        sum[0] += 0.1 * Double(x - column)
                        sum[1] += 0.1 * Double(y - row)
                        sum[2] += Double(red[3 * (y * width + x)]) / 255
                        count += 1
                    }
                }
                let exponentials = sum.map { exp($0 / count) }
                for c in 0..<3 {
                    let expected = Float(exponentials[c] / exponentials.reduce(0, +))
                    #expect(abs(found[(c * height + y) * width + x] - expected) < 1e-5, "class \(c) at \(x), \(y)")
                }
            }
        }
    }

    /// Pixels decide alone here, so windows change nothing; and only what exceeds a window is cut.
    @Test func windowsAreOfTheScaledImage() throws {
        let network = ColorNetwork()
        let inference = try Inference(network: network, settings: settings([0.5, 1, 2], flip: true), window: [8, 20])
        let labels = try inference.labels(of: stripes(30, 8))
        let third: [UInt8] = (0..<240).map { (index: Int) -> UInt8 in UInt8(index % 30 / 10) }
        #expect(classes(labels) == third)
        // 15x4 fits; 30x8 takes two windows of 20x8; 60x16 takes 5 columns, 13 apart, of 3 rows, 5 apart.
        let counts = network.sizes.reduce(into: [[Int]: Int]()) { $0[$1, default: 0] += 1 }
        #expect(counts == [[4, 15]: 2, [8, 20]: 2 * 2 + 2 * 5 * 3])
        for window in [[8], [0, 8], [8, -1]] {
            #expect(throws: UserError.self) {
                try Inference(network: network, settings: settings([1]), window: window)
            }
        }
    }

    @Test(arguments: [[], [0], [-1], [.nan], [9]] as [[Float]]) func impossibleScalesAreRefused(_ scales: [Float])
        throws
    {
        let error = #expect(throws: UserError.self) {
            _ = try Inference(network: ColorNetwork(), settings: settings(scales))
        }
        #expect(error?.description.hasPrefix("evaluate.scales") == true)
    }

    // MARK: Tickets and jobs, on files

    /// A run with one checkpoint of random weights, and a dataset of two images.
    final class Files {
        let path: String
        let recipe: Recipe
        var run: String { path + "/run" }
        var checkpoint: String { run + "/checkpoints/step-000002" }
        /// How jobs are told of them.
        var arguments: [String] { ["--run", run, "--checkpoint", checkpoint] }

        init() throws {
            path = FileManager.default.temporaryDirectory.appendingPathComponent("evaluator-\(UUID().uuidString)").path
            for folder in ["data/train", "data/trainannot", "data/val", "data/valannot", "run/checkpoints/step-000002"]
            {
                try FileManager.default.createDirectory(atPath: "\(path)/\(folder)", withIntermediateDirectories: true)
            }
            for split in ["train", "val"] {
                for index in 0..<2 {
                    let image = Image(width: 40, height: 24) { target in
                        for i in 0..<target.count { target[i] = UInt8(truncatingIfNeeded: i * (7 + index)) }
                    }
                    let label = LabelMap(width: 40, height: 24) { target in
                        for i in 0..<target.count { target[i] = UInt8(i % 12) }  // 11 is CamVid's ignore label
                    }
                    try ImageFile.write(PNG.encode(image), to: "\(path)/data/\(split)/scene\(index).png")
                    try ImageFile.write(PNG.encode(label), to: "\(path)/data/\(split)annot/scene\(index).png")
                }
            }
            var recipe = Recipe()
            recipe.dataset.root = path + "/data"
            recipe.model.embedding = 8
            self.recipe = recipe
            try DurableFile.write(recipe.yaml(), to: run + "/recipe.yaml")
            try DurableFile.write("{\"step\": 2}", to: checkpoint + "/manifest.json")
            let network = try Network.initial(recipe.model, classes: 11, seed: 4, projecting: true)
            try Safetensors.write(network.stateDict(), to: Network.weightsFile(checkpoint))
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func ticket(_ image: Int) -> EvaluationTicket {
            EvaluationTicket(
                image: image, split: "val", dataset: recipe.dataset, model: recipe.model, evaluation: recipe.evaluate,
                checkpoint: checkpoint)
        }
    }

    /// An evaluator that begins later, when files have come or gone, would count other images than the numbers mean.
    @Test func otherFilesThanTheConsumersAreRefused() throws {
        let files = try Files()
        var ticket = files.ticket(0)
        ticket.digest = try Dataset.open(ticket.dataset).digest(of: "val")
        #expect(try EvaluationWork(device: .cpu).execute(ticket).confusion != nil)
        ticket.digest = "another"
        let error = #expect(throws: UserError.self) { try EvaluationWork(device: .cpu).execute(ticket) }
        #expect(error.map { "\($0)".contains("split 'val' has other files") } == true)
    }

    @Test func ticketsGiveTheImagesConfusionInAnyOrder() throws {
        let files = try Files()
        func matrix(_ work: EvaluationWork, _ image: Int) throws -> [Int64] {
            let output = try Evaluator.execute(files.ticket(image), work)
            let tensor = try #require(output.tensors.first)
            #expect(tensor.name == "confusion" && tensor.dtype == .int64 && tensor.shape == [11, 11])
            return tensor.bytes.array()
        }
        let one = EvaluationWork(device: .cpu)
        let other = EvaluationWork(device: .cpu)
        let forth = try [matrix(one, 0), matrix(one, 1)]
        let back = try [matrix(other, 1), matrix(other, 0)]
        #expect(forth == back.reversed())
        // 960 pixels, every twelfth ignored.
        #expect(forth.allSatisfy { $0.reduce(0, +) == 880 })
    }

    @Test func ticketsGetThePredictionsTheyAskFor() throws {
        let files = try Files()
        var ticket = files.ticket(1)
        ticket.returnsLabels = true
        ticket.measures = false
        ticket.window = [24, 24]
        // Nothing of a label map is read.
        try FileManager.default.removeItem(atPath: files.path + "/data/val/scene1.png")
        try FileManager.default.copyItem(
            atPath: files.path + "/data/val/scene0.png", toPath: files.path + "/data/val/scene1.png")
        try ImageFile.write([1], to: files.path + "/data/valannot/scene1.png")
        let output = try Evaluator.execute(ticket, EvaluationWork(device: .cpu))
        let network = try Network.trained(files.recipe.model, classes: 11, checkpoint: files.checkpoint)
        let expected = try Inference(network: network, settings: files.recipe.evaluate, window: [24, 24]).labels(
            of: ImageFile.readImage(files.path + "/data/val/scene0.png"))
        #expect(output.tensors.map(\.name) == ["labels"])
        let labels = try #require(output.tensors.first)
        #expect(labels.dtype == .uint8 && labels.shape == [24, 40])
        #expect(labels.bytes.array() as [UInt8] == classes(expected))
    }

    @Test func ticketsThatCannotBeNameTheReason() throws {
        let files = try Files()
        func message(_ ticket: EvaluationTicket) -> String {
            do {
                _ = try EvaluationWork(device: .cpu).execute(ticket)
                return "no error"
            } catch { return "\(error)" }
        }
        #expect(message(files.ticket(2)) == "split 'val' has 2 images; there is no image 2")
        var elsewhere = files.ticket(0)
        elsewhere.checkpoint = files.path + "/none"
        #expect(message(elsewhere).contains(files.path + "/none/model.safetensors"))
        try ImageFile.write([1, 2, 3], to: files.path + "/data/val/scene1.png")
        #expect(message(files.ticket(1)).contains("scene1.png"))
    }

    @Test func predictWritesOverlaysAndExplainsTheColours() throws {
        let files = try Files()
        let images = (0..<2).map { "\(files.path)/data/val/scene\($0).png" }
        var lines: [String] = []
        // The run knows its classes even where the dataset has gone.
        let summary = DatasetSummary(
            classes: (0..<11).map { "kind\($0)" }, palette: Palette.camvid.map { [$0.red, $0.green, $0.blue] },
            images: 2)
        try DurableFile.write(
            String(decoding: JSONEncoder().encode(summary), as: UTF8.self), to: files.run + "/dataset.json")
        try PredictJob.run(
            PredictJob.Options(arguments: files.arguments + ["--out", files.path + "/out"] + images)
        ) { lines.append($0) }
        #expect(lines.count == 3)
        #expect(lines[0].hasPrefix("classes: kind0 #808080, kind1 #800000"))
        for index in 0..<2 {
            let overlay = try ImageFile.readImage("\(files.path)/out/scene\(index)-overlay.png")
            #expect(overlay.width == 40 && overlay.height == 24)
            #expect(try overlay != ImageFile.readImage(images[index]))
            #expect(lines[index + 1].contains("scene\(index)-overlay.png: kind"))
        }
    }

    @Test func predictWritesLabelMapsButOverNoImage() throws {
        let files = try Files()
        let image = files.path + "/data/val/scene0.png"
        func predict(_ labels: String) throws {
            try PredictJob.run(
                PredictJob.Options(
                    arguments: files.arguments + ["--out", files.path + "/out", "--labels", labels, image])
            ) { _ in }
        }
        try predict(files.path + "/labels")
        let written = try ImageFile.readLabels(files.path + "/labels/scene0.png")
        let network = try Network.trained(files.recipe.model, classes: 11, checkpoint: files.checkpoint)
        let expected = try Inference(network: network, settings: files.recipe.evaluate).labels(
            of: ImageFile.readImage(image))
        #expect(classes(written) == classes(expected))
        let error = #expect(throws: UserError.self) { try predict(files.path + "/data/../data/val") }
        #expect(error?.description.contains("would be overwritten") == true)
        // Nor by another name of their folder.
        let link = files.path + "/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: files.path + "/data/val")
        let linked = #expect(throws: UserError.self) { try predict(link) }
        #expect(linked?.description.contains("would be overwritten") == true)
    }

    @Test func wrongPredictionRequestsAreExplained() throws {
        let files = try Files()
        func message(_ arguments: [String]) -> String {
            do {
                try PredictJob.run(PredictJob.Options(arguments: arguments)) { _ in }
                return "no error"
            } catch { return "\(error)" }
        }
        let common = files.arguments + ["--out", files.path + "/out"]
        #expect(message(common) == "predict needs at least one image")
        #expect(message(["--rum", "x"]) == "unknown option '--rum'; did you mean '--run'?")
        #expect(message(["--run"]) == "--run needs a value")
        #expect(message(["a.png"]) == "--run is missing")
        #expect(message(["--run", files.run, "--out", "o", "a.png"]) == "--checkpoint is missing")
        #expect(message(common + ["--threads", "0", "a.png"]) == "--threads 0 is no positive number")
        #expect(message(common + ["a/x.png", "b/x.jpg"]).contains("would both be written to"))
        #expect(message(common + [files.path + "/absent.png"]).contains("absent.png"))
        #expect(message(common + ["--run", files.path + "/other", "a.png"]).contains(files.path + "/other"))
        try DurableFile.write("{}", to: files.run + "/dataset.json")
        #expect(message(common + ["a.png"]).contains("dataset.json: is no description of a dataset"))
    }

    @Test func exportSaysWhatItWrote() throws {
        let files = try Files()
        let target = files.path + "/network.safetensors"
        let reference = files.path + "/reference.safetensors"
        let exported = try EvaluatorMain.export(files.arguments + ["--to", target, "--reference", reference])
        #expect(exported.lines.count == 2 && exported.lines[0].hasPrefix(target))
        let facts = try JSONSerialization.jsonObject(with: JSONEncoder().encode(exported)) as? [String: String]
        #expect(
            facts == [
                "checkpoint": files.checkpoint, "file": target, "format": "safetensors", "reference": reference,
            ])
        #expect(try SafetensorsFile(path: reference).description(of: "logits")?.shape == [1, 11, 129, 97])
        #expect(try Safetensors.read(target).names.allSatisfy { !$0.hasPrefix("projection.") })
    }

    /// As many positions may be of several grids: what is written for `model.pretrained` says of which.
    @Test func importSaysTheGridOfPositions() throws {
        let files = try Files()
        var recipe = files.recipe
        recipe.model.head = .segmenter
        recipe.model.backbone = .vitt16
        recipe.model.width = 0.25
        recipe.model.imageSize = [144, 256]
        let (file, taken) = (files.path + "/network.safetensors", files.path + "/taken.safetensors")
        try DurableFile.write(recipe.yaml(), to: files.path + "/recipe.yaml")
        let network = try Network.initial(recipe.model, classes: 11, seed: 4, projecting: false)
        try Safetensors.write(network.stateDict(), to: file)
        let options = try ImportJob.Options(arguments: [
            file, "--recipe", files.path + "/recipe.yaml", "--output", taken,
        ])
        try ImportJob.run(options, report: { _ in })
        #expect(try Safetensors.read(taken).metadata == ["format": "pt", "position_grid": "9x16"])
    }

    /// A training from what is written takes as much as one from the file itself: a head without its classifier is none.
    @Test func importOfOtherClassesKeepsHeadAndProjection() throws {
        let files = try Files()
        let model = files.recipe.model
        let (file, written) = (files.path + "/network.safetensors", files.path + "/written.safetensors")
        let network = try Network.initial(model, classes: 19, seed: 4, projecting: true)
        try Safetensors.write(network.stateDict(), to: file)
        let facts = try ImportJob.run(
            ImportJob.Options(arguments: [file, "--recipe", files.run + "/recipe.yaml", "--output", written]),
            report: { _ in })
        func taken(_ path: String) throws -> [String] {
            try Network.make(model, classes: 11, projecting: true).loadPretrained(path, model).names
        }
        let names = try taken(file)
        #expect(names.contains { $0.hasPrefix("projection.") } && names.contains { $0.hasPrefix("classifier.") })
        #expect(try taken(written) == names)
        #expect(facts.taken?.loaded == names)
    }

    /// Whoever uses the network elsewhere must resize images as the run does.
    @Test func exportSaysAtWhichScaleTheRunSeesImages() throws {
        let files = try Files()
        var recipe = files.recipe
        let target = files.path + "/network.safetensors"
        for (scales, expected) in [([0.5], 0.5), ([1], nil), ([0.5, 1], nil)] as [([Float], Float?)] {
            recipe.evaluate.scales = scales
            try DurableFile.write(recipe.yaml(), to: files.run + "/recipe.yaml")
            let exported = try EvaluatorMain.export(files.arguments + ["--to", target])
            #expect(exported.scale == expected && exported.lines.count == (expected == nil ? 1 : 2))
        }
    }

    @Test func fingerprintIsRepeatable() throws {
        let fingerprint = try EvaluatorFingerprint.compute()
        #expect(try fingerprint == EvaluatorFingerprint.compute())
        #expect(fingerprint.versions[Fingerprint.bf16]?.count == 12)
    }
}
