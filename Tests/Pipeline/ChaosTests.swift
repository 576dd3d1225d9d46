import Testing

extension Pipeline {
    /// The short form of `tools/chaos`: ten kills of every kind of process, the same bits.
    @Suite struct ChaosTests {
        @Test(.timeLimit(.minutes(10))) func killsOfEveryKindOfProcessChangeNoBit() throws {
            let (status, output) = try ToolScript.run("chaos", ["--kills", "10", "--seed", "3"])
            #expect(status == 0, "\(output)")
            #expect(output.contains("chaos: same bits"), "\(output)")
        }
    }
}
