import ArgumentParser
import Basics
import Foundation

/// `picoflow predict`: labels images and videos with a run's network and draws the labels over them.
struct PredictCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "predict",
        abstract: "Label images, folders of them and videos with a run's network; writes colour overlays.",
        discussion: """
            picoflow predict --run runs/pico-1 street.jpg --out overlays      # writes overlays/street-overlay.png
            picoflow predict --run runs/pico-1 photos/ --out overlays --labels labels --legend
            picoflow predict --run runs/pico-1 drive.mp4 --out overlays --side-by-side
            picoflow predict --run runs/pico-1 photo.jpg --out overlays \
                --set evaluate.scales=[1] --set evaluate.flip=false         # one pass, as in deployment

            Images are labelled as the run's recipe evaluates: a pass per scale and flip, windows of the training crop. \
            A large photograph takes long and much memory in many.

            Videos are read and written by ffmpeg, where that is installed. The output names each class's colour, and the largest classes of each image.
            """)

    @OptionGroup var saved: SavedRunOptions

    @Argument(
        help: ArgumentHelp("JPEG or PNG images, videos, and folders of them.", valueName: "image"), completion: .file())
    var images: [String]

    @Option(
        help: ArgumentHelp(
            "The folder for the overlays, IMAGE-overlay.png, or .mp4 of a video; made if missing.", valueName: "dir"),
        completion: .directory)
    var out: String

    @Option(
        help: ArgumentHelp(
            "A folder for label maps as well, IMAGE.png: a class's number per pixel; of a video a folder with one per frame. Made if missing.",
            valueName: "dir"), completion: .directory)
    var labels: String?

    @Flag(help: "Also write image, colours and overlay beside each other, IMAGE-side-by-side.png.")
    var sideBySide = false

    @Flag(help: "Also write which colour is which class, legend.svg.")
    var legend = false

    @OptionGroup var set: OverrideOptions

    @Option(help: "Threads; all processors where missing.")
    var threads: Int?

    @Option(help: ArgumentHelp("cpu or cuda:N.", valueName: "device"))
    var device: String?

    @OptionGroup var output: OutputOptions

    func run() throws {
        // What can be said before a network is read is said at once.
        for image in images { try Self.checkReadable(image) }
        for folder in [out] + (labels.map { [$0] } ?? []) { try Self.checkFolder(folder) }
        let (run, checkpoint) = try saved.resolve()
        var arguments = ["predict", "--run", run, "--checkpoint", checkpoint, "--out", out]
        if let labels { arguments += ["--labels", labels] }
        if sideBySide { arguments += ["--side-by-side", "yes"] }
        if legend { arguments += ["--legend", "yes"] }
        if let threads { arguments += ["--threads", String(threads)] }
        for override in set.overrides { arguments += ["--set", override] }
        if let device { arguments += ["--device", device] }
        try EvaluatorJob.run(arguments + output.arguments + ["--"] + images)
    }

    private static func checkReadable(_ image: String) throws {
        guard FileManager.default.fileExists(atPath: image) else { throw UserError("\(image): no such image") }
        guard access(image, R_OK) == 0 else {
            throw UserError("\(image): cannot be read: \(String(cString: strerror(errno)))")
        }
    }

    private static func checkFolder(_ path: String) throws {
        guard !FileManager.default.fileExists(atPath: path) || isFolder(path) else {
            throw UserError("\(path): is a file; name a folder to write to")
        }
    }
}
