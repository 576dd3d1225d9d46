import Basics
import Foundation

@testable import Wire

/// A pool whose network, clock and processes are simulated from a seed: the real cores, with delays, lost and
/// repeated messages, broken connections, killed, stopped and restarted workers, and new epochs in between.
///
/// It models what ZeroMQ gives: per connection, messages arrive in order or not at all; when a connection breaks, what
/// is under way on it is lost; sending to a peer without connection says so.
struct Simulation {
    struct Plan {
        var workers = 3
        var tickets: UInt64 = 40
        var epochs: UInt64 = 3
        var window = 8
        /// Faults happen until then; after that everything must come to an end.
        var calm: Duration = .seconds(60)
        /// Whether the consumer is told of kills.
        var killsAreExpected = true
        /// Whether workers may be stopped for longer than `silence`.
        var stops = true
        /// A ticket that kills whoever executes it.
        var poison: UInt64?
        /// A ticket that fails wherever it is executed.
        var failing: UInt64?
        var skipFailed = false
        /// Whether the consumer itself is replaced at an epoch's end, instead of a reset.
        var restartsConsumer = false
        /// Every other worker is of generation 1, and so are the tickets from this one on.
        var swapAt: UInt64?
        /// Every other worker is of generation 1, and so is every third ticket.
        var mixesGenerations = false

        var hasGenerations: Bool { swapAt != nil || mixesGenerations }

        func generation(ofTicket id: UInt64) -> Generation {
            if let swapAt { return id >= swapAt ? Generation(1) : .first }
            return mixesGenerations && id % 3 == 0 ? Generation(1) : .first
        }

        func generation(ofWorker index: Int) -> Generation {
            hasGenerations && index % 2 == 1 ? Generation(1) : .first
        }
    }

    enum Happening {
        case toConsumer(worker: Int, connection: Int, frames: [SharedBytes])
        case toWorker(Int, connection: Int, frames: [SharedBytes])
        case workerTick(Int, life: Int)
        case consumerTick
        case executed(Int, life: Int, id: PoolWorkerCore.ExecutionID, Ticket)
        case killed(Int, life: Int)
        case revive(Int)
        case fault
    }

    struct Node {
        var core: PoolWorkerCore?
        var life = 0
        var incarnation: Incarnation
        /// Counts its connections; messages of an earlier one are lost.
        var connection = 0
        var isConnected = true
        var stoppedUntil = Instant(nanoseconds: 0)
        var lastArrivalHere = Instant(nanoseconds: 0)
        var lastArrivalThere = Instant(nanoseconds: 0)
        var name: String
        var peer: PeerID { PeerID("\(name)/\(incarnation)") }
    }

    let plan: Plan
    let settings: PoolSettings
    var random: KeyedRandom
    var now = Instant(nanoseconds: 1)
    var consumer: PoolConsumerCore
    var consumerLife = 1
    var nodes: [Node] = []
    /// Sorted by time, then by when it was scheduled.
    private var agenda: [(at: Instant, order: UInt64, what: Happening)] = []
    private var scheduled: UInt64 = 0

    // The consumer's program: `tickets` per epoch, `window` of them under way.
    private(set) var epoch = Epoch(1)
    private var nextIssued: UInt64 = 1
    private(set) var delivered: [TicketResult] = []
    private(set) var failure: PoolFailure?
    private(set) var problem: String?
    private(set) var isDone = false
    private(set) var executions = 0
    private(set) var faults = 0

    init(seed: UInt64, plan: Plan) {
        self.plan = plan
        var settings = PoolSettings()
        settings.skipFailed = plan.skipFailed
        // Workers that are killed at random while they execute must not bring the pool to its end.
        if plan.poison == nil { settings.isolatedDeaths = 1_000_000 }
        self.settings = settings
        random = KeyedRandom(seed: seed, purpose: "pool simulation")
        consumer = Self.consumerCore(1, Epoch(1), settings, now)
        for index in 0..<plan.workers {
            nodes.append(Node(incarnation: Incarnation(rawValue: ""), name: "w\(index)"))
            revive(index)
        }
        schedule(.consumerTick, at: now)
        schedule(.fault, at: now + .milliseconds(500))
    }

    private static func consumerCore(_ life: Int, _ epoch: Epoch, _ settings: PoolSettings, _ now: Instant)
        -> PoolConsumerCore
    {
        PoolConsumerCore(
            as: Sender(run: "sim", name: "compute-0", incarnation: Incarnation(rawValue: "c\(life)")), epoch: epoch,
            settings: settings, now: now)
    }

    /// What a ticket's result is, wherever it is computed: a hash of all that the ticket carries.
    static func output(_ ticket: Ticket) -> TicketOutput {
        var hash = SHA256()
        hash.update(SharedBytes(ticket.body))
        for tensor in ticket.tensors { hash.update(tensor.bytes) }
        return TicketOutput(
            body: Data("\"\(hash.hex())\"".utf8),
            tensors: [try! WireTensor(name: "y", shape: [1], floats: [Float(ticket.id.rawValue)])])
    }

