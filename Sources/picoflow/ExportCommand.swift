import ArgumentParser
import Basics
import Foundation

/// `picoflow export`: writes a run's network for PyTorch.
struct ExportCommand: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case safetensors, torchscript, onnx
    }

    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a run's network for PyTorch, without the projection head.",
        discussion: """
            picoflow export --run runs/pico-1 --to pico.safetensors
            picoflow export --run runs/pico-1 --to pico.safetensors --reference reference.safetensors
            picoflow export --run runs/pico-1 --to pico.pt --format torchscript --size 360x480

            safetensors: the weights, under the names of the PyTorch model, which loads the file with strict=True; \
            tools/check-export shows how, and compares PyTorch's scores with the reference's.

            torchscript: the network itself, which torch.jit.load runs without any of its code. It takes float32 images \
            [N, 3, height, width], RGB from 0 to 1, normalises them, and returns scores [N, classes, height, width]. N is \
            free, the image size is not: --size sets it, the recipe's crop where missing. In it stands picoflow.json, which \
            names the classes, and the scale where the run sees images resized, as 'picoflow init' has it for large \
            photographs: torch.jit.load(…, _extra_files={"picoflow.json": ""}) fills it in.

            onnx: from the TorchScript file, by tools/export-onnx, which needs PyTorch.
            """)

    @OptionGroup var saved: SavedRunOptions

    @Option(
        help: ArgumentHelp("The file to write; one that exists is replaced.", valueName: "file"), completion: .file())
    var to: String

    @Option(help: ArgumentHelp("safetensors, torchscript or onnx.", valueName: "format"))
    var format = Format.safetensors

    @Option(
        help: ArgumentHelp(
            "torchscript: the images' size in pixels; the recipe's crop where missing.", valueName: "HEIGHTxWIDTH"))
    var size: String?

    @Option(
        help: ArgumentHelp("Also write a fixed input and the network's scores of it.", valueName: "file.safetensors"),
        completion: .file())
    var reference: String?

    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard size == nil || format == .torchscript else {
            throw ValidationError("--size is for --format torchscript: weights fit images of any size")
        }
    }

    func run() throws {
        guard format != .onnx else {
            throw UserError(
                "ONNX cannot be written here: libtorch lowers to it in Python only; export --format torchscript, "
                    + "then tools/export-onnx FILE.pt FILE.onnx, which needs PyTorch")
        }
        for path in [to] + (reference.map { [$0] } ?? []) { try Self.checkWritable(path) }
        let (run, checkpoint) = try saved.resolve()
        try EvaluatorJob.run(
            ["export", "--run", run, "--checkpoint", checkpoint, "--to", to, "--format", format.rawValue]
                + (size.map { ["--size", $0] } ?? [])
                + (reference.map { ["--reference", $0] } ?? []) + output.arguments)
    }

    static func checkWritable(_ path: String) throws {
        let folder = (path as NSString).deletingLastPathComponent
        guard folder.isEmpty || isFolder(folder) else { throw UserError("\(folder): no such folder") }
        guard !isFolder(path) else { throw UserError("\(path): is a folder; name a file") }
    }
}
