import Foundation

/// A ticket's number. Within an epoch numbers strictly ascend, and results are handed on in their order.
public struct TicketID: RawRepresentable, Codable, Hashable, Comparable, Sendable, ExpressibleByIntegerLiteral,
    CustomStringConvertible
{
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public init(_ value: UInt64) { rawValue = value }
    public init(integerLiteral value: UInt64) { rawValue = value }
    public var description: String { String(rawValue) }
    public var next: TicketID { TicketID(rawValue + 1) }
    public static func < (a: TicketID, b: TicketID) -> Bool { a.rawValue < b.rawValue }
}

/// A unit of work. It carries all that its result depends on, so that whoever executes it produces the same bytes.
public struct Ticket: Sendable {
    public var id: TicketID
    /// JSON; what it says is the stage's matter.
    public var body: Data
    public var tensors: [WireTensor]
    /// Whose workers may execute it. The consumer's matter: a worker only ever gets tickets of its own.
    public var generation: Generation

    public init(
        id: TicketID, body: Data = Data("{}".utf8), tensors: [WireTensor] = [], generation: Generation = .first
    ) {
        self.id = id
        self.body = body
        self.tensors = tensors
        self.generation = generation
    }
}

/// What executing a ticket gave: the worker's side of a result.
public struct TicketOutput: Sendable {
    /// JSON.
    public var body: Data
    public var tensors: [WireTensor]

    public init(body: Data = Data("{}".utf8), tensors: [WireTensor] = []) {
        self.body = body
        self.tensors = tensors
    }
}

/// A ticket's result as the consumer gets it.
public struct TicketResult: Sendable {
    public var id: TicketID
    /// JSON; `{}` where the ticket was skipped.
    public var body: Data
    public var tensors: [WireTensor]
    /// Who executed it, for logs; nothing may depend on it. Empty where the ticket was skipped.
    public var worker: String
    /// Why there is no result, in one line; only with `PoolSettings.skipFailed`. Nil for a result.
    public var skipped: String?

    public init(id: TicketID, body: Data, tensors: [WireTensor], worker: String, skipped: String? = nil) {
        self.id = id
        self.body = body
        self.tensors = tensors
        self.worker = worker
        self.skipped = skipped
    }
}

/// Why a pool cannot go on: one ticket that no worker can execute.
public struct PoolFailure: Error, Sendable, Equatable, CustomStringConvertible {
    public var ticket: TicketID
    public var epoch: Epoch
    /// The worker that said so, or the workers that died of it.
    public var workers: [String]
    /// One line: what the worker said, or how often it died.
    public var message: String

    public var description: String {
        "ticket \(ticket) of epoch \(epoch) (\(workers.joined(separator: ", "))): \(message)"
    }
}

/// What a call to a pool's end can be refused for, and why a worker's `run` ends with an error.
public enum PoolError: Error, Sendable, Equatable, CustomStringConvertible {
    case closed
    case ticketNotAscending(TicketID, after: TicketID)
    case epochNotAscending(Epoch, after: Epoch)
    case ticketTooLarge(TicketID, String)
    /// The consumer does not want this worker; the text is the consumer's.
    case refused(worker: String, consumer: String, reason: String)
    /// The consumer kept sending frames that break the protocol.
    case badConsumer(String, lastReason: String)

    public var description: String {
        switch self {
        case .closed: "the pool is closed"
        case .ticketNotAscending(let id, let last): "ticket \(id) issued after \(last); ids must ascend"
        case .epochNotAscending(let epoch, let last): "epoch \(epoch) after epoch \(last); epochs must ascend"
        case .ticketTooLarge(let id, let why): "ticket \(id): \(why)"
        case .refused(let worker, let consumer, let reason): "\(consumer) refuses \(worker): \(reason)"
        case .badConsumer(let consumer, let reason): "\(consumer) keeps sending bad frames, the last: \(reason)"
        }
    }
}

/// The numbers of a pool. The consumer's times hold for both ends: it tells its workers in `welcome`.
public struct PoolSettings: Sendable {
    /// How often each end says that it lives. A second is long against a small message's cost (microseconds) and
    /// short against the time a lost ticket may hold up a step.
    public var heartbeat: Duration = .seconds(1)
    /// After how long without any message the other end counts as gone. Ten heartbeats: a machine that swaps or a
    /// disk that hangs for seconds is no death, and a dead process is seen earlier by its closed connection.
    public var silence: Duration = .seconds(10)
    /// After so many deaths of workers that had nothing but this ticket, the ticket is at fault. One may be the
    /// machine's out-of-memory killer, two bad luck.
    public var isolatedDeaths: Int = 3
    /// Whether `next` hands on a result marked as skipped for a ticket that failed, instead of throwing.
    public var skipFailed = false
    /// After so many bad frames a peer is cut off. An honest peer sends none; a peer of another version or run shows
    /// within the messages it has under way, and these get an answer that says so.
    public var badFrameLimit = 16
    /// Bad frames are reported at most this often, with a count of the unreported; a flood must not fill the disk.
    public var badFrameReports: Duration = .seconds(1)
    /// What a received message may have.
    public var limits = MessageLimits()

    public init() {}
}

/// A pool's numbers at one moment, for metrics; counts are since the start.
public struct PoolStatistics: Sendable, Equatable {
    public struct Worker: Sendable, Equatable {
        public var name: String
        public var credit: Int
        public var held: Int
        public var executing: [TicketID]
        public var draining: Bool
        public var generation = Generation.first
    }

    public var epoch = Epoch(0)
    /// In the order in which they joined.
    public var workers: [Worker] = []
    /// Tickets that wait for a worker.
    public var queued = 0
    /// Tickets that a worker has.
    public var inFlight = 0
    /// Results that wait for an earlier ticket's.
    public var waiting = 0
    /// Results in their turn that nobody has taken yet.
    public var ready = 0
    public var issued = 0
    public var delivered = 0
    /// Tickets given out again after their worker was lost or left.
    public var reissued = 0
    /// Results, and other messages, that had been there before.
    public var duplicates = 0
    /// Messages of older epochs.
    public var stale = 0
    /// Bad frames by what was wrong with them.
    public var frames = FrameCounts()
    public var badFrames: Int { frames.badFrames }
    public var cutOffPeers: Int { frames.cutOffPeers }
    public var refusedPeers = 0
    public var lostWorkers = 0
    public var skipped = 0
    public var traffic = Traffic()

    /// Credit of all workers together.
    public var credit: Int { workers.reduce(0) { $0 + $1.credit } }

    /// The workers that take a generation's tickets.
    public func workers(of generation: Generation) -> [Worker] {
        workers.filter { $0.generation == generation && !$0.draining }
    }

    public init() {}
}

/// Stack of a pool's threads: that of a process's first thread, as tickets are executed on them; Foundation's default
/// is 512 KiB.
let threadStackBytes = 8 << 20