    static func ticket(_ epoch: Epoch, _ id: UInt64, _ generation: Generation = .first) -> Ticket {
        Ticket(
            id: TicketID(id), body: Data("{\"epoch\":\(epoch),\"seed\":\(id &* 77)}".utf8),
            tensors: [try! WireTensor(name: "x", shape: [2], floats: [Float(id), Float(epoch.rawValue)])],
            generation: generation)
    }

    // MARK: Running

    /// Runs until the consumer has what it wants, something is wrong, or far too much time has passed.
    mutating func run() {
        issueMore()
        let end = now + plan.calm + .seconds(600)
        while problem == nil, !isDone, failure == nil {
            let next = agenda.removeFirst()
            now = next.at
            guard now < end else {
                problem = "stuck in epoch \(epoch) after \(delivered.count) results: \(consumer.statistics)"
                return
            }
            happen(next.what)
        }
    }

    private mutating func schedule(_ what: Happening, at: Instant) {
        scheduled += 1
        var low = 0
        var high = agenda.count
        while low < high {
            let middle = (low + high) / 2
            if agenda[middle].at <= at { low = middle + 1 } else { high = middle }
        }
        agenda.insert((at, scheduled, what), at: low)
    }

    private mutating func delay(_ low: Int, _ high: Int) -> Duration { .milliseconds(low + random.below(high - low)) }

    private mutating func happen(_ what: Happening) {
        switch what {
        case .toConsumer(let index, let connection, let frames):
            guard nodes[index].connection == connection else { return }
            perform(consumer.handle(.received(from: nodes[index].peer, frames: frames), now: now))
        case .toWorker(let index, let connection, let frames):
            guard nodes[index].connection == connection, nodes[index].core != nil else { return }
            guard !postpone(what, index) else { return }
            tell(index, .received(consumer: 0, frames: frames))
        case .workerTick(let index, let life):
            guard nodes[index].life == life, nodes[index].core != nil, !postpone(what, index) else { return }
            tell(index, .tick)
            if let next = nodes[index].core?.nextDeadline {
                schedule(.workerTick(index, life: life), at: max(next, now + .milliseconds(1)))
            }
        case .consumerTick:
            perform(consumer.handle(.tick, now: now))
            schedule(.consumerTick, at: max(consumer.nextDeadline, now + .milliseconds(1)))
        case .executed(let index, let life, let id, let ticket):
            guard nodes[index].life == life, nodes[index].core != nil, !postpone(what, index) else { return }
            if ticket.id.rawValue == plan.failing {
                tell(index, .finished(id, .failed("bad sample \(ticket.id)")))
            } else {
                tell(index, .finished(id, .output(Self.output(ticket))))
            }
        case .killed(let index, let life):
            if nodes[index].life == life { kill(index) }
        case .revive(let index): revive(index)
        case .fault:
            guard now.nanoseconds < plan.calm.wholeNanoseconds else { return }
            fault()
            schedule(.fault, at: now + delay(50, 2000))
        }
    }

    /// A stopped process does what happens to it when it goes on, in the same order.
    private mutating func postpone(_ what: Happening, _ index: Int) -> Bool {
        guard now < nodes[index].stoppedUntil else { return false }
        schedule(what, at: nodes[index].stoppedUntil)
        return true
    }

    // MARK: Faults

    private mutating func fault() {
        faults += 1
        let index = random.below(nodes.count)
        switch random.below(plan.stops ? 7 : 5) {
        case 0, 1:  // what is under way is lost, the connection is there again before anybody notices
            nodes[index].connection += 1
        case 2:  // a broken connection
            nodes[index].connection += 1
            nodes[index].isConnected = false
        case 3:
            if !nodes[index].isConnected { nodes[index].isConnected = true }
        case 4:
            guard nodes[index].core != nil else { return }
            if plan.killsAreExpected || plan.poison != nil {
                perform(consumer.handle(.expectLoss(nodes[index].name), now: now))
            }
            kill(index)
        default:  // SIGSTOP
            nodes[index].stoppedUntil = now + delay(100, 15_000)
        }
    }

    private mutating func kill(_ index: Int) {
        guard nodes[index].core != nil else { return }
        nodes[index].core = nil
        nodes[index].connection += 1
        nodes[index].isConnected = false
        schedule(.revive(index), at: now + delay(10, 4000))
    }

