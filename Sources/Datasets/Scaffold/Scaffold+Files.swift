import Basics
import Foundation
import Imaging

extension Scaffold {
    /// Writes the dataset's description, lists of names where it needs them, a recipe and a topology.
    ///
    /// - Parameters:
    ///   - folder: is made if it is not there.
    ///   - processors: of the machine that will train.
    /// - Returns: the paths of recipe and topology.
    /// - Throws: `UserError` where one of the files is there already; nothing is written then.
    public func write(to folder: String, processors: Int) throws -> (recipe: String, topology: String) {
        var files = [
            ("dataset.yaml", description),
            ("recipe.yaml", recipe(description: Folders.join(absolutePath(folder), "dataset.yaml"))),
            ("topology.yaml", Self.topology(loaders: processors < 4 ? 1 : 2)),
        ]
        for split in splits where split.needsList {
            files.append((split.name + ".txt", split.names.joined(separator: "\n") + "\n"))
        }
        for (name, _) in files where FileManager.default.fileExists(atPath: Folders.join(folder, name)) {
            throw UserError("\(Folders.join(folder, name)): is there already; name another folder, or remove it")
        }
        try DurableFile.makeFolder(folder)
        for (name, text) in files { try ImageFile.write(Array(text.utf8), to: Folders.join(folder, name)) }
        return (Folders.join(folder, "recipe.yaml"), Folders.join(folder, "topology.yaml"))
    }

    /// What was decided, a line each, for the terminal.
    public var summary: String {
        var lines = splits.map { "\($0.name): \($0.names.count) images of \($0.images), labels of \($0.labels)" }
        let values = classes.prefix(12).map { String($0.value) }.joined(separator: ", ")
        lines.append("classes: \(classes.count), the label maps' values \(values)\(classes.count > 12 ? ", …" : "")")
        lines.append(ignore.map { "ignored: the value \($0)" } ?? "ignored: nothing; 255 is a mask's white")
        if reduction < 1 { lines.append("reduced: to \(number(reduction)) of their sides, in training and in use") }
        lines.append("crop: \(crop[0])x\(crop[1]) pixels, batch \(batch), \(iterations) iterations")
        if !leftOut.isEmpty {
            lines.append("left out: \(leftOut.count), such as \(leftOut[0])")
        }
        return (lines + warnings.map { "note: \($0)" }).joined(separator: "\n")
    }

    // MARK: The files' texts

    private var description: String {
        var lines = [
            "# Your images and label maps; docs/training.md says what else may stand here. Give the classes their names: reports and",
            "# pictures use them.", "classes:",
        ]
        for info in classes {
            let color = info.color
            lines.append(
                "  - {name: \(info.name), color: [\(color.red), \(color.green), \(color.blue)]}  # value \(info.value)"
            )
        }
        if let ignore {
            lines += ["", "# Left out of training and evaluation; a list of values is possible.", "ignore: \(ignore)"]
        }
        if !valuesAreNumbers {
            lines += ["", "# What the files' values mean: the place of a class above, from 0, or 'ignore'.", "labels:"]
            lines += classes.enumerated().map { "  \($1.value): \($0)" }
        }
        lines += ["", "splits:"]
        for split in splits {
            lines += [
                "  \(split.name):", "    images: \(Self.quoted(split.images))",
                "    labels: \(Self.quoted(split.labels))",
            ]
            // A list beside this file, unlike a copy of the images, can be edited.
            if split.needsList { lines.append("    list: \(split.name).txt") }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func recipe(description: String) -> String {
        var more = ""
        if reduction < 1 {
            more += """

                  # Photographs so much larger than a crop are seen reduced to \(number(reduction)), in training and in use.
                  scale: [\(number(reduction / 2)), \(number(2 * reduction))]

                evaluate:
                  scales: [\(number(reduction))]
                """
        }
        // A row is a KiB, and bank and miners have a copy each: what a GiB does not hold gets the limits of the large datasets.
        let isLarge = 10 * splits[0].names.count * classes.count > 1 << 20
        let limits = isLarge ? "\n  pixelQueue: 10000\n  regionCap: 2000" : ""
        return """
            # Trains on your own images by cross-entropy and pixel contrast. `picoflow recipe --keys` lists all there is to set.
            dataset:
              kind: folder
              description: \(Self.quoted(description))
              split: train
              evaluationSplit: val

            augmentation:
              crop: [\(crop[0]), \(crop[1])]     # height, width\(more)

            model:                  # `picoflow models` lists others
              head: deeplabv3
              backbone: mobilenetv2
              outputStride: 16
              atrousRates: [6, 12, 18]
              dropout: 0.1          # 0.5, the published one, slows so short a training
              # Weights of ImageNet, by their path: far better results. docs/training.md says where to get them. With them lr may be
              # a fifth of the one below, and contrast.lambda 1.
              # pretrained: mobilenet_v2-7ebf99e0.pth

            contrast:
              lambda: 0.1           # 1 is the paper's, from weights of ImageNet\(limits)

            sampler:
              strategy: random      # from weights of ImageNet semi-hard, the paper's; from random ones it draws all classes together

            schedule:
              iterations: \(iterations)
              batch: \(batch)
              optimizer: sgd
              lr: \(String(format: "%.5f", 0.05 * min(1, Double(batch) / 8)))           # high, for random weights; hence lrWarmup
              warmup: \(iterations / 8)            # contrast sets in then; `enabled: false` above trains without
              lrWarmup: \(max(20, iterations / 50))

            checkpoints:
              every: \(max(1, iterations / 10))

            """
    }

    /// With two digits at most.
    private func number(_ value: Double) -> String { "\((100 * value).rounded() / 100)" }

    private static func topology(loaders: Int) -> String {
        """
        # Everything on this machine. More of a stage: `--stage loader=3`, or `picoflow scale` while it runs.
        stages:
          loader: {replicas: \(loaders)}
          compute: {samples: loader, mining: miner, memory: bank, device: cpu}    # cuda:0 where there is a GPU
          bank:
          miner: {memory: bank}
          evaluator:

        """
    }

    /// In YAML's double quotes, which take any path.
    private static func quoted(_ text: String) -> String {
        "\"" + text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"") + "\""
    }
}
