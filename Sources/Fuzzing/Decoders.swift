import Basics
import Contrast
import Foundation
import MemoryKit
import StageKit
import Supervisor
import Wire

extension FuzzedDecoder {
    /// All that reads frames of the protocol, from bytes to the state machines behind, and files from strangers.
    public static func all() throws -> [FuzzedDecoder] {
        try [header(), message(), poolBodies(), consumer(), worker(), logBodies(), payload(), controlBodies()]
            + memory() + weightFiles()
    }

    private static let sender = Sender(
        run: "r", name: "loader-1", incarnation: Incarnation(rawValue: "00000000000000a1"))

    private static func frames(
        _ type: String, _ body: String = "{}", tensors: [WireTensor] = [], ticket: UInt64? = nil, sequence: UInt64 = 1,
        from sender: Sender = sender
    ) throws -> [[UInt8]] {
        try Message(
            type, from: sender, epoch: Epoch(3), sequence: sequence, body: Data(body.utf8), tensors: tensors,
            ticket: ticket.map { TicketID($0) }
        ).frames().map { $0.array() }
    }

    private static func exampleTensors() throws -> [WireTensor] {
        [
            try WireTensor(name: "image", dtype: .uint8, shape: [1, 2, 3], bytes: SharedBytes([UInt8](0..<6))),
            try WireTensor(name: "gradient", shape: [2, 2], floats: [0.5, 1, -1, 0]),
        ]
    }

    /// Bytes that were taken must say the same when written and read again, and to Foundation's decoder.
    private static func header() throws -> FuzzedDecoder {
        let examples = try [
            frames("ticket", tensors: exampleTensors(), ticket: 8), frames("ready"),
            frames("log.append", sequence: .max),
        ].map { [$0[0]] }
        return FuzzedDecoder("header", examples: examples) { frames in
            guard let bytes = frames.first else { return }
            let header = try Header(frame: bytes)
            guard try Header(frame: header.frame()) == header else {
                throw Broken("\(header) is another when read again")
            }
            // Foundation is slower by far, so it looks at some.
            guard bytes.count % 4 == 0 else { return }
            guard let known = try? JSONDecoder().decode(Header.self, from: bytes.data) else {
                throw Broken("Foundation does not take \(String(decoding: bytes.data, as: UTF8.self))")
            }
            guard known == header else { throw Broken("Foundation reads \(known), not \(header)") }
        }
    }

