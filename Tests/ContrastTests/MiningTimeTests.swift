import Configuration
import Foundation
import Testing

@testable import Contrast

/// How long a step's mining takes at the size of CamVid. Prints and asserts nothing about time: machines differ.
/// `PICOFLOW_TIMING=semi-hard` measures that strategy, any other value all of them.
@Suite struct MiningTimeTests {
    @Test(.enabled(if: ProcessInfo.processInfo.environment["PICOFLOW_TIMING"] != nil, "set PICOFLOW_TIMING to measure"))
    func camvidSizedStep() throws {
        let D = 256
        let memory = try makeMemory(
            dimension: D,
            (0..<11).map { c in
                (
                    pixels: clusteredRows(3670, dimension: D, spread: 1, seed: 1, index: c, centre: c),
                    regions: clusteredRows(367, dimension: D, spread: 1, seed: 1, index: 100 + c, centre: c)
                )
            })
        let anchors = (0..<11).map { clusteredRows(50, dimension: D, spread: 1, seed: 2, index: 200 + $0, centre: $0) }
        let named = SamplerSettings.Strategy(rawValue: ProcessInfo.processInfo.environment["PICOFLOW_TIMING"] ?? "")
        for threads in [1, 2] {
            let miner = Miner(threads: threads)
            for strategy in named.map({ [$0] }) ?? SamplerSettings.Strategy.allCases {
                for synthesis in [false, true] {
                    var best = (wall: Double.infinity, cpu: Double.infinity)
                    for _ in 0..<5 {
                        let start = ContinuousClock.now
                        let cpu = clock()
                        for c in 0..<11 {
                            let output = try miner.mine(
                                MiningInput(
                                    classID: ClassID(c), anchors: anchors[c], dimension: D, temperature: 0.1,
                                    sampler: samplerSettings(strategy), synthesis: synthesisSettings(synthesis),
                                    seed: UInt64(c)),
                                memory: memory)
                            #expect(output.contributing == 50)
                        }
                        let wall = (ContinuousClock.now - start) / .milliseconds(1)
                        best = (min(best.wall, wall), min(best.cpu, Double(clock() - cpu) / 1000))
                    }
                    print(
                        "\(strategy) synthesis \(synthesis) threads \(threads): \(Int(best.wall)) ms wall, \(Int(best.cpu)) ms CPU"
                    )
                }
            }
        }
    }
}
