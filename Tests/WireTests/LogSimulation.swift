import Basics
import Foundation
import Testing

@testable import Wire

/// A whole log in one thread: the real cores and files, a network and a clock made of seeded randomness.
///
/// Each connection keeps its order. Messages take random times, arrive twice now and then, and are lost when their
/// connection breaks; the bank and the followers crash and come back, compute, of one rank or several, starts new epochs.
final class LogSimulation {
    private struct Delivery {
        var time: Duration
        var order: Int
        var peer: LogPeer
        var toBank: Bool
        var message: Message
    }

    private final class Follower {
        var core: LogFollowerCore
        var sender: Sender
        var peer: LogPeer
        var replica = Ring()
        var asked: LogFollowerCore.Goal?
        var reached: SequenceNumber?
        var pause: Duration
        var startsAt: Duration
        var nextAsk: Duration
        var crashes = 0

        init(_ name: String, id: UInt8, pause: Duration, startsAt: Duration, settings: LogSettings) {
            core = LogFollowerCore(settings: settings)
            sender = Sender(run: "r", name: name)
            peer = LogPeer(id: [id, 0])
            self.pause = pause
            self.startsAt = startsAt
            nextAsk = startsAt
        }
    }

    private let seed: UInt64
    private var random: KeyedRandom
    private let settings = LogSettings()
    private let folder = LogTestFolder()
    private let total: UInt64
    private let model: [(slots: [Int32], hash: LogHash)]

    private var now = Duration.zero
    private var order = 0
    private var wires: [LogPeer: (toBank: [Delivery], toPeer: [Delivery])] = [:]
    private var peersInOrder: [LogPeer] = []
    private var engine: LogServerEngine<Ring>?
    private var bankSender = Sender(run: "r", name: "bank-1")

    /// A rank of compute.
    private final class Writer {
        let rank: Int
        var core: LogWriterCore
        let sender: Sender
        let peer: LogPeer
        var isOpen = false
        var appended: SequenceNumber
        var acknowledged: SequenceNumber

        init(rank: Int, of ranks: Int, epoch: UInt64, at position: SequenceNumber, settings: LogSettings) {
            self.rank = rank
            core = LogWriterCore(settings: settings, rank: rank, ranks: ranks)
            sender = Sender(run: "r", name: "compute-\(rank + 1)")
            peer = LogPeer(id: [1, UInt8(epoch % 250), UInt8(rank)])
            appended = position
            acknowledged = position
        }
    }

    private var epoch: UInt64 = 0
    private let ranks: Int
    private var writers: [Writer] = []
    private var nextAppend = Duration.zero
    private var tokens: UInt64 = 0
    private var checkpoints: [UInt64: SequenceNumber] = [:]
    private var checkpointing = false
    private var followers: [Follower] = []

    private(set) var comparisons = 0
    private(set) var backwards = 0
    private(set) var restarts = 0

    init(seed: UInt64, total: UInt64, ranks: Int = 1) throws {
        self.seed = seed
        self.ranks = ranks
        self.total = total
        random = KeyedRandom(seed: seed, purpose: "log-simulation")
        model = try Ring.model(total)
        followers = [
            Follower("miner-1", id: 11, pause: .milliseconds(1), startsAt: .zero, settings: settings),
            // Joins late.
            Follower("miner-2", id: 12, pause: .milliseconds(5), startsAt: .milliseconds(2500), settings: settings),
            // Works for longer than a step takes and falls behind.
            Follower("miner-3", id: 13, pause: .milliseconds(400), startsAt: .zero, settings: settings),
        ]
        try startBank(.empty)
        try openEpoch()
    }

    private func delay(_ low: Int, _ high: Int) -> Duration { .milliseconds(low + random.below(high - low)) }

    // MARK: The network

