import Foundation
import TestSupport
import Testing
import Wire

extension Pipeline {
    /// Stages that join over TCP, on this machine; `tools/test-hosts` does the same between hosts.
    @Suite struct JoinTests {
        /// A port with three free ones behind it, which the links take; below those that the kernel gives to who dials.
        static func freePort() throws -> UInt16 {
            for _ in 0..<50 {
                let port = UInt16.random(in: 20_000..<32_000)
                let context = Context()
                let sockets = try (0...3).map { _ in try Socket(.router, context: context) }
                let isFree = zip(sockets, port...).allSatisfy { socket, port in
                    (try? socket.bind(.tcp("127.0.0.1", port))) != nil
                }
                if isFree { return port }
            }
            throw Trouble("no four ports in a row are free")
        }

        private let play: Playground
        private let address: String

        /// - Parameter local: workers of the run's own.
        private func topology(loaders: Int, miners: Int) throws {
            try play.folder.write(
                """
                stages:
                  loader: {replicas: \(loaders), threads: 1}
                  compute: {samples: loader, mining: miner, memory: bank, threads: 1}
                  bank:
                  miner: {replicas: \(miners), memory: bank}
                  evaluator: {threads: 1}
                supervisor: {listen: "\(address)", grace: 5 s, heartbeat: 200 ms, silence: 3 s}
                pool: {heartbeat: 200 ms, silence: 2 s}

                """, to: "topology.yaml")
        }

        init() throws {
            play = try Playground()
            address = "tcp://127.0.0.1:\(try Self.freePort())"
        }

        private func key(_ name: String) throws {
            let ending = try play.command("keys", "new", name, "--run", play.run, "--out", play.folder("\(name).key"))
            guard ending.code == 0 else { throw Trouble("keys new: \(ending)") }
        }

        private func join(_ name: String, _ stages: String, _ more: [String] = []) throws -> PicoFlowProcess {
            try play.start(
                ["join", address, "--key", play.folder("\(name).key"), "--stage", stages, "--logs", play.folder(name)]
                    + more)
        }

        /// The stages that a host started.
        private func children(_ host: PicoFlowProcess) -> [Int32] {
            let all = ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }
            return all.filter { pid in
                guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
                    let bracket = text.lastIndex(of: ")")
                else { return false }
                // Behind the program's name: state, parent.
                let fields = text[text.index(after: bracket)...].split(separator: " ")
                return fields.count > 1 && fields[0] != "Z" && fields[1] == "\(host.pid)"
            }
        }

        /// A run at work whose workers are all of one host that joined.
        private func trainByAHost(_ stages: String) throws -> (run: PicoFlowProcess, host: PicoFlowProcess) {
            try topology(loaders: 0, miners: 0)
            try key("gpu1")
            let run = try play.launch()
            let host = try join("gpu1", stages)
            try play.await(step: Playground.warmup + 2, of: run)
            return (run, host)
        }

        @Test func aRunWhoseWorkersAllJoinTrainsTheSameWeights() throws {
            let (run, host) = try trainByAHost("loader=2,miner=1")
            let names = play.stages().keys.sorted()
            #expect(names == ["bank-1", "compute-1", "loader-1001", "loader-1002", "miner-1001"])
            // One that dies is started again by its host, under its number.
            let dead = try play.pid(of: "loader-1001")
            kill(dead, SIGKILL)
            #expect(waitUntil { play.stages()["loader-1001"].map { $0 != dead } ?? false })
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            let left = try host.wait()
            #expect(left.code == 0 && left.output.contains("needs no more work"), "\(left)")
            #expect(try play.weights() == Reference.weights())
            #expect(play.stages().isEmpty)
        }

        /// As the end of a batch job does: its hosts get the signal when the run does, and serve compute's last step.
        @Test func signalToAllHostsAtOnceStopsTheRunWithACheckpoint() throws {
            let (run, host) = try trainByAHost("loader=1,miner=1")
            // In the middle of a step.
            let compute = try play.pid(of: "compute-1")
            kill(compute, SIGSTOP)
            let workers = children(host)
            for pid in workers { kill(pid, SIGTERM) }
            host.signal(SIGTERM)
            run.signal(SIGTERM)
            Thread.sleep(forTimeInterval: 2.5)
            kill(compute, SIGCONT)
            let stopped = try run.wait()
            #expect(workers.count == 2 && stopped.code == 0, "\(stopped)")
            let newest = play.names(play.run + "/checkpoints").last
            #expect(newest == "step-\(String(format: "%06d", play.metrics().count))", "\(stopped)")
            let left = try host.wait()
            #expect(left.code == 0 && left.output.contains("needs no more work"), "\(left)")
        }