    private mutating func revive(_ index: Int) {
        nodes[index].life += 1
        nodes[index].incarnation = Incarnation(rawValue: "i\(index).\(nodes[index].life)")
        nodes[index].connection += 1
        nodes[index].isConnected = true
        nodes[index].stoppedUntil = now
        nodes[index].core = PoolWorkerCore(
            as: Sender(run: "sim", name: nodes[index].name, incarnation: nodes[index].incarnation), consumers: ["c"],
            generation: plan.generation(ofWorker: index), credit: 1 + random.below(4), executors: 1, settings: settings,
            now: now)
        schedule(.workerTick(index, life: nodes[index].life), at: now)
    }

    // MARK: The shells' part

    private mutating func tell(_ index: Int, _ event: PoolWorkerCore.Event) {
        guard let actions = nodes[index].core?.handle(event, now: now) else { return }
        for action in actions {
            switch action {
            case .send(_, let frames):
                if now.nanoseconds >= plan.calm.wholeNanoseconds { nodes[index].isConnected = true }
                guard nodes[index].isConnected else { continue }
                let arrival = max(now + delay(0, 40), nodes[index].lastArrivalThere)
                nodes[index].lastArrivalThere = arrival
                let copies = random.below(20) == 0 ? 2 : 1
                for _ in 0..<copies {
                    schedule(
                        .toConsumer(worker: index, connection: nodes[index].connection, frames: frames), at: arrival)
                }
            case .execute(let id, let ticket, _, _):
                executions += 1
                if plan.generation(ofTicket: ticket.id.rawValue) != plan.generation(ofWorker: index) {
                    problem = "\(nodes[index].name) got ticket \(ticket.id), which is of another generation"
                }
                if ticket.id.rawValue == plan.poison {
                    schedule(.killed(index, life: nodes[index].life), at: now + delay(50, 100))
                } else {
                    schedule(.executed(index, life: nodes[index].life, id: id, ticket), at: now + delay(5, 400))
                }
            case .cancel, .report: break
            case .end(let error): problem = "\(nodes[index].name) ended: \(String(describing: error))"
            }
        }
    }

    private mutating func perform(_ actions: [PoolConsumerCore.Action]) {
        var gone: [PeerID] = []
        for action in actions {
            switch action {
            case .send(let peer, let frames):
                guard let index = nodes.firstIndex(where: { $0.peer == peer }), nodes[index].isConnected else {
                    if !gone.contains(peer) { gone.append(peer) }
                    continue
                }
                let arrival = max(now + delay(0, 40), nodes[index].lastArrivalHere)
                nodes[index].lastArrivalHere = arrival
                schedule(.toWorker(index, connection: nodes[index].connection, frames: frames), at: arrival)
            case .deliver(let result): take(result)
            case .fail(let reason): failure = reason
            case .report: break
            }
        }
        for worker in consumer.statistics.workers where worker.held > worker.credit {
            problem = "\(worker.name) has \(worker.held) tickets on a credit of \(worker.credit)"
        }
        for peer in gone { perform(consumer.handle(.unreachable(peer), now: now)) }
        if failure == nil, !isDone { issueMore() }
    }

    // MARK: The consumer's program

    private mutating func take(_ result: TicketResult) {
        let expected = UInt64(delivered.count + 1)
        let ticket = Self.ticket(epoch, expected)
        let output = Self.output(ticket)
        if result.id.rawValue != expected {
            problem = "ticket \(result.id) came where \(expected) was due"
        } else if result.skipped != nil {
            if expected != plan.poison && expected != plan.failing { problem = "ticket \(expected) was skipped" }
        } else if expected == plan.poison || expected == plan.failing {
            problem = "ticket \(expected) has a result"
        } else if result.body != output.body || result.tensors[0].bytes.data != output.tensors[0].bytes.data {
            problem = "ticket \(expected) of epoch \(epoch) has another ticket's result"
        }
        delivered.append(result)
    }

    private mutating func issueMore() {
        // In the first epochs the consumer turns back half way, with tickets under way.
        if epoch.rawValue < plan.epochs, delivered.count >= plan.tickets / 2 {
            epoch = Epoch(epoch.rawValue + 1)
            delivered = []
            nextIssued = 1
            if plan.restartsConsumer {
                consumerLife += 1
                consumer = Self.consumerCore(consumerLife, epoch, settings, now)
                for index in nodes.indices { nodes[index].connection += 1 }
            } else {
                perform(consumer.handle(.reset(epoch), now: now))
            }
        }
        while nextIssued <= plan.tickets, Int(nextIssued) <= delivered.count + plan.window {
            let ticket = try! PoolConsumerCore.IssuedTicket(
                Self.ticket(epoch, nextIssued, plan.generation(ofTicket: nextIssued)), limits: settings.limits)
            nextIssued += 1
            perform(consumer.handle(.issue(ticket), now: now))
            if problem != nil || failure != nil { return }
        }
        if epoch.rawValue == plan.epochs, delivered.count == plan.tickets { isDone = true }
    }
}