    private func post(_ peer: LogPeer, toBank: Bool, _ message: Message) throws {
        if wires[peer] == nil {
            wires[peer] = ([], [])
            peersInOrder.append(peer)
        }
        // What arrives was encoded and decoded again.
        let decoded = try Message(frames: message.frames(), run: "r")
        let copies = random.below(12) == 0 ? 2 : 1
        for _ in 0..<copies {
            order += 1
            let queue = toBank ? wires[peer]!.toBank : wires[peer]!.toPeer
            let time = max(queue.last?.time ?? .zero, now + delay(0, 30))
            let delivery = Delivery(time: time, order: order, peer: peer, toBank: toBank, message: decoded)
            if toBank { wires[peer]!.toBank.append(delivery) } else { wires[peer]!.toPeer.append(delivery) }
        }
    }

    /// All that is under way to and from a peer is lost.
    private func breakConnection(_ peer: LogPeer) { wires[peer] = ([], []) }

    private func nextDelivery() -> Delivery? {
        var best: Delivery?
        for peer in peersInOrder {
            for candidate in [wires[peer]!.toBank.first, wires[peer]!.toPeer.first] {
                guard let candidate else { continue }
                if best == nil || (candidate.time, candidate.order) < (best!.time, best!.order) { best = candidate }
            }
        }
        return best
    }

    // MARK: The bank

    private func startBank(_ start: LogStart) throws {
        engine = nil
        bankSender = Sender(run: "r", name: "bank-1")
        engine = try LogServerEngine(
            folder: folder.file("bank"), reducer: Ring(), start: start, knownEpoch: Epoch(0), sender: bankSender,
            settings: settings, onNote: { _ in })
    }

    private func crashBank() throws {
        for peer in peersInOrder { breakConnection(peer) }
        if random.below(2) == 0 {
            // A record that it had begun to write.
            let records = try FileManager.default.contentsOfDirectory(atPath: folder.file("bank"))
                .filter { $0.hasPrefix("records-") }.sorted()
            let handle = FileHandle(forWritingAtPath: folder.file("bank/" + records.last!))!
            handle.seekToEndOfFile()
            handle.write(Data([200, 1, 0, 0, 0, 0, 0, 0, 77]))
            handle.closeFile()
        }
        try startBank(.existing)
        restarts += 1
    }

    // MARK: Compute

    private func openEpoch() throws {
        epoch += 1
        checkpointing = false
        checkpoints = [:]
        // Where a checkpoint of the run would be; here always the bank's own position.
        let position = engine!.position.sequence
        writers = (0..<ranks).map {
            Writer(rank: $0, of: ranks, epoch: epoch, at: position, settings: settings)
        }
        nextAppend = now
        let opening = epoch
        for writer in writers where epoch == opening {
            try writerActs(writer, writer.core.handle(.open(Epoch(epoch), position), now: now))
        }
    }

    private func writerActs(_ writer: Writer, _ actions: [LogWriterCore.Action]) throws {
        for action in actions {
            switch action {
            case .send(let type, let body, let tensors):
                order += 1
                try post(
                    writer.peer, toBank: true,
                    Message(
                        type.rawValue, from: writer.sender, epoch: writer.core.epoch, sequence: UInt64(order),
                        body: body, tensors: tensors))
            case .opened: writer.isOpen = true
            case .acknowledged(let sequence, let hash):
                #expect(hash == model[Int(sequence.rawValue)].hash, "seed \(seed): acknowledged \(sequence)")
                #expect(sequence == writer.acknowledged.next, "seed \(seed)")
                writer.acknowledged = sequence
            case .finished(let token, let checkpoint):
                if let checkpoint {
                    checkpointing = false
                    #expect(checkpoint.sequence == checkpoints[token], "seed \(seed)")
                    #expect(checkpoint.hash == model[Int(checkpoint.sequence.rawValue)].hash, "seed \(seed)")
                    tokens += 1
                    try writerActs(
                        writer, writer.core.handle(.control(.retain(checkpoint.sequence), token: tokens), now: now))
                }
            case .controlRefused(_, let error), .failed(let error):
                // An open that raced with records of the epoch before; anything else is wrong.
                guard case .refused(.sequence, _) = error, !writer.isOpen else {
                    Issue.record("seed \(seed): rank \(writer.rank) failed: \(error)")
                    return
                }
                return try openEpoch()
            case .note: break
            }
        }
    }