        @Test func hostsThatVanishLeaveOrAreRevokedCostNothingButSpeed() throws {
            try topology(loaders: 1, miners: 1)
            for name in ["gpu1", "gpu2", "gpu3"] { try key(name) }
            // Before the run: hosts wait for it, so they are there from its first steps.
            let vanishing = try join("gpu1", "loader=1,miner=1")
            let revoked = try join("gpu2", "loader=1")
            let leaving = try join("gpu3", "miner=1")
            let run = try play.launch()
            #expect(
                waitUntil(.seconds(60)) {
                    children(vanishing).count == 2 && children(revoked).count == 1 && children(leaving).count == 1
                })
            try play.await(step: Playground.warmup + 2, of: run)
            // All at once, as when a machine loses power.
            vanishing.signal(SIGSTOP)
            for pid in children(vanishing) { kill(pid, SIGKILL) }
            vanishing.signal(SIGKILL)
            // From a machine that cannot reach the supervisor nothing is changed, so that it can be done on the right one.
            let record = try #require(play.folder.read("run/processes.json"))
            let host = ProcessInfo.processInfo.hostName
            try play.folder.write(record.replacing("\"\(host)\"", with: "\"node7\""), to: "run/processes.json")
            let elsewhere = try play.command("keys", "revoke", "gpu2", "--run", play.run)
            #expect(elsewhere.code == 1 && elsewhere.message.contains("node7: ask it there"), "\(elsewhere)")
            try play.folder.write(record, to: "run/processes.json")
            let revoke = try play.command("keys", "revoke", "gpu2", "--run", play.run)
            #expect(revoke.code == 0, "\(revoke)")
            leaving.signal(SIGINT)
            let left = try leaving.wait()
            #expect(left.code == 0 && left.output.contains("left run"), "\(left)")

            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(ending.errors.contains("has a revoked key"), "\(ending.errors)")
            #expect(try play.weights() == Reference.weights())
            let end = try revoked.wait()
            #expect(end.code == 1 && end.message.contains("nothing was heard of the run's supervisor"), "\(end)")
            #expect(play.stages().isEmpty)
        }

        @Test func whoeverMayNotJoinIsToldAndGetsNothing() throws {
            try topology(loaders: 1, miners: 1)
            try key("gpu1")
            let run = try play.launch(["--set", "schedule.iterations=5000"])
            try play.await(step: 1, of: run)
            let misspelt = try join("gpu1", "laoder=1").wait()
            #expect(misspelt.code == 1 && misspelt.message.contains("did you mean 'loader'?"), "\(misspelt)")
            let compute = try join("gpu1", "compute=1").wait()
            #expect(compute.code == 1 && compute.message.contains("cannot be joined"), "\(compute)")

            // Another dataset at the place that is named: one image fewer.
            let other = play.folder("elsewhere")
            try FileManager.default.copyItem(atPath: play.data, toPath: other)
            let images = try #require(
                FileManager.default.subpaths(atPath: other)?.first { $0.contains("train") && $0.hasSuffix(".jpg") })
            try FileManager.default.removeItem(atPath: other + "/" + images)
            let wrong = try join("gpu1", "loader=1", ["--dataset-root", other]).wait()
            #expect(wrong.code == 1 && wrong.message.contains(other), "\(wrong)")
            let missing = try join("gpu1", "loader=1", ["--dataset-root", play.folder("none")]).wait()
            #expect(missing.code == 1 && missing.message.contains("--dataset-root"), "\(missing)")

            let none = try play.command("join", address, "--key", play.folder("no.key"), "--stage", "loader=1")
            #expect(none.code == 1 && none.message.contains("no.key"), "\(none)")
            let list = try play.command("keys", "list", "--run", play.run)
            #expect(list.output.contains("  gpu1"), "\(list)")
            _ = try play.command("stop", "--run", play.run)
            #expect(try run.wait().code == 0)
        }

        /// The sockets on which a process listens over TCP, as `/proc/net` lists them.
        private func tcpListeners(of pid: Int32) throws -> [String] {
            let folder = "/proc/\(pid)/fd"
            let open = try FileManager.default.contentsOfDirectory(atPath: folder).compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")
            }
            return try ["tcp", "tcp6"].flatMap { table in
                try String(contentsOfFile: "/proc/\(pid)/net/\(table)", encoding: .utf8).split(separator: "\n").filter {
                    let fields = $0.split(separator: " ")
                    return fields.count > 9 && fields[3] == "0A" && open.contains("socket:[\(fields[9])]")
                }.map { "\(table) \($0)" }
            }
        }

        @Test func withoutAnAddressToListenOnNothingListensOverTCP() throws {
            // This process does, so the look at the sockets sees such ones.
            let context = Context()
            let socket = try Socket(.router, context: context)
            try socket.bind(.tcp("127.0.0.1", 0))
            #expect(try tcpListeners(of: getpid()).isEmpty == false)

            let alone = try play.launch()
            try play.await(step: 3, of: alone)
            let stages = play.stages()
            #expect(stages.count == 4)
            for pid in stages.values + [alone.pid] { #expect(try tcpListeners(of: pid) == []) }
            alone.signal(SIGINT)
            #expect(try alone.wait().code == 0)
            #expect(!play.names(play.run).contains("keys"))
            let notYet = try play.command("keys", "revoke", "gpu1", "--run", play.run)
            #expect(notYet.code == 1 && notYet.message.contains("keys new"), "\(notYet)")
        }
    }
}
