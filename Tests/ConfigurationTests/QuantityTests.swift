import Testing
import Yams

@testable import Configuration

@Suite struct QuantityTests {
    @Test(arguments: [
        ("5 s", 5000), ("5s", 5000), ("500 ms", 500), ("0.5 s", 500), ("1.5 min", 90_000), ("2 h", 7_200_000),
        ("0 s", 0), ("2.01 s", 2010), ("1.001 s", 1001), ("1.09 min", 65_400), ("0.1 h", 360_000),
    ])
    func timesAreWholeMilliseconds(text: String, milliseconds: Int) {
        #expect(Duration.decode(Node(text)) == .milliseconds(milliseconds))
    }

    @Test(arguments: [
        "5", "s", "", "5 sec", "-5 s", "+5 s", "5  5 s", "0.0001 s", "1..5 s", "5 S", "٥ s", "1e3 s",
        "99999999999999999999 s",
    ])
    func otherTextsAreNoTimes(text: String) {
        #expect(Duration.decode(Node(text)) == nil)
    }

    @Test func bytesKnowBothKindsOfUnits() {
        #expect(ByteCount.decode(Node("64 MiB"))?.bytes == 67_108_864)
        #expect(ByteCount.decode(Node("64 MB"))?.bytes == 64_000_000)
        #expect(ByteCount.decode(Node("1.5 KiB"))?.bytes == 1536)
        #expect(ByteCount.decode(Node("0.3 KiB")) == nil)
        #expect(ByteCount.decode(Node("9000000 TiB")) == nil)
    }

    @Test func printedQuantitiesReadBackEqual() {
        for milliseconds in [0, 1, 999, 1000, 1001, 60_000, 61_000, 3_600_000, 86_400_001] {
            let duration = Duration.milliseconds(milliseconds)
            #expect(Duration.decode(duration.node) == duration)
        }
        for bytes in [0, 1, 1000, 1023, 1024, 1 << 20, 3 << 29, (1 << 40) + 1] {
            #expect(ByteCount.decode(ByteCount(bytes: bytes).node)?.bytes == bytes)
        }
        #expect(Duration.seconds(90).node.string == "90 s")
        #expect(ByteCount.mebibytes(64).description == "64 MiB")
    }
}
