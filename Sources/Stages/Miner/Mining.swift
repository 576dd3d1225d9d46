import Basics
import Contrast
import Foundation
import MemoryKit
import StageKit
import Wire

/// A mining ticket, read.
struct MinedTicket {
    let ticket: Ticket
    let context: TicketContext
    let wanted: MiningTicket
    let input: MiningInput

    /// - Throws: `UserError` for a ticket without sound anchors or pixels, a decoding error for a body that is none.
    init(_ ticket: Ticket, _ context: TicketContext) throws {
        self.ticket = ticket
        self.context = context
        wanted = try JSONDecoder().decode(MiningTicket.self, from: ticket.body)
        guard let anchors = ticket.tensors.first(where: { $0.name == "anchors" }), anchors.dtype == .float32,
            anchors.shape.count == 2
        else { throw UserError("mining ticket \(ticket.id) has no float32 [A, D] tensor 'anchors'") }
        guard let pixels = ticket.tensors.first(where: { $0.name == "pixels" }), pixels.dtype == .int64,
            pixels.shape == [anchors.shape[0]]
        else { throw UserError("mining ticket \(ticket.id) has no int64 [\(anchors.shape[0])] tensor 'pixels'") }
        input = MiningInput(
            classID: ClassID(wanted.class), anchors: anchors.bytes.array(),
            keys: pixels.bytes.array(of: Int64.self).map { Int($0) }, dimension: anchors.shape[1],
            temperature: wanted.temperature, sampler: wanted.sampler, synthesis: wanted.synthesis, seed: wanted.seed)
    }

    /// Whether both are to be mined in the same memory, and are given up at the same time.
    func belongs(with other: MinedTicket) -> Bool {
        wanted.memory != nil && wanted.memory == other.wanted.memory && context.consumer == other.context.consumer
            && context.epoch == other.context.epoch
    }

    func output(_ mined: MiningOutput) throws -> TicketOutput {
        let count = Double(max(1, mined.contributing))
        return TicketOutput(
            body: try MiningReport(
                loss: mined.lossSum, contributing: mined.contributing, skipped: mined.skipped,
                positiveSimilarity: mined.positiveSimilarity / count,
                negativeSimilarity: mined.negativeSimilarity / count
            ).wireJSON(),
            tensors: [
                try WireTensor(name: "gradient", shape: [input.anchorCount, input.dimension], floats: mined.gradient)
            ])
    }
}

/// Mines tickets, those together that look at the same memory.
struct Mining {
    let miner: Miner
    let threads: Int
    /// Of the memory; nil where the run keeps none.
    let follower: LogFollower<MemoryReplica>?
    let classes: Int

    /// - Parameter tickets: those that could be read; the others give their errors.
    func mine(_ tickets: [Result<MinedTicket, any Error>]) -> [Result<TicketOutput, any Error>] {
        var results: [Int: Result<TicketOutput, any Error>] = [:]
        var waiting: [(place: Int, ticket: MinedTicket)] = []
        for (place, ticket) in tickets.enumerated() {
            switch ticket {
            case .success(let ticket): waiting.append((place, ticket))
            case .failure(let error): results[place] = .failure(error)
            }
        }
        while let first = waiting.first {
            let end = waiting.partition { $0.place != first.place && !$0.ticket.belongs(with: first.ticket) }
            let group = waiting[..<end]
            let mined = Result { try mine(group.map(\.ticket.input), in: first.ticket) }
            for (index, member) in zip(0..., group) {
                results[member.place] = mined.flatMap { outputs in
                    outputs[index].flatMap { output in Result { try member.ticket.output(output) } }
                }
            }
            waiting.removeSubrange(..<end)
        }
        return tickets.indices.map { results[$0]! }
    }

    /// - Parameter ticket: one of theirs.
    private func mine(_ inputs: [MiningInput], in ticket: MinedTicket) throws -> [Result<MiningOutput, any Error>] {
        guard let sequence = ticket.wanted.memory else {
            let keys = try ticket.ticket.batchKeys(dimension: ticket.input.dimension)
            return miner.mine(inputs, memory: try Memory(batch: keys, classes: classes), threads: threads)
        }
        guard let follower else {
            throw UserError("mining ticket \(ticket.ticket.id) names a memory, but this run keeps none")
        }
        // Without limit: after a rollback the whole memory comes anew, gigabytes over what may be a slow link. A ticket
        // that is no longer wanted ends the wait; a bank that is gone ends the run through the supervisor.
        // Inside the read: a memory taken out of the replica would be copied at the next record.
        return try follower.read(
            at: sequence, epoch: ticket.context.epoch, timeout: nil, unless: ticket.context.cancellation
        ) { miner.mine(inputs, memory: $0.memory, threads: threads) }
    }
}
