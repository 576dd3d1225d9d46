import ArgumentParser

/// `picoflow models`: lists the networks.
struct ModelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models",
        abstract: "List every backbone and head: parameters, multiply-adds, strides, whose weights load.",
        discussion: """
            picoflow models
            picoflow models segformer --size 512x1024
            picoflow models deeplabv3 hrnet --json

            Each network is built and run once on one image, so the whole list takes a minute or two; counted are the \
            multiply-adds that are done, which may be fewer than its paper says. A recipe takes the names as `model: {head: …, backbone: …}`; the projection head, which exists in training only, is not counted.
            """)

    @Argument(help: "Heads or backbones, or how their names begin; all where there are none.")
    var names: [String] = []

    @Option(help: ArgumentHelp("The image's size.", valueName: "height x width"))
    var size = "512x512"

    @Option(help: "The number of classes that the head scores.")
    var classes = 19

    @Option(help: "Of deeplabv3: 8 or 16.")
    var outputStride = 8

    @OptionGroup var output: OutputOptions

    func run() throws {
        try EvaluatorJob.run(
            ["models", "--size", size, "--classes", "\(classes)", "--output-stride", "\(outputStride)"]
                + output.arguments + ["--"] + names)
    }
}
