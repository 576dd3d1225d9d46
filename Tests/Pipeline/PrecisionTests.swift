import Foundation
import Testing

extension Pipeline {
    /// Training in bf16 by real processes.
    @Suite struct PrecisionTests {
        private static let bf16 = ["--set", "model.precision=bf16"]

        @Test func stoppedRunInBf16GoesOnBitForBit() throws {
            let play = try Playground()
            let straight = try play.launch(Self.bf16, run: play.folder("straight")).wait()
            #expect(straight.code == 0, "\(straight)")
            #expect(straight.output.contains("mIoU"), "\(straight)")
            let expected = try play.weights(run: play.folder("straight"))
            #expect(try expected != Reference.weights(), "bf16 was not used")
            let arithmetic = play.ledger(run: play.folder("straight")).first?["arithmetic"] as? String
            #expect(arithmetic?.hasSuffix(", bf16") == true)

            let run = try play.launch(Self.bf16)
            try play.await(step: 20, of: run)
            run.signal(SIGINT)
            #expect(try run.wait().code == 0)
            #expect(play.metrics().count < Playground.iterations)
            let resumed = try play.command("launch", "--resume", play.run)
            #expect(resumed.code == 0, "\(resumed)")
            #expect(try play.weights() == expected)
        }
    }
}
