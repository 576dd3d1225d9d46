import ArgumentParser
import Basics
import Foundation

/// `picoflow predict`: labels images with a run's network and draws the labels over them.
struct PredictCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "predict",
        abstract: "Label images with a run's network; writes colour overlays.",
        discussion: """
            picoflow predict --run runs/pico-1 street.jpg --out overlays      # writes overlays/street-overlay.png
            picoflow predict --run runs/pico-1 photos/*.jpg --out overlays --labels labels

            The output names each class's colour, and the largest classes of each image.
            """)

    @OptionGroup var saved: SavedRunOptions

    @Argument(help: ArgumentHelp("JPEG or PNG images.", valueName: "image"), completion: .file())
    var images: [String]

    @Option(
        help: ArgumentHelp("The folder for the overlays, IMAGE-overlay.png; made if missing.", valueName: "dir"),
        completion: .directory)
    var out: String

    @Option(
        help: ArgumentHelp(
            "A folder for label maps as well, IMAGE.png: a class's number per pixel. Made if missing.", valueName: "dir"
        ), completion: .directory)
    var labels: String?

    @Option(help: "Threads; all processors where missing.")
    var threads: Int?

    @Option(help: ArgumentHelp("cpu or cuda:N.", valueName: "device"))
    var device: String?

    func run() throws {
        // What can be said before a network is read is said at once.
        for image in images { try Self.checkReadable(image) }
        for folder in [out] + (labels.map { [$0] } ?? []) { try Self.checkFolder(folder) }
        let (run, checkpoint) = try saved.resolve()
        var arguments = ["predict", "--run", run, "--checkpoint", checkpoint, "--out", out]
        if let labels { arguments += ["--labels", labels] }
        if let threads { arguments += ["--threads", String(threads)] }
        if let device { arguments += ["--device", device] }
        try EvaluatorJob.run(arguments + ["--"] + images)
    }

    private static func checkReadable(_ image: String) throws {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: image, isDirectory: &isFolder) else {
            throw UserError("\(image): no such image")
        }
        guard !isFolder.boolValue else { throw UserError("\(image): is a folder; name its images") }
        guard access(image, R_OK) == 0 else {
            throw UserError("\(image): cannot be read: \(String(cString: strerror(errno)))")
        }
    }

    private static func checkFolder(_ path: String) throws {
        var isFolder: ObjCBool = false
        guard !FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) || isFolder.boolValue else {
            throw UserError("\(path): is a file; name a folder to write to")
        }
    }
}
