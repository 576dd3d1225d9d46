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

            The names are those of the PyTorch model, which loads the file with strict=True; tools/check-export shows how.
            """)

    @OptionGroup var saved: SavedRunOptions

    @Option(help: ArgumentHelp("The file to write; one that exists is replaced.", valueName: "file.safetensors"))
    var to: String

    func run() throws {
        var isFolder: ObjCBool = false
        let folder = (to as NSString).deletingLastPathComponent
        guard folder.isEmpty || (FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder) && isFolder.boolValue)
        else { throw UserError("\(folder): no such folder") }
        guard !FileManager.default.fileExists(atPath: to, isDirectory: &isFolder) || !isFolder.boolValue else {
            throw UserError("\(to): is a folder; name a file")
        }
        try EvaluatorJob.run(["export", "--checkpoint", saved.resolve().checkpoint, "--to", to])
    }
}
