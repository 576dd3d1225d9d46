import ArgumentParser
import Basics
import BenchKit
import Foundation
import Wire

/// The workers of one measurement, all in this process.
struct PoolWorkers: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "pool-workers", shouldDisplay: false)

    @Option var endpoint: String
    @Option var workers: Int
    @Option var bytes: Int

    /// So many run as they do in a stage, with two threads each; two thousand threads on one core would measure the
    /// scheduler, so more workers share one thread.
    static let threaded = 16

    func run() throws {
        Child.endWithParent()
        try Usage.allowFiles(2 * workers + 128, for: "\(workers) workers in one process")
        let context = Context(maxSockets: workers + 64)
        let output = try self.output()
        let endpoint = try Endpoint(endpoint)
        guard workers <= Self.threaded else {
            return try WorkerFleet(endpoint, count: workers, output: output, context: context).run()
        }
        let group = DispatchGroup()
        for index in 0..<workers {
            let worker = try PoolWorker(
                consumers: [endpoint], as: Sender(run: "bench", name: "worker-\(index)"), credit: PoolCase.credit,
                context: context)
            group.enter()
            Thread {
                try? worker.run { _, _ in output }
                group.leave()
            }.start()
        }
        group.wait()
    }

    /// A sample as a loader sends it: an RGB image and its label map.
    private func output() throws -> TicketOutput {
        guard bytes > 0 else { return TicketOutput(body: Data(#"{"name":"a.jpg"}"#.utf8)) }
        let image = bytes / 4 * 3
        func tensor(_ name: String, _ count: Int) throws -> WireTensor {
            // Written, so that the pages are there.
            try WireTensor(
                name: name, dtype: .uint8, shape: [count],
                bytes: SharedBytes(count: count) { _ = $0.initializeMemory(as: UInt8.self, repeating: 7) })
        }
        return TicketOutput(
            body: Data(#"{"name":"a.jpg"}"#.utf8),
            tensors: [try tensor("image", image), try tensor("label", bytes - image)])
    }
}

/// Many workers on one thread: a socket and a protocol core each, and one wait for all of them.
final class WorkerFleet {
    private var cores: [PoolWorkerCore] = []
    private let sockets: [Socket]
    private let output: TicketOutput
    private let set: SocketSet

    init(_ endpoint: Endpoint, count: Int, output: TicketOutput, context: Context) throws {
        self.output = output
        var sockets: [Socket] = []
        for index in 0..<count {
            let sender = Sender(run: "bench", name: "worker-\(index)")
            let socket = try Socket(
                .dealer, context: context, identity: "\(sender.name)/\(sender.incarnation)", onlyWhileConnected: true)
            try socket.connect(endpoint)
            sockets.append(socket)
            cores.append(
                PoolWorkerCore(
                    as: sender, consumers: [endpoint.address], credit: PoolCase.credit, settings: PoolSettings(),
                    now: .now()))
        }
        self.sockets = sockets
        set = try SocketSet(sockets)
    }

    /// Works until the process is killed.
    func run() throws {
        var nextTick = Instant.now()
        while true {
            for index in set.wait(milliseconds: nextTick.millisecondsLeft(at: .now())) { try listen(index) }
            guard Instant.now() >= nextTick else { continue }
            nextTick = .now() + .milliseconds(100)
            for index in sockets.indices {
                try perform(cores[index].handle(.tick, now: .now()), index)
                try listen(index)
            }
        }
    }

    /// Reads what is there to its end, also after what it sends; see `SocketSet`.
    private func listen(_ index: Int) throws {
        while let frames = try sockets[index].receive() {
            try perform(cores[index].handle(.received(consumer: 0, frames: frames), now: .now()), index)
        }
    }

    private func perform(_ actions: [PoolWorkerCore.Action], _ index: Int) throws {
        for action in actions {
            switch action {
            case .send(_, let frames): try sockets[index].send(frames)
            case .execute(let id, _, _, _):
                try perform(cores[index].handle(.finished(id, .output(output)), now: .now()), index)
            case .end(let error): throw error ?? UserError("worker \(index) has left")
            case .cancel, .report: break
            }
        }
    }
}
