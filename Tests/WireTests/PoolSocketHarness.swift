import Basics
import Foundation
import Testing

@testable import Wire

/// A folder under /tmp for unix sockets (their paths must be short), removed at the end.
final class SocketFolder {
    let path: String

    init() {
        path = "/tmp/pool-\(UInt64.random(in: 0 ... .max))"
        try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func endpoint(_ name: String = "p") -> Endpoint { try! Endpoint("ipc://\(path)/\(name)") }
}

/// Collects what happens on other threads.
final class Recorder<Item: Sendable>: Sendable {
    private let monitor = Monitor<[Item]>([])
    func note(_ item: Item) { monitor.update { $0.append(item) } }
    var all: [Item] { monitor.withLock { $0 } }

    /// Waits until something fits; nil after half a minute, which no healthy test takes.
    func first(where fits: (Item) -> Bool) -> Item? {
        monitor.wait(until: .now() + .seconds(30)) { $0.first(where: fits) }
    }
}

/// A worker on a thread of its own, and how its `run` ended.
final class RunningWorker: Sendable {
    let worker: PoolWorker
    private let outcome = Monitor<Result<Void, any Error>?>(nil)

    init(
        _ name: String, _ endpoints: [Endpoint], context: Context, credit: Int = 2, threads: Int = 1,
        settings: PoolSettings = .quick, onEvent: @escaping @Sendable (PoolEvent) -> Void = { _ in },
        execute: @escaping @Sendable (Ticket, TicketContext) throws -> TicketOutput
    ) throws {
        let worker = try PoolWorker(
            consumers: endpoints, as: Sender(run: "r", name: name), credit: credit, context: context,
            settings: settings, onEvent: onEvent)
        self.worker = worker
        let thread = Thread { [outcome] in
            let result = Result { try worker.run(threads: threads, execute: execute) }
            outcome.update { $0 = result }
        }
        thread.start()
    }

    /// A test that failed leaves no worker behind.
    deinit { worker.stop() }

    /// - Throws: what `run` threw, or an error where it has not returned within half a minute.
    func join() throws {
        guard let result = outcome.wait(until: .now() + .seconds(30), for: { $0 }) else {
            throw UserError("run does not return")
        }
        try result.get()
    }
}

extension PoolSettings {
    /// Times short enough for a test and long enough for a busy machine.
    static var quick: PoolSettings {
        var settings = PoolSettings()
        settings.heartbeat = .milliseconds(50)
        settings.silence = .seconds(5)
        return settings
    }
}

extension PoolConsumer {
    static func quick(
        _ endpoint: Endpoint, context: Context, settings: PoolSettings = .quick,
        onEvent: @escaping @Sendable (PoolEvent) -> Void = { _ in }
    ) throws -> PoolConsumer {
        try PoolConsumer(
            endpoint: endpoint, as: Sender(run: "r", name: "compute-0"), epoch: Epoch(1), context: context,
            settings: settings, onEvent: onEvent)
    }

    /// The next result, which must be there within half a minute.
    func expectNext() throws -> TicketResult { try #require(try next(timeout: .seconds(30))) }
}

/// A peer made of a bare DEALER, for what a proper worker never does.
final class BarePeer {
    let socket: Socket
    var sequence: UInt64 = 0
    var sender: Sender
    var epoch = Epoch(1)

    init(_ name: String, _ endpoint: Endpoint, context: Context) throws {
        sender = Sender(run: "r", name: name)
        socket = try Socket(.dealer, context: context, identity: "\(name)/\(sender.incarnation)")
        try socket.connect(endpoint)
    }

    func send(
        _ type: String, ticket: TicketID? = nil, body: some Encodable = [String: String](), tensors: [WireTensor] = []
    ) throws {
        sequence += 1
        try socket.send(
            Message(
                type, from: sender, epoch: epoch, sequence: sequence, body: body.wireJSON(), tensors: tensors,
                ticket: ticket
            ).frames())
    }

    func ready(credit: Int) throws {
        try send("ready", body: PoolBody.Ready(credit: credit, executing: [], session: 1))
    }

    /// Waits for a message of this type; others are passed over.
    func receive(_ type: String) throws -> Message {
        let end = Instant.now() + .seconds(30)
        while Instant.now() < end {
            while let frames = try socket.receive() {
                let message = try Message(frames: frames, run: nil)
                if message.header.type == type { return message }
            }
            _ = Poller.wait([socket], wakeup: nil, milliseconds: end.millisecondsLeft(at: .now()))
        }
        throw UserError("no '\(type)' came")
    }
}