    private var isOpen: Bool { writers.allSatisfy(\.isOpen) }
    /// Of the slowest rank.
    private var acknowledged: SequenceNumber { writers.map(\.acknowledged).min()! }

    /// One of the ranks takes its next step.
    private func computeActs() throws {
        nextAppend = now + delay(20, 120)
        let writer = ranks == 1 ? writers[0] : writers[random.below(ranks)]
        guard isOpen, writer.appended < SequenceNumber(total), writer.rank > 0 || !checkpointing else { return }
        // Compute may run one step ahead of what is durable, and no further than the slowest miner's 8.
        let slowest = followers.filter { $0.startsAt <= now }.map { $0.reached ?? SequenceNumber(0) }.min()
        guard writer.appended.rawValue < acknowledged.rawValue + 3,
            writer.appended.rawValue < (slowest?.rawValue ?? 0) + 8
        else { return }
        writer.appended = writer.appended.next
        let next = writer.appended
        let record =
            try ranks == 1
            ? Ring.logical(next.rawValue) : Ring.logical(next.rawValue, rank: writer.rank, of: ranks)
        try writerActs(writer, writer.core.handle(.append(next, record), now: now))
        // Rank 0 waits for its checkpoint, so the log cannot go beyond that step.
        if writer.rank == 0, random.below(6) == 0 {
            checkpointing = true
            tokens += 1
            checkpoints[tokens] = next
            let target = folder.file("checkpoint")
            try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
            try writerActs(
                writer, writer.core.handle(.control(.checkpoint(next, folder: target), token: tokens), now: now))
        }
    }

    // MARK: Followers

    private func ask(_ follower: Follower) throws {
        var target = min(total, (follower.reached?.rawValue ?? 0) + UInt64(1 + random.below(3)))
        if let reached = follower.reached, random.below(6) == 0 {
            // A reissued ticket of an earlier step.
            target = max(reached.rawValue, 4) - UInt64(random.below(4))
            backwards += 1
        }
        if follower.reached == SequenceNumber(total) { target = total }
        // The furthest that a bank must still serve.
        target = max(target, engine!.position.sequence.rawValue >= 8 ? engine!.position.sequence.rawValue - 8 : 0)
        let goal = LogFollowerCore.Goal(epoch: Epoch(epoch), sequence: SequenceNumber(target))
        follower.asked = goal
        try followerActs(follower, follower.core.handle(.advance(goal), now: now))
    }

    private func followerActs(_ follower: Follower, _ actions: [LogFollowerCore.Action]) throws {
        for action in actions {
            switch action {
            case .send(let type, let body):
                order += 1
                try post(
                    follower.peer, toBank: true,
                    Message(
                        type.rawValue, from: follower.sender, epoch: follower.core.epoch, sequence: UInt64(order),
                        body: body))
            case .beginRestore: try follower.replica.beginRestore()
            case .restore(let part): try follower.replica.restore(part)
            case .endRestore(let sequence): try follower.replica.endRestore(at: sequence)
            case .apply(let sequence, let record):
                #expect(follower.asked != nil && sequence <= follower.asked!.sequence, "seed \(seed): ran ahead")
                try follower.replica.apply(record, at: sequence)
            case .reached(let goal):
                #expect(goal == follower.asked, "seed \(seed)")
                #expect(follower.replica.slots == model[Int(goal.sequence.rawValue)].slots, "seed \(seed) at \(goal)")
                comparisons += 1
                follower.asked = nil
                follower.reached = goal.sequence
                follower.nextAsk = now + follower.pause
            case .failed(let error):
                follower.asked = nil
                follower.nextAsk = now + .milliseconds(10)
                switch error {
                case .staleEpoch: break
                case .refused(.gone, _): break
                default: Issue.record("seed \(seed): \(follower.sender.name) failed: \(error)")
                }
            case .note: break
            }
            #expect(follower.core.buffered <= settings.prefetch, "seed \(seed)")
        }
    }