    private static func message() throws -> FuzzedDecoder {
        let examples = try [
            frames("result", #"{"name":"a"}"#, tensors: exampleTensors(), ticket: 8), frames("heartbeat"),
            frames("log.append", #"{"payload":"{}","sequence":1}"#, tensors: exampleTensors()),
        ]
        return FuzzedDecoder("message", examples: examples) { frames in
            let message = try Message(frames: frames, run: "r")
            guard message.header.version == 1, message.header.run == "r" else { throw Broken("\(message.header)") }
            for tensor in message.tensors {
                let elements = tensor.shape.reduce(1) { $0 * $1 }
                guard elements >= 0, elements * tensor.dtype.size == tensor.bytes.count else {
                    throw Broken("\(tensor.name) \(tensor.shape) with \(tensor.bytes.count) bytes")
                }
            }
        }
    }

    private static func poolBodies() throws -> FuzzedDecoder {
        let examples = [
            #"{"credit":4,"executing":[7],"session":1}"#, #"{"executing":[10,11]}"#,
            #"{"error":"a.jpg is truncated"}"#,
            #"{"heartbeatMilliseconds":1000,"session":1,"silenceMilliseconds":10000}"#,
            #"{"code":"version","ours":"1","reason":"x","yours":"2"}"#,
        ].map { [Array($0.utf8)] }
        return FuzzedDecoder("pool bodies", examples: examples) { frames in
            let data = frames.first?.data ?? Data()
            let decoder = JSONDecoder()
            let taken =
                (try? decoder.decode(PoolBody.Ready.self, from: data)) != nil
                || (try? decoder.decode(PoolBody.Heartbeat.self, from: data)) != nil
                || (try? decoder.decode(PoolBody.Failed.self, from: data)) != nil
                || (try? decoder.decode(PoolBody.Welcome.self, from: data)) != nil
            if !taken { _ = try decoder.decode(PoolBody.Refused.self, from: data) }
        }
    }

    /// A consumer with tickets out, and peers that say anything, READYs with any number included.
    private static func consumer() throws -> FuzzedDecoder {
        var examples: [[[UInt8]]] = []
        for sequence in [1, 2, 3, UInt64.max] {
            examples += try [
                frames("ready", #"{"credit":2,"executing":[1],"session":1}"#, sequence: sequence),
                frames("ready", #"{"credit":4096,"executing":[],"session":9223372036854775807}"#, sequence: sequence),
                frames("start", ticket: 1, sequence: sequence),
                frames("result", "{}", tensors: exampleTensors(), ticket: 1, sequence: sequence),
                frames("failed", #"{"error":"x"}"#, ticket: 2, sequence: sequence),
                frames("heartbeat", #"{"executing":[1,2]}"#, sequence: sequence), frames("drain", sequence: sequence),
                frames("bye", sequence: sequence),
            ]
        }
        let now = Instant(nanoseconds: 1_000_000_000)
        func fresh() throws -> PoolConsumerCore {
            var settings = PoolSettings()
            settings.skipFailed = true
            settings.badFrameLimit = .max
            var core = PoolConsumerCore(
                as: Sender(run: "r", name: "compute-1"), epoch: Epoch(3), settings: settings, now: now)
            for id in 1...4 as ClosedRange<UInt64> {
                _ = core.handle(.issue(try .init(Ticket(id: TicketID(id)), limits: MessageLimits())), now: now)
            }
            return core
        }
        var core = try fresh()
        var handled = 0
        return FuzzedDecoder("pool consumer", examples: examples) { frames in
            handled += 1
            if handled % 1000 == 0 { core = try fresh() }
            let bad = core.statistics.badFrames
            _ = core.handle(.received(from: PeerID("peer-\(handled % 7)"), frames: frames), now: now)
            let numbers = core.statistics
            guard numbers.workers.count <= 7, numbers.queued + numbers.inFlight <= 4 else { throw Broken("\(numbers)") }
            if numbers.badFrames > bad { throw WireError.malformed("counted") }
        }
    }

    private static func worker() throws -> FuzzedDecoder {
        let consumer = Sender(run: "r", name: "compute-1", incarnation: Incarnation(rawValue: "00000000000000c1"))
        let welcome = #"{"heartbeatMilliseconds":1000,"session":1,"silenceMilliseconds":10000}"#
        var examples = [try frames("welcome", welcome, from: consumer)]
        for sequence in [2, 3, UInt64.max] {
            examples += try [
                frames("ticket", tensors: exampleTensors(), ticket: 5, sequence: sequence, from: consumer),
                frames("reset", sequence: sequence, from: consumer),
                frames("heartbeat", sequence: sequence, from: consumer),
                frames("again", #"{"reason":"x"}"#, from: consumer), frames("bye", sequence: sequence, from: consumer),
                frames("drain", sequence: sequence, from: consumer),
            ]
        }
        let now = Instant(nanoseconds: 1_000_000_000)
        func fresh() throws -> PoolWorkerCore {
            var settings = PoolSettings()
            settings.badFrameLimit = .max
            var core = PoolWorkerCore(as: sender, consumers: ["x"], credit: 2, settings: settings, now: now)
            _ = core.handle(.tick, now: now)
            _ = core.handle(
                .received(consumer: 0, frames: try frames("welcome", welcome, from: consumer).map { SharedBytes($0) }),
                now: now)
            return core
        }
        var core = try fresh()
        var handled = 0
        return FuzzedDecoder("pool worker", examples: examples) { frames in
            handled += 1
            if handled % 50 == 0 { core = try fresh() }
            let bad = core.statistics.badFrames
            _ = core.handle(.received(consumer: 0, frames: frames), now: now)
            if core.statistics.badFrames > bad { throw WireError.malformed("counted") }
        }
    }

    private static func logBodies() throws -> FuzzedDecoder {
        let examples = LinkKind.log.received.map { [Array($0.body.utf8)] }
        return FuzzedDecoder("log bodies", examples: examples) { frames in
            let data = frames.first?.data ?? Data()
            let decoder = JSONDecoder()
            let taken =
                (try? decoder.decode(LogOpen.self, from: data)) != nil
                || (try? decoder.decode(LogAppend.self, from: data)) != nil
                || (try? decoder.decode(LogCheckpointRequest.self, from: data)) != nil
                || (try? decoder.decode(LogFollow.self, from: data)) != nil
                || (try? decoder.decode(LogRecords.self, from: data)) != nil
            if !taken { _ = try decoder.decode(LogPing.self, from: data) }
        }
    }

    private static func payload() throws -> FuzzedDecoder {
        let example = try LogPayload(body: Data(#"{"step":1}"#.utf8), tensors: exampleTensors()).encodedPieces()
        return FuzzedDecoder("log payload", examples: [[example.flatMap { $0.array(of: UInt8.self) }]]) { frames in
            guard let bytes = frames.first else { return }
            let payload = try bytes.withUnsafeBytes { try LogPayload(encoded: $0) }
            _ = try payload.digest()
        }
    }

    private static func controlBodies() throws -> FuzzedDecoder {
        let examples = LinkKind.control.received.map { [Array($0.body.utf8)] }
        return FuzzedDecoder("control bodies", examples: examples) { frames in
            let data = frames.first?.data ?? Data()
            let decoder = JSONDecoder()
            let taken =
                (try? decoder.decode(Hello.self, from: data)) != nil
                || (try? decoder.decode(StageKit.Heartbeat.self, from: data)) != nil
                || (try? decoder.decode(StageEvent.self, from: data)) != nil
            if !taken { _ = try decoder.decode(Bye.self, from: data) }
        }
    }

    /// The bank's and the miners' memory, with records as a writer or a bank might send them.
    private static func memory() throws -> [FuzzedDecoder] {
        let shape = try MemoryShape(classes: 3, dimension: 4, pixelCapacity: 5, regionCapacity: 4, images: 4)
        let record = MemoryRecord(
            step: 1, images: [0, 3], dimension: 4, pixelClasses: [0, 2], regionClasses: [2], regionImages: [3],
            rows: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0])
        let logical = try record.encode()
        var reducer = MemoryReducer(shape: shape)
        let physical = try reducer.reduce(logical, at: SequenceNumber(1))
        let encode = { (payload: LogPayload) -> [[UInt8]] in
            [try payload.encodedPieces().flatMap { $0.array(of: UInt8.self) }]
        }
        let empty = MemoryReducer(shape: shape)
        return [
            FuzzedDecoder("memory record", examples: [try encode(logical)]) { frames in
                guard let bytes = frames.first else { return }
                let payload = try bytes.withUnsafeBytes { try LogPayload(encoded: $0) }
                var reducer = empty
                _ = try reducer.reduce(payload, at: SequenceNumber(1))
            },
            FuzzedDecoder("memory writes", examples: [try encode(physical)]) { frames in
                guard let bytes = frames.first else { return }
                let payload = try bytes.withUnsafeBytes { try LogPayload(encoded: $0) }
                var replica = MemoryReplica(shape: shape)
                try replica.apply(payload, at: SequenceNumber(1))
                var reducer = empty
                try reducer.apply(payload, at: SequenceNumber(1))
            },
        ]
    }
}
