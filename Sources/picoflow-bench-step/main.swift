import ArgumentParser

/// What `tools/bench step` runs. It stands apart from the other benchmarks because it links libtorch.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tools/bench", abstract: "Measures training steps on this machine.",
        subcommands: [StepBench.self, StepCase.self])
}

Bench.main()
