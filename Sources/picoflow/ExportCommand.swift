import ArgumentParser
import Basics
import Foundation

/// `picoflow export`: writes a run's network for PyTorch.
struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a run's network for PyTorch, without the projection head.",
        discussion: """
            picoflow export --run runs/pico-1 --to pico.safetensors
            picoflow export --run runs/pico-1 --to pico.safetensors --reference reference.safetensors

            The names are those of the PyTorch model, which loads the file with strict=True; \
            tools/check-export shows how, and compares PyTorch's scores with the reference's.
            """)

    @OptionGroup var saved: SavedRunOptions

    @Option(help: ArgumentHelp("The file to write; one that exists is replaced.", valueName: "file.safetensors"))
    var to: String

    @Option(
        help: ArgumentHelp("Also write a fixed input and the network's scores of it.", valueName: "file.safetensors"))
    var reference: String?

    func run() throws {
        for path in [to] + (reference.map { [$0] } ?? []) { try Self.checkWritable(path) }
        let (run, checkpoint) = try saved.resolve()
        try EvaluatorJob.run(
            ["export", "--run", run, "--checkpoint", checkpoint, "--to", to]
                + (reference.map { ["--reference", $0] } ?? []))
    }

    static func checkWritable(_ path: String) throws {
        var isFolder: ObjCBool = false
        let folder = (path as NSString).deletingLastPathComponent
        guard
            folder.isEmpty
                || (FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder) && isFolder.boolValue)
        else { throw UserError("\(folder): no such folder") }
        guard !FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) || !isFolder.boolValue else {
            throw UserError("\(path): is a folder; name a file")
        }
    }
}
