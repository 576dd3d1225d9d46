import ArgumentParser

/// What `tools/bench` runs: one subcommand per benchmark.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tools/bench", abstract: "Measures PicoFlow's parts on this machine.",
        subcommands: [
            PoolBench.self, PoolCase.self, PoolWorkers.self, BareCase.self, BareDealer.self, MiningBench.self,
            MiningCase.self, LoaderBench.self, LoaderCase.self, TrainingBench.self,
            OverheadBench.self, GrowthBench.self, CheckBench.self,
        ])
}

Bench.main()
