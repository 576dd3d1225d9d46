import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// Joining over a bad network, between network namespaces.
    @Suite struct HostsTests {
        private static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../tools/test-hosts").standardizedFileURL.path

        @Test(.enabled(if: getuid() == 0, "network namespaces need root"), .timeLimit(.minutes(3)))
        func delayLossPartitionAndAVanishedHostChangeNoBit() throws {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Self.script)
            process.arguments = [try PicoFlowProcess.executables()]
            let folder = try TemporaryFolder("hosts")
            try folder.write("", to: "output")
            let output = try FileHandle(forWritingTo: URL(fileURLWithPath: folder("output")))
            process.standardOutput = output
            process.standardError = output
            try process.run()
            process.waitUntilExit()
            let text = folder.read("output") ?? ""
            if process.terminationStatus == 77 {
                print(text)
                return
            }
            #expect(process.terminationStatus == 0, "\(text)")
            #expect(text.contains("same weights in all three"), "\(text)")
        }
    }
}
