import Basics
import Foundation
import Testing

@testable import Wire

/// The bytes on the wire, as PROTOCOL.md shows them. A change here is a change of the protocol.
@Suite struct PoolGoldenTests {
    static let worker = Sender(run: "demo", name: "loader-0", incarnation: Incarnation(rawValue: "00000000000000a1"))
    static let consumer = Sender(run: "demo", name: "compute-0", incarnation: Incarnation(rawValue: "00000000000000c1"))
    static let tensor = try! WireTensor(
        name: "image", dtype: .uint8, shape: [1, 2, 3], bytes: SharedBytes([1, 2, 3, 4, 5, 6] as [UInt8]))

    /// One message of every type, from its sender, with its two JSON frames.
    static let all: [(message: Message, header: String, body: String)] = {
        func message(
            _ type: PoolMessageType, _ sender: Sender, _ sequence: UInt64, body: Data = Data("{}".utf8),
            ticket: TicketID? = nil,
            tensors: [WireTensor] = []
        ) -> Message {
            Message(
                type.rawValue, from: sender, epoch: Epoch(3), sequence: sequence, body: body, tensors: tensors,
                ticket: ticket)
        }
        func header(_ type: String, _ sender: Sender, _ sequence: Int, ticket: Int? = nil, tensors: String = "")
            -> String
        {
            "{\"epoch\":3,\"incarnation\":\"\(sender.incarnation)\",\"run\":\"demo\",\"sender\":\"\(sender.name)\","
                + "\"sequence\":\(sequence),\"tensors\":[\(tensors)]," + (ticket.map { "\"ticket\":\($0)," } ?? "")
                + "\"type\":\"\(type)\",\"version\":1}"
        }
        let tensors = #"{"bytes":6,"dtype":"uint8","name":"image","shape":[1,2,3]}"#
        return [
            (
                message(
                    .ready, worker, 1,
                    body: try! PoolBody.Ready(credit: 4, executing: [7], session: 1).wireJSON()),
                header("ready", worker, 1), #"{"credit":4,"executing":[7],"session":1}"#
            ),
            (
                message(
                    .welcome, consumer, 1,
                    body: try! PoolBody.Welcome(heartbeatMilliseconds: 1000, session: 1, silenceMilliseconds: 10000)
                        .wireJSON()),
                header("welcome", consumer, 1),
                #"{"heartbeatMilliseconds":1000,"session":1,"silenceMilliseconds":10000}"#
            ),
            (
                message(.ticket, consumer, 2, body: Data(#"{"seed":5}"#.utf8), ticket: 8, tensors: [tensor]),
                header("ticket", consumer, 2, ticket: 8, tensors: tensors), #"{"seed":5}"#
            ),
            (message(.start, worker, 2, ticket: 8), header("start", worker, 2, ticket: 8), "{}"),
            (
                message(.result, worker, 3, body: Data(#"{"name":"a.jpg"}"#.utf8), ticket: 8, tensors: [tensor]),
                header("result", worker, 3, ticket: 8, tensors: tensors), #"{"name":"a.jpg"}"#
            ),
            (
                message(
                    .failed, worker, 4, body: try! PoolBody.Failed(error: "a.jpg is truncated").wireJSON(), ticket: 9),
                header("failed", worker, 4, ticket: 9), #"{"error":"a.jpg is truncated"}"#
            ),
            (
                message(.heartbeat, worker, 5, body: try! PoolBody.Heartbeat(executing: [10, 11]).wireJSON()),
                header("heartbeat", worker, 5), #"{"executing":[10,11]}"#
            ),
            (message(.heartbeat, consumer, 3), header("heartbeat", consumer, 3), "{}"),
            (message(.reset, consumer, 4), header("reset", consumer, 4), "{}"),
            (
                message(.again, consumer, 0, body: try! PoolBody.Again(reason: "unknown").wireJSON()),
                header("again", consumer, 0), #"{"reason":"unknown"}"#
            ),
            (message(.drain, consumer, 5), header("drain", consumer, 5), "{}"),
            (message(.drain, worker, 6), header("drain", worker, 6), "{}"),
            (
                message(
                    .refused, consumer, 0,
                    body: try! PoolBody.Refused(code: .run, ours: "a", reason: "a is not b", yours: "b").wireJSON()),
                header("refused", consumer, 0), #"{"code":"run","ours":"a","reason":"a is not b","yours":"b"}"#
            ),
            (message(.bye, worker, 7), header("bye", worker, 7), "{}"),
            (message(.bye, consumer, 6), header("bye", consumer, 6), "{}"),
        ]
    }()

    @Test func everyMessageHasItsGoldenBytes() throws {
        for (message, header, body) in Self.all {
            let frames = try message.frames()
            #expect(String(decoding: frames[0].data, as: UTF8.self) == header)
            #expect(String(decoding: frames[1].data, as: UTF8.self) == body)
            #expect(frames.count == 2 + message.tensors.count)
        }
        #expect(Set(Self.all.map(\.message.header.type)) == Set(PoolMessageType.allCases.map(\.rawValue)))
    }

    /// What the cores send is what stands in the table: the same keys in the same order, whatever the values.
    @Test func theCoresSpeakAsTheTableSays() throws {
        func keys(_ frame: Data) throws -> Set<String> {
            Set(((try JSONSerialization.jsonObject(with: frame)) as? [String: Any] ?? [:]).keys)
        }
        func compare(_ message: Message, _ sender: String) throws {
            let golden = Self.all.first {
                $0.message.header.type == message.header.type && $0.message.header.sender == sender
            }
            let (_, header, body) = try #require(golden, "\(message.header.type) from \(sender)")
            #expect(try keys(message.header.frame().data) == keys(Data(header.utf8)))
            if !["ticket", "result"].contains(message.header.type) {
                #expect(try keys(message.body) == keys(Data(body.utf8)))
            }
        }
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a")
        pool.handle(ScriptedWorker("stranger", run: "other").ready(credit: 1))
        pool.handle(a.ready(credit: 1))
        try pool.issue(1...1)
        pool.pass(.seconds(1))
        pool.handle(.drain("a"))
        pool.handle(.reset(Epoch(2)))
        pool.handle(ScriptedWorker("b").heartbeat())
        pool.handle(.close)
        #expect(
            Set(pool.sent.map(\.message.header.type)) == [
                "welcome", "ticket", "heartbeat", "drain", "reset", "again", "refused", "bye",
            ])
        for (_, message) in pool.sent { try compare(message, "compute-0") }

        var core = PoolWorkerCore(
            as: Self.worker, consumers: ["c"], credit: 1, settings: PoolSettings(), now: Instant(nanoseconds: 0))
        var sent: [Message] = []
        func tell(_ event: PoolWorkerCore.Event, at seconds: Int = 0) throws {
            for action in core.handle(event, now: Instant(nanoseconds: 0) + .seconds(seconds)) {
                if case .send(_, let frames) = action { sent.append(try Message(frames: frames, run: "demo")) }
                if case .execute(let id, let ticket, _, _) = action {
                    _ = core.handle(.tick, now: Instant(nanoseconds: 0))
                    try tell(.finished(id, ticket.id == 1 ? .failed("x") : .output(TicketOutput())))
                }
            }
        }
        func from(_ type: PoolMessageType, _ sequence: UInt64, body: Data = Data("{}".utf8), ticket: TicketID? = nil)
            throws -> PoolWorkerCore.Event
        {
            .received(
                consumer: 0,
                frames: try Message(
                    type.rawValue, from: Self.consumer, epoch: Epoch(1), sequence: sequence, body: body, ticket: ticket
                ).frames())
        }
        try tell(.tick)
        try tell(
            from(
                .welcome, 1,
                body: PoolBody.Welcome(heartbeatMilliseconds: 1000, session: 1, silenceMilliseconds: 10000).wireJSON()))
        try tell(from(.ticket, 2, ticket: 1))
        try tell(from(.ticket, 3, ticket: 2))
        try tell(.tick, at: 1)
        try tell(.drain)
        #expect(Set(sent.map(\.header.type)) == ["ready", "start", "result", "failed", "heartbeat", "bye"])
        for message in sent { try compare(message, "loader-0") }
    }
}
