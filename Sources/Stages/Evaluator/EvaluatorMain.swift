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
/// picoflow-evaluator predict --run DIR --out DIR [--labels DIR] [--checkpoint DIR] [--threads N] [--device cpu|cuda:N] IMAGE…
/// picoflow-evaluator export --run DIR --to FILE [--checkpoint DIR] [--reference FILE]
/// picoflow-evaluator networks < QUESTIONS > ANSWERS
/// ```
public enum EvaluatorMain {
    public static func run(_ arguments: [String] = Array(CommandLine.arguments.dropFirst())) -> Never {
        let rest = Array(arguments.dropFirst())
        switch arguments.first {
        case "predict":
            job { try PredictJob.run(PredictJob.Options(arguments: rest)) { line in print(line) } }
        case "export": job { print(try export(rest)) }
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
        let words = try JobArguments(arguments, options: ["--run", "--checkpoint", "--to", "--reference"])
        guard words.rest.isEmpty else { throw UserError("export takes no '\(words.rest[0])'") }
        let run = try words.required("--run")
        let to = try words.required("--to")
        let checkpoint = try words["--checkpoint"] ?? RunCheckpoints.newest(inRun: run)
        let line = try ExportJob.run(checkpoint: checkpoint, to: to)
        guard let reference = words["--reference"] else { return line }
        let recipe = try Recipe.resolve(path: run + "/recipe.yaml")
        return try line + "\n" + ExportJob.writeReference(recipe.model, checkpoint: checkpoint, to: reference)
    }
}

extension PredictJob.Options {
    /// Reads the words behind `predict`.
    ///
    /// - Throws: `UserError` for a missing, unknown or ill-formed one.
    public init(arguments: [String]) throws {
        let words = try JobArguments(
            arguments, options: ["--run", "--checkpoint", "--out", "--labels", "--threads", "--device"])
        try self.init(
            run: words.required("--run"), checkpoint: words["--checkpoint"], images: words.rest,
            out: words.required("--out"))
        labels = words["--labels"]
        if let text = words["--threads"] {
            guard let count = Int(text), count > 0 else { throw UserError("--threads \(text) is no positive number") }
            threads = count
        }
        if let text = words["--device"] { device = try Tensors.Device(parsing: text) }
    }
}

/// `--name value` pairs and other words, as `picoflow` passes them on.
struct JobArguments {
    private var values: [String: String] = [:]
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
            values[word] = value
        }
    }

    subscript(name: String) -> String? { values[name] }

    func required(_ name: String) throws -> String {
        guard let value = values[name] else { throw UserError("\(name) is missing") }
        return value
    }
}
