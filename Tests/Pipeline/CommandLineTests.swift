import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// What the command line says of itself.
    @Suite struct CommandLineTests {
        @Test func schemasArePrinted() throws {
            let folder = try TemporaryFolder("schema")
            for kind in ["recipe", "topology"] {
                let ending = try PicoFlowProcess(["schema", kind], in: folder).wait()
                #expect(ending.code == 0, "\(ending)")
                let read = try JSONSerialization.jsonObject(with: Data(ending.output.utf8)) as? [String: Any]
                #expect(read?["title"] as? String == "PicoFlow \(kind)")
            }
            let unknown = try PicoFlowProcess(["schema", "stage"], in: folder).wait()
            #expect(unknown.code == 64 && unknown.errors.contains("recipe"), "\(unknown)")
        }

        /// Each shell's own parser takes the script that is for it; shells that are not here are passed over.
        @Test func completionScriptsAreOnesOfTheirShells() throws {
            let folder = try TemporaryFolder("completion")
            for shell in ["bash", "zsh", "fish"] {
                let ending = try PicoFlowProcess(["--generate-completion-script", shell], in: folder).wait()
                #expect(ending.code == 0 && ending.output.contains("synthesize"), "\(shell): \(ending)")
                let check = Process()
                check.executableURL = URL(fileURLWithPath: "/usr/bin/env")
                check.arguments = [shell, "-n", try folder.write(ending.output, to: shell)]
                check.standardError = FileHandle.nullDevice
                try check.run()
                check.waitUntilExit()
                #expect([0, 127].contains(check.terminationStatus), "\(shell)")
            }
        }
    }
}