    private func restart(_ follower: Follower) {
        follower.crashes += 1
        breakConnection(follower.peer)
        follower.core = LogFollowerCore(settings: settings)
        follower.sender = Sender(run: "r", name: follower.sender.name)
        follower.peer = LogPeer(id: [follower.peer.id[0], UInt8(follower.crashes)])
        follower.replica = Ring()
        follower.asked = nil
        follower.nextAsk = max(now, follower.startsAt)
    }

    // MARK: Time

    private var isDone: Bool {
        acknowledged == SequenceNumber(total) && followers.allSatisfy { $0.reached == SequenceNumber(total) }
    }

    /// Runs until everybody is at the end.
    func run() throws {
        var steps = 0
        while !isDone {
            steps += 1
            guard steps < 200_000 else {
                Issue.record(
                    "seed \(seed): no end; acknowledged \(acknowledged), followers \(followers.map(\.reached))")
                return
            }
            if random.below(150) == 0 { try disturb() }
            var due = nextAppend
            for writer in writers { if let deadline = writer.core.nextDeadline { due = min(due, deadline) } }
            for follower in followers {
                if let deadline = follower.core.nextDeadline { due = min(due, deadline) }
                if follower.asked == nil { due = min(due, follower.nextAsk) }
            }
            if let delivery = nextDelivery(), delivery.time <= due {
                now = max(now, delivery.time)
                try deliver(delivery)
                continue
            }
            now = max(now, due)
            if now >= nextAppend { try computeActs() }
            for writer in writers { try writerActs(writer, writer.core.handle(.tick, now: now)) }
            for follower in followers where now >= follower.startsAt {
                try followerActs(follower, follower.core.handle(.tick, now: now))
                if follower.asked == nil, now >= follower.nextAsk { try ask(follower) }
            }
        }
        #expect(engine!.position.hash == model[Int(total)].hash, "seed \(seed)")
        #expect(engine!.statistics.badFrames == 0, "seed \(seed)")
    }

    private func deliver(_ delivery: Delivery) throws {
        if delivery.toBank {
            wires[delivery.peer]!.toBank.removeFirst()
            try engine!.handle(.received(delivery.peer, delivery.message), now: now) { peer, message in
                guard writers.contains(where: { $0.peer == peer }) || followers.contains(where: { $0.peer == peer })
                else { return false }
                try post(peer, toBank: false, message)
                return true
            }
            return
        }
        wires[delivery.peer]!.toPeer.removeFirst()
        if let writer = writers.first(where: { $0.peer == delivery.peer }) {
            try writerActs(writer, writer.core.handle(.received(delivery.message), now: now))
        } else if let follower = followers.first(where: { $0.peer == delivery.peer }) {
            try followerActs(follower, follower.core.handle(.received(delivery.message), now: now))
        }
    }

    private func disturb() throws {
        switch random.below(10) {
        case 0...3: breakConnection(peersInOrder[random.below(peersInOrder.count)])
        case 4...6: restart(followers[random.below(followers.count)])
        case 7...8: try crashBank()
        default: try openEpoch()
        }
    }
}

@Suite struct LogPropertyTests {
    /// Whatever the network and the processes do, every replica at every sequence equals a plain array.
    @Test(arguments: 0..<60) func everyReplicaEqualsAPlainArray(seed: Int) throws {
        let simulation = try LogSimulation(seed: UInt64(seed), total: 40)
        try simulation.run()
        #expect(simulation.comparisons >= 3, "seed \(seed)")
    }

    /// The same with a log that two or three ranks write together.
    @Test(arguments: 0..<40) func everyReplicaEqualsAPlainArrayWithSeveralRanks(seed: Int) throws {
        let simulation = try LogSimulation(seed: UInt64(1000 + seed), total: 40, ranks: 2 + seed % 2)
        try simulation.run()
        #expect(simulation.comparisons >= 3, "seed \(1000 + seed)")
    }

    @Test func theSimulationDoesWhatItClaims() throws {
        var backwards = 0
        var restarts = 0
        for seed in 100..<110 {
            let simulation = try LogSimulation(seed: UInt64(seed), total: 40)
            try simulation.run()
            backwards += simulation.backwards
            restarts += simulation.restarts
        }
        #expect(backwards > 0 && restarts > 0)
    }
}
