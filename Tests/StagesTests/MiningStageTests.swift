import Basics
import Configuration
import Contrast
import Foundation
import StageKit
import Testing

@testable import MinerStage
@testable import Wire

/// What a miner answers to tickets that come together.
@Suite struct MiningStageTests {
    private static let dimension = 4
    private let mining = Mining(miner: Miner(), threads: 2, follower: nil, classes: 2)

    /// A ticket of an in-batch run: one anchor, and a key of each class.
    private func ticket(_ id: UInt64, class classID: Int = 0, shift: Float = 0) throws -> Ticket {
        let body = MiningTicket(
            step: 3, class: classID, memory: nil, seed: id, temperature: 0.1, sampler: SamplerSettings(),
            synthesis: SynthesisSettings(), generation: .first)
        let angle = Float(0.3) + shift
        return Ticket(
            id: TicketID(id), body: try body.wireJSON(),
            tensors: [
                try WireTensor(name: "anchors", shape: [1, Self.dimension], floats: [1, 0, 0, 0]),
                try WireTensor(name: "pixels", dtype: .int64, shape: [1], bytes: SharedBytes([Int64(id)])),
                try WireTensor(
                    name: "batchPixels", shape: [2, Self.dimension],
                    floats: [cos(angle), sin(angle), 0, 0, 0, cos(angle), sin(angle), 0]),
                try WireTensor(
                    name: "batchPixelClasses", dtype: .int32, shape: [2], bytes: SharedBytes([Int32(0), 1])),
                try WireTensor(name: "batchRegions", shape: [0, Self.dimension], floats: []),
                try WireTensor(
                    name: "batchRegionClasses", dtype: .int32, shape: [0], bytes: SharedBytes([Int32]())),
            ])
    }

    private func mine(_ tickets: [Ticket]) -> [Result<TicketOutput, any Error>] {
        mining.mine(
            tickets.map { ticket in
                Result { try MinedTicket(ticket, TicketContext(consumer: 0, epoch: Epoch(1))) }
            })
    }

    @Test func eachTicketGetsItsOwnAnswerInItsPlace() throws {
        // Keys of their own, also under one number, as those of two consumers.
        let tickets = [try ticket(1), try ticket(2, class: 1, shift: 0.5), try ticket(1, shift: 1)]
        let together = try mine(tickets).map { try $0.get() }
        for (answer, ticket) in zip(together, tickets) {
            let alone = try mine([ticket])[0].get()
            #expect(answer.body == alone.body)
            #expect(answer.tensors.map { $0.bytes.array(of: Float.self) } == alone.tensors.map { $0.bytes.array() })
        }
        #expect(Set(together.map(\.body)).count == 3)
    }

    @Test func aBadTicketFailsAlone() throws {
        var unreadable = try ticket(4)
        unreadable.body = Data("{".utf8)
        var withoutAnchors = try ticket(5)
        withoutAnchors.tensors.removeFirst()
        var withoutKeys = try ticket(6)
        withoutKeys.tensors.removeLast()
        let results = mine([unreadable, try ticket(1), withoutAnchors, withoutKeys, try ticket(2, class: 9)])
        #expect(results.map { (try? $0.get()) != nil } == [false, true, false, false, false])
        #expect(throws: UserError.self) { try results[2].get() }
        #expect(throws: UserError.self) { try results[3].get() }
        #expect(throws: MemoryError.self) { try results[4].get() }
    }

    @Test func aMemoryThatTheRunDoesNotKeepIsNamed() throws {
        var named = try ticket(1)
        var body = try JSONDecoder().decode(MiningTicket.self, from: named.body)
        body.memory = SequenceNumber(7)
        named.body = try body.wireJSON()
        let results = mine([named, try ticket(2)])
        #expect(throws: UserError("mining ticket 1 names a memory, but this run keeps none")) { try results[0].get() }
        #expect((try? results[1].get()) != nil)
    }
}
