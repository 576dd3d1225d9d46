import ArgumentParser

/// What `tools/bench` runs of benchmarks that link libtorch: one subcommand per benchmark.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tools/bench", abstract: "Measures training on this machine.",
        subcommands: [StepBench.self, StepCase.self, LossBench.self, LossCase.self])
}

Bench.main()
