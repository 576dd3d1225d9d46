import Basics
import Foundation
import Testing

@testable import Wire

/// Golden bytes: what another implementation has to send and will get.
@Suite struct LogMessageTests {
    static let hash = LogHash(rawValue: String(repeating: "a", count: 64))
    static let seven = SequenceNumber(7)

    static let golden: [(LogMessageType, any (Codable & Sendable), String)] = [
        (.open, LogOpen(request: 1, sequence: seven), #"{"request":1,"sequence":7}"#),
        (.opened, LogOpened(request: 1, sequence: seven, hash: hash), #"{"hash":"\#(hash)","request":1,"sequence":7}"#),
        (.append, LogAppend(sequence: seven, payload: #"{"step":7}"#), #"{"payload":"{\"step\":7}","sequence":7}"#),
        (.acknowledged, LogAcknowledged(sequence: seven, hash: hash), #"{"hash":"\#(hash)","sequence":7}"#),
        (
            .checkpoint, LogCheckpointRequest(request: 2, sequence: seven, folder: "/runs/a"),
            #"{"folder":"/runs/a","request":2,"sequence":7}"#
        ),
        (
            .checkpointed, LogCheckpointed(request: 2, sequence: seven, hash: hash, file: "bank.snapshot", bytes: 9),
            #"{"bytes":9,"file":"bank.snapshot","hash":"\#(hash)","request":2,"sequence":7}"#
        ),
        (.retain, LogRetain(request: 3, sequence: seven), #"{"request":3,"sequence":7}"#),
        (.retained, LogRetained(request: 3, sequence: seven), #"{"request":3,"sequence":7}"#),
        (.follow, LogFollow(request: 4, newest: seven), #"{"newest":7,"request":4}"#),
        (
            .snapshot,
            LogSnapshot(request: 4, sequence: seven, hash: hash, parts: 2, bytes: 90, digest: hash.rawValue),
            #"{"bytes":90,"digest":"\#(hash)","hash":"\#(hash)","parts":2,"request":4,"sequence":7}"#
        ),
        (.part, LogPart(request: 5, sequence: seven, index: 1), #"{"index":1,"request":5,"sequence":7}"#),
        (
            .snapshotPart, LogSnapshotPart(request: 5, sequence: seven, index: 1, payload: "{}"),
            #"{"index":1,"payload":"{}","request":5,"sequence":7}"#
        ),
        (.records, LogRecords(request: 6, from: seven, count: 4), #"{"count":4,"from":7,"request":6}"#),
        (
            .record, LogRecordBody(request: 6, sequence: seven, hash: hash, payload: "{}"),
            #"{"hash":"\#(hash)","payload":"{}","request":6,"sequence":7}"#
        ),
        (.ping, LogPing(ping: 8), #"{"ping":8}"#),
        (
            .pong, LogPong(ping: 8, request: 6, parked: true, next: seven, sequence: seven),
            #"{"next":7,"parked":true,"ping":8,"request":6,"sequence":7}"#
        ),
        (
            .refused, LogRefusal(request: 6, code: .gone, message: "too old"),
            #"{"code":"gone","message":"too old","request":6}"#
        ),
    ]

    @Test func everyMessageHasItsGoldenBody() throws {
        #expect(Set(Self.golden.map(\.0)) == Set(LogMessageType.allCases))
        for (type, body, text) in Self.golden {
            #expect(String(decoding: try body.wireJSON(), as: UTF8.self) == text, "\(type.rawValue)")
        }
    }

    @Test func pongWithoutAWaitingRecordHasNoNext() throws {
        let pong = LogPong(ping: 1, request: 0, parked: false, next: nil, sequence: SequenceNumber(0))
        #expect(
            String(decoding: try pong.wireJSON(), as: UTF8.self)
                == #"{"parked":false,"ping":1,"request":0,"sequence":0}"#)
    }

    @Test func aRecordHasTheseFrames() throws {
        let payload = try Ring.logical(3)
        let count = payload.tensors[0].shape[0]
        let body = LogAppend(sequence: SequenceNumber(3), payload: String(decoding: payload.body, as: UTF8.self))
        let sender = Sender(run: "city", name: "compute-1", incarnation: Incarnation(rawValue: "0123456789abcdef"))
        let frames = try Message(
            LogMessageType.append.rawValue, from: sender, epoch: Epoch(2), sequence: 5, body: body.wireJSON(),
            tensors: payload.tensors
        ).frames()
        #expect(
            String(decoding: frames[0].data, as: UTF8.self)
                == #"{"epoch":2,"incarnation":"0123456789abcdef","run":"city","sender":"compute-1","sequence":5,"#
                + #""tensors":[{"bytes":\#(count * 4),"dtype":"int32","name":"values","shape":[\#(count)]}],"#
                + #""type":"log.append","version":1}"#)
        #expect(String(decoding: frames[1].data, as: UTF8.self) == #"{"payload":"{\"step\":3}","sequence":3}"#)
        #expect(frames[2].array(of: Int32.self).count == count)
    }

    @Test func payloadBytesRoundTripAndRefuseWhatIsCutOrChanged() throws {
        let payload = LogPayload(
            body: Data(#"{"a":1}"#.utf8),
            tensors: [
                try WireTensor(name: "x", shape: [2, 1], floats: [1, -2]),
                try WireTensor(name: "empty", dtype: .int64, shape: [0, 3], bytes: SharedBytes([Int64]())),
            ])
        var bytes: [UInt8] = []
        for piece in try payload.encodedPieces() { bytes += piece.array() }
        let again = try bytes.withUnsafeBytes { try LogPayload(encoded: $0) }
        #expect(again.body == payload.body)
        #expect(again.tensors.map(\.shape) == [[2, 1], [0, 3]])
        #expect(try again.tensor("x").bytes.array(of: Float.self) == [1, -2])
        #expect(try again.digest() == payload.digest())
        for length in bytes.indices {
            #expect(throws: WireError.self, "\(length) bytes") {
                try Array(bytes[..<length]).withUnsafeBytes { try LogPayload(encoded: $0) }
            }
        }
        #expect(throws: WireError.self) { try (bytes + [0]).withUnsafeBytes { try LogPayload(encoded: $0) } }
        // No byte, however it is changed, may trap; most changes of the head must be refused.
        for index in 0..<min(bytes.count, 150) {
            for value in [UInt8(0), 0x2d, 0x39, 0xff] {
                var changed = bytes
                changed[index] = value
                _ = try? changed.withUnsafeBytes { try LogPayload(encoded: $0) }
            }
        }
    }

    @Test func theHashChainsOverTheDigitsBefore() throws {
        let next = LogHash.empty.extended(by: [SharedBytes(Array("abc".utf8))])
        #expect(next.rawValue == SHA256.hex(String(repeating: "0", count: 64) + "abc"))
        #expect(next.isWellFormed)
        for bad in [
            "", String(repeating: "0", count: 63), String(repeating: "A", count: 64), String(repeating: "g", count: 64),
        ] {
            #expect(!LogHash(rawValue: bad).isWellFormed)
        }
    }
}
