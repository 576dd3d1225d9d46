import Basics
import Configuration
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing
import Wire

@testable import StageKit
@testable import Supervisor

/// Real sockets and, for the stage's side, real processes.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ControlLinkTests {
    let folder = try! TemporaryFolder("control")
    let fingerprint = Fingerprint(versions: [:], hash: "h")

    private func server() throws -> (ControlServer, Endpoint) {
        let endpoint = try Endpoint("ipc://\(folder("control"))")
        let server = try ControlServer(
            bind: endpoint, context: Context(), sender: Sender(run: "fake", name: "supervisor"), epoch: Epoch(1),
            onNote: { _ in })
        return (server, endpoint)
    }

    private func link(_ endpoint: Endpoint, grace: Duration = .seconds(30), onLost: @escaping @Sendable () -> Void = {})
        -> StageLink
    {
        let link = StageLink(
            arguments: StageLink.Arguments(control: endpoint, run: "fake", replica: .loader(1), grace: grace),
            kind: .loader,
            fingerprint: fingerprint, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, onLost: onLost)
        link.start()
        return link
    }

    private func next(_ server: ControlServer) throws -> ControlServer.Received? {
        var found: ControlServer.Received?
        _ = try waitUntil {
            found = try server.receive()
            return found != nil
        }
        return found
    }

    @Test func helloConfigurationHeartbeatCommandAndBye() throws {
        let (server, endpoint) = try server()
        let link = link(endpoint)
        link.report(.waiting, waitingOn: "tickets")
        link.report(StepMetrics(step: 4, lr: 1, ce: 2))
        link.setMetrics { ["rate": 3, "broken": .nan] }
        let hello = try #require(try next(server))
        #expect(
            hello.message
                == .hello(
                    Hello(
                        stage: "loader", id: 1, kind: .loader, pid: getpid(), host: ProcessInfo.processInfo.hostName,
                        fingerprint: fingerprint)))
        let configuration = try #require(try FakeRun.plan().configuration(for: .loader(1)))
        try server.send(.configuration(configuration), to: hello.peer)
        #expect(try link.awaitConfiguration() == configuration)
        let beat = try #require(try next(server))
        #expect(beat.incarnation == hello.incarnation && beat.peer == hello.peer)
        guard case .heartbeat(let said) = beat.message else { throw UserError("\(beat.message) is no heartbeat") }
        #expect(
            said.state == .waiting && said.waitingOn == "tickets" && said.step == StepMetrics(step: 4, lr: 1, ce: 2))
        // Its own numbers, the finite ones, beside those of its process.
        #expect(said.metrics["rate"] == 3 && said.metrics["broken"] == nil)
        #expect(said.metrics[ProcessMetric.cpu] ?? 0 > 0 && said.metrics[ProcessMetric.resident] ?? 0 > 1_000_000)
        let lost = Mutex<[String]>([])
        link.onLoss { worker, expected in lost.withLock { $0.append("\(worker) \(expected)") } }
        try server.send(.command(Command(.expectLoss, worker: "miner-1")), to: hello.peer)
        try server.send(.command(Command(.stop)), to: hello.peer)
        #expect(waitUntil { link.stop.reason == .stop })
        #expect(lost.withLock { $0 } == ["miner-1 true"])
        link.send(.event, StageEvent(.note, "last words"))
        link.send(.bye, Bye(.stopped))
        link.end()
        var words: [ControlInbound] = []
        _ = try waitUntil {
            if let received = try server.receive() { words.append(received.message) }
            return words.last == .bye(Bye(.stopped))
        }
        #expect(words.suffix(2) == [.event(StageEvent(.note, "last words")), .bye(Bye(.stopped))])
    }

    @Test func ordersOfASwapWaitForWhoeverListens() throws {
        let (server, endpoint) = try server()
        let link = link(endpoint)
        let hello = try #require(try next(server))
        let configuration = try #require(try FakeRun.plan().configuration(for: .loader(1)))
        try server.send(.configuration(configuration), to: hello.peer)
        let proposal = SwapProposal(
            generation: Generation(1), stage: "miner", atStep: 3, mining: MiningSettings(Recipe()), exec: ["m"],
            change: "exec=m")
        let orders: [SwapOrder] = [.prepare(proposal), .commit(Generation(1), step: 4), .cancel(Generation(2))]
        try server.send(.command(Command(orders[0])), to: hello.peer)
        try server.send(.command(Command(.expectLoss, worker: "x")), to: hello.peer)
        let heard = Mutex<[SwapOrder]>([])
        _ = try link.awaitConfiguration()
        link.onSwap { order in heard.withLock { $0.append(order) } }
        for order in orders.dropFirst() { try server.send(.command(Command(order)), to: hello.peer) }
        #expect(waitUntil { heard.withLock { $0.count } == 3 })
        #expect(heard.withLock { $0 } == orders)
        link.end()
    }

    @Test func anotherSupervisorHearsHelloAndWhatTheOneBeforeMayHaveTakenWithIt() throws {
        var (first, endpoint): (ControlServer?, Endpoint) = try server()
        let link = link(endpoint)
        let hello = try #require(try next(first!))
        let configuration = try #require(try FakeRun.plan().configuration(for: .loader(1)))
        try first?.send(.configuration(configuration), to: hello.peer)
        _ = try link.awaitConfiguration()
        let newest = StageEvent(.checkpoint, "of step 2", step: 2, path: "/c2")
        for event in [StageEvent(.checkpoint, "of step 1", step: 1, path: "/c1"), newest, StageEvent(.note, "so far")] {
            link.send(.event, event)
        }
        #expect(try waitUntil { try first?.receive()?.message == .event(StageEvent(.note, "so far")) })
        first = nil

        let (second, _) = try server()
        var heard: [ControlInbound] = []
        _ = try waitUntil {
            guard let received = try second.receive() else { return false }
            if case .heartbeat = received.message {
                try second.send(.heartbeat, to: received.peer)
            } else {
                heard.append(received.message)
            }
            return heard.count == 2
        }
        guard case .hello(let said)? = heard.first else { return #expect(Bool(false), "\(heard)") }
        #expect(said.epoch == configuration.epoch && said.replica == .loader(1))
        #expect(heard.dropFirst() == [.event(newest)])
        link.send(.bye, Bye(.stopped))
        link.end()
    }

    @Test func refusedStageIsToldWhy() throws {
        let (server, endpoint) = try server()
        let link = link(endpoint)
        let hello = try #require(try next(server))
        try server.send(.refused("this run has not started you"), to: hello.peer)
        #expect { _ = try link.awaitConfiguration() } throws: { "\($0)".contains("this run has not started you") }
        link.end()
    }

    @Test func missingSupervisorIsAnErrorAfterTheGrace() throws {
        let endpoint = try Endpoint("ipc://\(folder("nobody"))")
        let isLost = Mutex(false)
        let link = link(endpoint, grace: .milliseconds(300)) { isLost.withLock { $0 = true } }
        #expect { _ = try link.awaitConfiguration() } throws: { "\($0)".contains("no supervisor answers") }
        #expect(waitUntil { isLost.withLock { $0 } })
        link.end()
    }

    @Test func badMessagesAreDroppedAndTheirSenderCutOff() throws {
        let endpoint = try Endpoint("ipc://\(folder("control"))")
        let notes = Mutex<[String]>([])
        let server = try ControlServer(
            bind: endpoint, context: Context(), sender: Sender(run: "fake", name: "supervisor"), epoch: Epoch(1),
            onNote: { note in notes.withLock { $0.append(note) } })
        let context = Context()
        let bad = try Socket(.dealer, context: context, identity: "bad")
        try bad.connect(endpoint)
        func message(_ type: String, run: String = "fake") throws -> [SharedBytes] {
            try Message(type, from: Sender(run: run, name: "x"), epoch: Epoch(0), sequence: 1).frames()
        }
        let junk: [[SharedBytes]] = [
            [SharedBytes(Data("?".utf8))], [SharedBytes(Data("{}".utf8)), SharedBytes(Data("{}".utf8))],
            try message("hello"), try message("configuration"), try message("dance"),
            try message("status-request", run: "other"),
            try message("status-request") + [SharedBytes(Data("tensor".utf8))],
        ]
        for index in 0..<15 { try bad.send(junk[index % junk.count]) }
        try bad.send(message("status-request"))
        #expect(try next(server)?.message == .statusRequest, "15 bad ones are forgiven")
        #expect(notes.withLock { $0.count } == 1, "a flood of them fills no log")
        #expect(server.frameCounts.badFrames == 15)
        try bad.send(message("dance"))
        try bad.send(message("status-request"))
        let good = try Socket(.dealer, context: context, identity: "good")
        try good.connect(endpoint)
        let seen = try #require(
            try {
                var seen: ControlServer.Received?
                _ = try waitUntil {
                    try good.send(message("stop-request"))
                    seen = try server.receive()
                    return seen != nil
                }
                return seen
            }())
        #expect(seen.message == .stopRequest)
        #expect(notes.withLock { $0.last?.contains("cut off bad") == true })
        #expect(server.frameCounts.cutOffPeers == 1)
    }

    // MARK: Processes

    /// Answers a stage's hello and a few heartbeats, then falls silent for ever: a supervisor that was killed.
    private func dyingSupervisor(_ endpoint: Endpoint, runDirectory: String, heartbeats: Int) throws -> Thread {
        let configuration = try #require(try FakeRun.plan(directory: runDirectory).configuration(for: .compute))
        let thread = Thread {
            guard
                let server = try? ControlServer(
                    bind: endpoint, context: Context(), sender: Sender(run: "fake", name: "supervisor"),
                    epoch: Epoch(1), onNote: { _ in })
            else { return }
            var left = heartbeats
            while left > 0 {
                _ = Poller.wait([server.socket], wakeup: nil, milliseconds: 100)
                guard let received = try? server.receive() else { continue }
                switch received.message {
                case .hello: try? server.send(.configuration(configuration), to: received.peer)
                case .heartbeat:
                    left -= 1
                    try? server.send(.heartbeat, to: received.peer)
                default: break
                }
            }
        }
        thread.start()
        return thread
    }

    @Test func computeWritesItsCheckpointAndEndsWhenItsSupervisorIsGone() async throws {
        let endpoint = try Endpoint("ipc://\(folder("control"))")
        _ = try dyingSupervisor(endpoint, runDirectory: folder.path, heartbeats: 2)
        let address = endpoint.address
        let mark = folder("checkpoint")
        await #expect(processExitsWith: .exitCode(75)) { [address = address as String, mark = mark as String] in
            let words = ["--control", address, "--run", "fake", "--stage", "compute", "--id", "1", "--grace", "5000"]
            StageMain.run(.compute, arguments: words, fingerprint: { Fingerprint(versions: [:], hash: "h") }) {
                runtime in
                while !runtime.stop.isStopped { usleep(1000) }
                try DurableFile.write(runtime.stop.reason!.rawValue, to: mark)
            }
        }
        #expect(folder.read("checkpoint") == "supervisorLost")
    }

    @Test func stageThatFailsPrintsOneLineAndExitsWithOne() async throws {
        let endpoint = try Endpoint("ipc://\(folder("control"))")
        _ = try dyingSupervisor(endpoint, runDirectory: folder.path, heartbeats: 1)
        let address = endpoint.address
        let result = await #expect(processExitsWith: .exitCode(1), observing: [\.standardErrorContent]) {
            [address = address as String] in
            let words = ["--control", address, "--run", "fake", "--stage", "compute", "--id", "1"]
            StageMain.run(.compute, arguments: words, fingerprint: { Fingerprint(versions: [:], hash: "h") }) { _ in
                throw UserError("checkpoint step-000500 belongs to another model")
            }
        }
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        let host = ProcessInfo.processInfo.hostName
        #expect(text.contains("Z critical compute-1@\(host): checkpoint step-000500 belongs to another model\n"))
    }

    @Test func stageWithoutAnyArgumentsSaysWhoStartsIt() async {
        let result = await #expect(processExitsWith: .exitCode(2), observing: [\.standardErrorContent]) {
            StageMain.run(.loader, arguments: [], fingerprint: { Fingerprint(versions: [:], hash: "h") }) { _ in }
        }
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text == "picoflow-loader: --control is missing. Stages are started by 'picoflow launch'.\n")
    }
}
