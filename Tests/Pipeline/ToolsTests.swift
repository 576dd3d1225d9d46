import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// What `tools/bench` and `tools/fuzz` run, in seconds instead of minutes.
    @Suite struct ToolsTests {
        @Test func poolBenchmarkMeasuresPoolsBesideBarePairs() throws {
            let folder = try TemporaryFolder("bench")
            // 20 workers are more than run as threads of their own.
            let bench = try PicoFlowProcess(
                [
                    "pool", "--workers", "2,20", "--seconds", "0.1", "--rounds", "1", "--transports", "ipc,tcp",
                    "--bytes", "100000", "--json",
                ], program: "picoflow-bench", in: folder)
            let ending = try bench.wait()
            #expect(ending.code == 0, "\(ending)")
            let report = try JSONSerialization.jsonObject(with: Data(ending.output.utf8)) as? [String: Any]
            let pools = try #require(report?["pool"] as? [[String: Any]])
            #expect(pools.count == 8)
            for pool in pools {
                #expect((pool["ticketsPerSecond"] as? Double ?? 0) > 0)
                let rounds = try #require(pool["rounds"] as? [[String: Any]])
                let workers = try #require(pool["workers"] as? Int)
                #expect(rounds.map { $0["workersAs"] as? String } == [workers == 2 ? "PoolWorker" : "PoolWorkerCore"])
            }
            #expect(pools.filter { $0["ofBarePair"] is Double }.count == 4)
        }

        @Test func benchmarkSaysWhatItCannotMeasure() throws {
            let folder = try TemporaryFolder("bench")
            let bench = try PicoFlowProcess(["pool", "--transports", "udp"], program: "picoflow-bench", in: folder)
            let ending = try bench.wait()
            #expect(ending.code == 64)
            #expect(ending.errors.contains("'udp' is neither ipc nor tcp"), "\(ending)")
        }

        @Test func modelsAreListed() throws {
            let folder = try TemporaryFolder("models")
            let list = try PicoFlowProcess(["models", "mobilenetv2", "mitb0", "--size", "64x96"], in: folder).wait()
            #expect(list.code == 0, "\(list)")
            let rows = list.output.split(whereSeparator: \.isNewline).suffix(2)
            #expect(rows.first?.contains("timm mobilenetv2_100") == true, "\(list)")
            #expect(rows.last?.contains("3.72 M") == true, "\(list)")

            let json = try PicoFlowProcess(["models", "segformer", "--size", "64x96", "--json"], in: folder).wait()
            let read = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [[String: Any]]
            #expect(read?.count == 6)
            #expect(read?.allSatisfy { $0["outputStride"] as? Int == 4 } == true, "\(json)")

            let unknown = try PicoFlowProcess(["models", "mobilnetv2"], in: folder).wait()
            #expect(unknown.code == 1)
            #expect(unknown.message.contains("did you mean 'mobilenetv2'?"), "\(unknown)")
            let size = try PicoFlowProcess(["models", "--size", "large"], in: folder).wait()
            #expect(size.code == 1 && size.message.contains("HEIGHTxWIDTH"), "\(size)")
        }

        @Test func doctorLooksAtThisMachine() throws {
            let folder = try TemporaryFolder("doctor")
            let json = try PicoFlowProcess(["doctor", "--json"], in: folder).wait()
            let read = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
            let findings = try #require(read?["findings"] as? [[String: Any]], "\(json)")
            #expect(json.code == (findings.contains { $0["verdict"] as? String == "broken" } ? 1 : 0), "\(json)")
            // What this test's own machine must have; the rest depends on it.
            for subject in ["stages", "libtorch", "sockets"] {
                let finding = findings.first { $0["subject"] as? String == subject }
                #expect(finding?["verdict"] as? String == "good", "\(json)")
            }

            // Without its stages nothing trains.
            let program = try PicoFlowProcess.executables() + "/picoflow"
            try FileManager.default.copyItem(atPath: program, toPath: folder("picoflow"))
            let alone = Process()
            alone.executableURL = URL(fileURLWithPath: folder("picoflow"))
            alone.arguments = ["doctor"]
            let output = Pipe()
            alone.standardOutput = output
            try alone.run()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            alone.waitUntilExit()
            #expect(alone.terminationStatus == 1)
            #expect(text.contains("BROKEN") && text.contains("picoflow-loader: is not there"), "\(text)")
        }

        @Test func decodersAreFuzzedByCommandToo() throws {
            let folder = try TemporaryFolder("fuzz")
            let fuzz = try PicoFlowProcess(["decoders", "--inputs", "2000"], program: "picoflow-fuzz", in: folder)
            let ending = try fuzz.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(ending.output.contains("header: "))
        }

        @Test func fuzzerSaysThatNoRunIsThere() throws {
            let folder = try TemporaryFolder("fuzz")
            let fuzz = try PicoFlowProcess(["live", "--run", folder.path], program: "picoflow-fuzz", in: folder)
            let ending = try fuzz.wait()
            #expect(ending.code == 1)
            #expect(ending.message.contains("no run with local sockets is at work there"), "\(ending)")
        }
    }
}
