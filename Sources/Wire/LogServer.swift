import Basics
import Foundation

/// The bank's end of the log: one bound ROUTER and one thread that reduces, stores and serves.
///
/// A record is durable before it is acknowledged. Followers are served from the newest records in memory and from
/// the files beyond, so one that is slow costs nobody anything.
public final class LogServer: Sendable {
    /// Where the log is.
    public struct Position: Sendable, Equatable {
        public var epoch: Epoch
        public var sequence: SequenceNumber
        public var hash: LogHash
    }

    private struct State {
        var position: Position
        var statistics = LogServerStatistics()
        var endpoint: Result<Endpoint, any Error>?
        var isStopping = false
        var ended: Result<Void, any Error>?
    }

    private let mailbox: LogMailbox<Void, State>

    /// Opens the storage, restores the state, binds and starts serving.
    ///
    /// - Parameters:
    ///   - others: further addresses of the same log, TCP for followers on other hosts.
    ///   - folder: the log's own storage; made where missing.
    ///   - reducer: the empty state.
    ///   - knownEpoch: the newest epoch that the run's journal knows; only newer ones are opened.
    ///   - onNote: gets one line per notable event, on the server's thread.
    /// - Throws: `LogError.storage` for damaged files, `WireError.socket` where the endpoint cannot be bound.
    public init<Reducer: LogReducer & Sendable>(
        bind endpoint: Endpoint, alsoAt others: [Endpoint] = [], as sender: Sender, context: Context, folder: String,
        reducer: Reducer,
        start: LogStart, knownEpoch: Epoch = Epoch(0), settings: LogSettings = LogSettings(),
        onNote: @escaping @Sendable (String) -> Void = { _ in }
    ) throws {
        MessageMemory.giveBackLargeFrames()
        let engine = try LogServerEngine(
            folder: folder, reducer: reducer, start: start, knownEpoch: knownEpoch, sender: sender, settings: settings,
            onNote: onNote)
        let mailbox = LogMailbox<Void, State>(State(position: engine.position))
        self.mailbox = mailbox
        // The engine has one owner at a time: it is handed to the thread before anything else can reach it.
        nonisolated(unsafe) let handed = engine
        LogThread.start("log-server") {
            let outcome = Result {
                try Self.serve(
                    handed, endpoints: [endpoint] + others, context: context, sender: sender, settings: settings,
                    mailbox: mailbox)
            }
            mailbox.locked { state in
                if state.endpoint == nil, case .failure(let error) = outcome { state.endpoint = .failure(error) }
                state.ended = outcome
            }
        }
        _ = try mailbox.wait(nil) { try $0.endpoint?.get() }
    }

    deinit {
        mailbox.locked { $0.isStopping = true }
        mailbox.wakeup.signal()
    }

    private static func serve<Reducer: LogReducer>(
        _ engine: LogServerEngine<Reducer>, endpoints: [Endpoint], context: Context, sender: Sender,
        settings: LogSettings, mailbox: LogMailbox<Void, State>
    ) throws {
        let clock = LogClock()
        let socket = try Socket(.router, context: context, maxMessageBytes: settings.limits.tensorBytes)
        try socket.bind(endpoints[0])
        let bound = try socket.boundEndpoint()
        for other in endpoints.dropFirst() { try socket.bind(other) }
        mailbox.locked { $0.endpoint = .success(bound) }
        func publish() {
            mailbox.locked { state in
                state.position = engine.position
                state.statistics = engine.statistics
                state.statistics.traffic = socket.traffic
            }
        }
        while !mailbox.locked({ $0.isStopping }) {
            _ = Poller.wait([socket], wakeup: mailbox.wakeup, milliseconds: -1)
            for _ in 0..<LogThread.burst {
                guard let frames = try socket.receive(maxFrames: settings.limits.tensors + 3) else { break }
                let peer = LogPeer(id: frames[0].array())
                guard engine.admits(peer) else { continue }
                let event: LogServerCore<Reducer>.Event
                var check = FrameCheck.frames
                do {
                    event = .received(
                        peer,
                        try Message(
                            frames: Array(frames[1...]), run: sender.run, limits: settings.limits, check: &check))
                } catch {
                    event = .malformed(peer, "\(error)", check)
                }
                try engine.handle(event, now: clock.now) { peer, message in
                    // Whoever gets an answer finds the position that it tells of.
                    publish()
                    return try socket.send([SharedBytes(peer.id)] + message.frames()) == .sent
                }
            }
            publish()
        }
    }

    /// The address that peers connect to; for `tcp://…:0` with the port it got.
    public var boundEndpoint: Endpoint {
        get throws { try mailbox.wait(nil) { try $0.endpoint?.get() }! }
    }

    public var position: Position { mailbox.locked { $0.position } }
    public var statistics: LogServerStatistics { mailbox.locked { $0.statistics } }

    /// Asks the thread to end; `waitUntilStopped` returns then.
    public func stop() {
        mailbox.locked { $0.isStopping = true }
        mailbox.wakeup.signal()
    }

    /// Waits until the server has ended and its socket is closed.
    ///
    /// - Returns: false where the time was over first.
    /// - Throws: what ended it, for instance a full disk.
    @discardableResult
    public func waitUntilStopped(timeout: Duration? = nil) throws -> Bool {
        try mailbox.wait(timeout) { try $0.ended?.get() } != nil
    }
}
