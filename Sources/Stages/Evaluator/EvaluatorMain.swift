import Basics
import Configuration
import Foundation
import Models
import StageKit
import Tensors

#if canImport(Glibc)
    import Glibc
#endif

/// What `picoflow-evaluator` does: a stage of a run, or one of the jobs for which `picoflow` needs a network.
///
/// ```
/// picoflow-evaluator --control ENDPOINT --run NAME --stage NAME --id N
/// picoflow-evaluator predict --run DIR --out DIR [--labels DIR] [--side-by-side yes] [--legend yes] [--checkpoint DIR] [--threads N] [--device cpu|cuda:N] IMAGE…
/// picoflow-evaluator models [--size HxW] [--classes N] [--output-stride 8|16] [--json yes] [NAME…]
/// picoflow-evaluator export --run DIR --to FILE [--checkpoint DIR] [--format NAME [--size HxW]] [--reference FILE]
/// picoflow-evaluator import FILE [--recipe FILE [--set KEY=VALUE]… [--output FILE]]
/// picoflow-evaluator networks < QUESTIONS > ANSWERS
/// picoflow-evaluator doctor
/// ```
public enum EvaluatorMain {
    public static func run(_ arguments: [String] = Array(CommandLine.arguments.dropFirst())) -> Never {
        let rest = Array(arguments.dropFirst())
        switch arguments.first {
        case "predict":
            job { try PredictJob.run(PredictJob.Options(arguments: rest)) { line in print(line) } }
        case "doctor": job { print(try DoctorJob.run()) }
        case "export": job { print(try export(rest)) }
        case "models":
            job {
                try ModelsJob.run(rest) { line in
                    print(line)
                    fflush(nil)  // rows show as they come
                }
            }
        case "import": job { try ImportJob.run(ImportJob.Options(arguments: rest)) { line in print(line) } }
        case "networks":
            job { FileHandle.standardOutput.write(try NetworksJob.run(FileHandle.standardInput.readDataToEndOfFile())) }
        default:
            StageMain.run(.evaluator, fingerprint: EvaluatorFingerprint.compute) { runtime in
                try Evaluator(runtime).run()
            }
        }
    }

    private static func job(_ body: () throws -> Void) -> Never {
        do {
            try body()
        } catch {
            FileHandle.standardError.write(Data("picoflow: \(StageMain.oneLine(error))\n".utf8))
            exit(1)
        }
        exit(0)
    }

    /// `--reference` also writes an input and its logits, which `tools/check-export` compares PyTorch's with.
    static func export(_ arguments: [String]) throws -> String {
        let words = try JobArguments(
            arguments, options: ["--run", "--checkpoint", "--to", "--format", "--size", "--reference"])
        guard words.rest.isEmpty else { throw UserError("export takes no '\(words.rest[0])'") }
        let run = try words.required("--run")
        let to = try words.required("--to")
        let checkpoint = try words["--checkpoint"] ?? RunCheckpoints.newest(inRun: run)
        let format = words["--format"] ?? "safetensors"
        var lines: [String] = []
        switch format {
        case "safetensors": lines.append(try ExportJob.run(checkpoint: checkpoint, to: to))
        case "torchscript":
            let recipe = try Recipe.resolve(path: run + "/recipe.yaml")
            lines.append(
                try ExportJob.writeScript(
                    recipe.model, checkpoint: checkpoint, classes: PredictJob.classes(ofRun: run, recipe).map(\.name),
                    size: size(words["--size"], recipe), to: to))
        default: throw UserError("--format '\(format)' is none of safetensors, torchscript")
        }
        if let reference = words["--reference"] {
            let recipe = try Recipe.resolve(path: run + "/recipe.yaml")
            lines.append(try ExportJob.writeReference(recipe.model, checkpoint: checkpoint, to: reference))
        }
        return lines.joined(separator: "\n")
    }

    /// `HEIGHTxWIDTH`; the training's crop where nothing is said.
    private static func size(_ text: String?, _ recipe: Recipe) throws -> Size2D {
        guard let text else { return Size2D(recipe.augmentation.crop[0], recipe.augmentation.crop[1]) }
        let sides = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard sides.count == 2, let height = sides[0], let width = sides[1], height > 0, width > 0,
            max(height, width) <= 16384
        else { throw UserError("--size '\(text)' is no HEIGHTxWIDTH in pixels, for instance 360x480") }
        return Size2D(height, width)
    }
}

extension PredictJob.Options {
    /// Reads the words behind `predict`.
    ///
    /// - Throws: `UserError` for a missing, unknown or ill-formed one.
    public init(arguments: [String]) throws {
        let words = try JobArguments(
            arguments,
            options: [
                "--run", "--checkpoint", "--out", "--labels", "--side-by-side", "--legend", "--threads", "--device",
            ])
        try self.init(
            run: words.required("--run"), checkpoint: words["--checkpoint"], images: words.rest,
            out: words.required("--out"))
        labels = words["--labels"]
        sideBySide = words["--side-by-side"] == "yes"
        legend = words["--legend"] == "yes"
        if let text = words["--threads"] {
            guard let count = Int(text), count > 0 else { throw UserError("--threads \(text) is no positive number") }
            threads = count
        }
        if let text = words["--device"] { device = try Tensors.Device(parsing: text) }
    }
}

/// `--name value` pairs and other words, as `picoflow` passes them on.
struct JobArguments {
    private var values: [String: [String]] = [:]
    /// The words that belong to no option; all behind `--` are such.
    private(set) var rest: [String] = []

    init(_ arguments: [String], options: [String]) throws {
        var words = arguments[...]
        while let word = words.popFirst() {
            if word == "--" {
                rest += words
                return
            }
            guard word.hasPrefix("--") else {
                rest.append(word)
                continue
            }
            guard options.contains(word) else {
                throw UserError("unknown option '\(word)'\(suggestion(for: word, among: options))")
            }
            guard let value = words.popFirst() else { throw UserError("\(word) needs a value") }
            values[word, default: []].append(value)
        }
    }

    /// The last value, where an option is repeated.
    subscript(name: String) -> String? { values[name]?.last }

    /// All values of an option that may be repeated, in their order.
    func all(_ name: String) -> [String] { values[name] ?? [] }

    func required(_ name: String) throws -> String {
        guard let value = self[name] else { throw UserError("\(name) is missing") }
        return value
    }
}
