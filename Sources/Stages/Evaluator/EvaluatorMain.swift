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
/// picoflow-evaluator predict --run DIR --checkpoint DIR --out DIR [--labels DIR] [--side-by-side yes] [--legend yes] [--set KEY=VALUE]… [--threads N] [--device cpu|cuda:N] IMAGE…
/// picoflow-evaluator models [--size HxW] [--classes N] [--output-stride 8|16] [NAME…]
/// picoflow-evaluator export --run DIR --checkpoint DIR --to FILE [--format NAME [--size HxW]] [--reference FILE]
/// picoflow-evaluator import FILE [--recipe FILE [--set KEY=VALUE]… [--output FILE]]
/// picoflow-evaluator networks < QUESTIONS > ANSWERS
/// picoflow-evaluator doctor
/// ```
///
/// Behind a job's name, `--json yes` has its result printed for programs, and `--quiet yes` nothing else said.
public enum EvaluatorMain {
    public static func run(_ arguments: [String] = Array(CommandLine.arguments.dropFirst())) -> Never {
        var rest = Array(arguments.dropFirst())
        let output = JobOutput(takenFrom: &rest)
        switch arguments.first {
        case "predict":
            job {
                var options = try PredictJob.Options(arguments: rest)
                // Not what OMP_NUM_THREADS says, which shells set for other programs.
                options.threads = options.threads ?? ProcessInfo.processInfo.activeProcessorCount
                let progress = output.progress("predicted")
                try output.finish(
                    PredictJob.run(options, note: output.note, progress: progress.show, report: output.line))
            }
        case "doctor": job { print(try DoctorJob.run()) }
        case "export":
            job {
                let exported = try export(rest, note: output.note)
                output.line(exported.lines.joined(separator: "\n"))
                try output.finish(exported)
            }
        case "models":
            job {
                let progress = output.progress("measured")
                try output.finish(ModelsJob.run(rest, progress: progress.show, write: output.line))
            }
        case "import":
            job {
                let progress = output.progress("compared with networks:")
                try output.finish(
                    ImportJob.run(ImportJob.Options(arguments: rest), progress: progress.show, report: output.line))
            }
        case "networks":
            job {
                let questions = FileHandle.standardInput.readDataToEndOfFile()
                let progress = output.progress("built networks:")
                print(String(decoding: try NetworksJob.run(questions, progress: progress.show), as: UTF8.self))
            }
        default:
            StageMain.run(.evaluator, fingerprint: EvaluatorFingerprint.compute) { runtime in
                try Evaluator(runtime).run()
            }
        }
    }

    private static func job(_ body: () throws -> Void) -> Never {
        do {
            try body()
            try flushStandardOutput()
        } catch {
            writeToStandardError("picoflow: \(errorLine(error))\n")
            exit(1)
        }
        exit(0)
    }

    /// What was written, for programs; `lines` say it to people.
    struct Exported: Encodable {
        var checkpoint: String
        var format: String
        var file: String
        /// TorchScript: of the images, height and width.
        var size: [Int]?
        var reference: String?
        /// Of images' sides, where the run sees them resized; absent where as they are.
        var scale: Float?
        var lines: [String] = []

        private enum CodingKeys: CodingKey { case checkpoint, format, file, size, reference, scale }
    }

    /// `--reference` also writes an input and its logits, which `tools/check-export` compares PyTorch's with.
    static func export(_ arguments: [String], note: (String) -> Void = { _ in }) throws -> Exported {
        let words = try JobArguments(
            arguments, options: ["--run", "--checkpoint", "--to", "--format", "--size", "--reference"])
        guard words.rest.isEmpty else { throw UserError("export takes no '\(words.rest[0])'") }
        let run = try words.required("--run")
        let checkpoint = try words.required("--checkpoint")
        let to = try words.required("--to")
        var exported = Exported(
            checkpoint: checkpoint, format: words["--format"] ?? "safetensors", file: to,
            reference: words["--reference"])
        let recipe = try Recipe.resolve(path: run + "/recipe.yaml")
        if let scale = recipe.evaluate.scales.first, recipe.evaluate.scales.count == 1, scale != 1 {
            exported.scale = scale
        }
        switch exported.format {
        case "safetensors": exported.lines.append(try ExportJob.run(checkpoint: checkpoint, to: to))
        case "torchscript":
            let crop = recipe.augmentation.crop
            let size = try words.size("--size", sides: 1...16384) ?? Size2D(crop[0], crop[1])
            note("recording the network as a program and comparing both, on images of \(size)")
            exported.size = size.list
            exported.lines.append(
                try ExportJob.writeScript(
                    recipe.model, checkpoint: checkpoint, classes: PredictJob.classes(ofRun: run, recipe).map(\.name),
                    size: size, scale: exported.scale, to: to))
        default: throw UserError("--format '\(exported.format)' is none of safetensors, torchscript")
        }
        if let reference = exported.reference {
            exported.lines.append(try ExportJob.writeReference(recipe.model, checkpoint: checkpoint, to: reference))
        }
        if let scale = exported.scale {
            exported.lines.append("the run sees images resized to \(scale) of their sides; give them so")
        }
        return exported
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
                "--set",
            ])
        try self.init(
            run: words.required("--run"), checkpoint: words.required("--checkpoint"), images: words.rest,
            out: words.required("--out"))
        labels = words["--labels"]
        sideBySide = words["--side-by-side"] == "yes"
        legend = words["--legend"] == "yes"
        overrides = words.all("--set")
        if let text = words["--threads"] {
            guard let count = Int(text), count > 0 else { throw UserError("--threads \(text) is no positive number") }
            threads = count
        }
        if let text = words["--device"] { device = try Device(parsing: text) }
    }
}
