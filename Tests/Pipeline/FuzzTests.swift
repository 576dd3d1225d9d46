import Foundation
import Fuzzing
import TestSupport
import Testing

extension Pipeline {
    /// The short form of `tools/fuzz live`.
    @Suite struct FuzzTests {
        @Test func badPeersNeitherStopNorDisturbARun() throws {
            let play = try Playground()
            let run = try play.launch()
            try play.await(step: 2, of: run)
            let stages = play.stages()
            var options = LiveFuzzer.Options()
            options.messages = 5000
            let report = try LiveFuzzer(run: play.run, options: options).fuzz()
            #expect(report.problems == [], "\(report.text)")
            #expect(
                Set(report.sockets.map { $0.name.prefix { $0 != "." } }) == ["control", "samples", "mining", "memory"])
            for socket in report.sockets {
                for check in ["frames", "header", "version", "run", "tensors", "type", "body"] {
                    #expect(socket.counted["bad.\(check)", default: 0] > 0, "\(socket.name) \(check):\n\(report.text)")
                }
            }
            #expect(play.stages() == stages)
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(try play.weights() == Reference.weights())
        }
    }
}
