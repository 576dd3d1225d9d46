import ArgumentParser
import Basics
import Foundation

/// `picoflow import`: says what a file of weights holds, and what of it a recipe's network takes.
struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Look into a file of weights: what a network takes of it, or which network it fits.",
        discussion: """
            picoflow import resnet50.pth                                  # its tensors, and the networks that they fit
            picoflow import resnet50.pth --recipe Configs/camvid/deeplabv3-mobilenetv2-pico.yaml --set model.backbone=resnet50
            picoflow import last.ckpt --recipe recipe.yaml --output weights.safetensors

            Reads safetensors, and what torch.save wrote in PyTorch 1.6 or later. Nothing in a file is executed: one that \
            holds more than tensors, numbers and text is refused. Names may stand in timm's, torchvision's, \
            transformers' or the papers' own spelling, with or without wrappers such as 'module.' and 'backbone.' before them.

            A training takes the same files by model.pretrained and logs the same report.
            """)

    @Argument(
        help: ArgumentHelp("The weights: .safetensors, .pth, .pt, .ckpt, .bin.", valueName: "file"), completion: .file()
    )
    var file: String

    @Option(
        help: ArgumentHelp("The recipe whose network is to take them.", valueName: "file"),
        completion: .file(extensions: ["yaml"]))
    var recipe: String?

    @OptionGroup var set: OverrideOptions

    @Option(
        help: ArgumentHelp(
            "Write what the network takes, under its own names; one that exists is replaced.",
            valueName: "file.safetensors"), completion: .file())
    var output: String?

    @OptionGroup var result: OutputOptions

    func validate() throws {
        guard recipe == nil, output != nil || !set.overrides.isEmpty else { return }
        throw ValidationError("--set and --output need --recipe: it names the network")
    }

    func run() throws {
        guard access(file, R_OK) == 0 else { throw DurableFile.systemError("cannot read", file) }
        if let output { try ExportCommand.checkWritable(output) }
        try EvaluatorJob.run(
            ["import", file] + (recipe.map { ["--recipe", $0] } ?? []) + set.overrides.flatMap { ["--set", $0] }
                + (output.map { ["--output", $0] } ?? []) + result.arguments)
    }
}
