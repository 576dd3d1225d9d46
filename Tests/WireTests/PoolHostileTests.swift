import Basics
import Foundation
import Testing

@testable import Wire

/// Real sockets and peers that do not keep to the protocol, while a proper worker works on.
@Suite(.serialized, .timeLimit(.minutes(2))) struct PoolHostileTests {
    private let folder = SocketFolder()
    private let context = Context()

    private func echo() throws -> RunningWorker {
        try RunningWorker("loader-0", [folder.endpoint()], context: context) { ticket, _ in
            TicketOutput(body: ticket.body, tensors: ticket.tensors)
        }
    }

    @Test func strangersAreCountedCutOffAndHarmNobody() throws {
        let events = Recorder<PoolEvent>()
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context) { events.note($0) }
        let worker = try echo()
        let stranger = try BarePeer("stranger", folder.endpoint(), context: context)
        var random = KeyedRandom(seed: 1, purpose: "garbage")
        for round in 1...40 as ClosedRange<UInt64> {
            let frames = (0..<1 + random.below(5)).map { _ in
                SharedBytes((0..<random.below(200)).map { _ in UInt8(random.below(256)) })
            }
            try stranger.socket.send(frames)
            try pool.issue(Ticket(id: TicketID(round)))
            #expect(try pool.expectNext().id.rawValue == round)
        }
        #expect(events.first { if case .cutOff = $0 { true } else { false } } != nil)
        #expect(pool.statistics.badFrames == 16)
        #expect(pool.statistics.cutOffPeers == 1)
        // Even a proper READY gets no answer now.
        try stranger.ready(credit: 4)
        try pool.issue(Ticket(id: 100))
        #expect(try pool.expectNext().worker == "loader-0")
        #expect(try stranger.socket.receive() == nil)
        worker.worker.stop()
        try worker.join()
    }

    @Test func otherRunsVersionsAndEpochsAreAnsweredOrDropped() throws {
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context)
        let other = try BarePeer("loader-7", folder.endpoint(), context: context)
        other.sender.run = "another"
        try other.ready(credit: 1)
        let refused: PoolBody.Refused = try other.receive("refused").decodeBody()
        #expect(refused.code == .run && refused.reason == "you are of run 'another', this is run 'r'")

        let text = #"{"version":9,"type":"ready"}"#
        try other.socket.send([SharedBytes(Data(text.utf8)), SharedBytes(Data("{}".utf8))])
        let version: PoolBody.Refused = try other.receive("refused").decodeBody()
        #expect(version.code == .version && version.yours == "9" && version.ours == "1")

        let late = try BarePeer("loader-8", folder.endpoint(), context: context)
        try late.ready(credit: 1)
        _ = try late.receive("welcome")
        try pool.issue(Ticket(id: 1))
        _ = try late.receive("ticket")
        try pool.reset(epoch: Epoch(2))
        try pool.issue(Ticket(id: 1))
        #expect(try late.receive("ticket").header.epoch == Epoch(2))
        try late.send("result", ticket: 1, body: ["of": "epoch 1"])
        late.epoch = Epoch(2)
        try late.send("result", ticket: 1, body: ["of": "epoch 2"])
        #expect(String(decoding: try pool.expectNext().body, as: UTF8.self) == #"{"of":"epoch 2"}"#)
        #expect(pool.statistics.stale == 1)
        #expect(pool.statistics.badFrames == 2)
    }

    @Test func aLyingTensorIsDroppedAndItsTicketGoesToAnother() throws {
        let events = Recorder<PoolEvent>()
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context) { events.note($0) }
        let liar = try BarePeer("loader-9", folder.endpoint(), context: context)
        try liar.ready(credit: 1)
        _ = try liar.receive("welcome")
        try pool.issue(Ticket(id: 1))
        _ = try liar.receive("ticket")
        let header =
            #"{"version":1,"type":"result","run":"r","sender":"loader-9","incarnation":"\#(liar.sender.incarnation)","epoch":1,"#
            + #""sequence":2,"ticket":1,"tensors":[{"name":"y","dtype":"float32","shape":[1099511627776,1099511627776],"bytes":4}]}"#
        try liar.socket.send([
            SharedBytes(Data(header.utf8)), SharedBytes(Data("{}".utf8)), SharedBytes(Data(count: 4)),
        ])
        guard
            case .badFrame(_, let reason, _)? = events.first(where: { if case .badFrame = $0 { true } else { false } })
        else {
            Issue.record("no report")
            return
        }
        #expect(reason.contains("tensor 'y' declares float32"))
        // The next message shows that one is missing: the ticket goes back.
        liar.sequence = 2
        try liar.send("heartbeat", body: PoolBody.Heartbeat(executing: []))
        _ = try liar.receive("again")
        let worker = try echo()
        #expect(try pool.expectNext().worker == "loader-0")
        worker.worker.stop()
        try worker.join()
    }

    /// A frame that declares 2^50 bytes in ZeroMQ's own framing (ZMTP 3): the connection is closed, nothing allocated.
    @Test func aHugeDeclaredFrameClosesTheConnection() throws {
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context)
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { Glibc.close(descriptor) }
        var timeout = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array((folder.path + "/p").utf8)) }
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(connected == 0)
        func put(_ bytes: [UInt8]) {
            _ = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        }
        let greeting: [UInt8] = [0xff] + [UInt8](repeating: 0, count: 8) + [0x7f, 3, 0] + Array("NULL".utf8)
        put(greeting + [UInt8](repeating: 0, count: 64 - greeting.count))
        let type = [UInt8(11)] + Array("Socket-Type".utf8) + [0, 0, 0, 6] + Array("DEALER".utf8)
        let identity = [UInt8(8)] + Array("Identity".utf8) + [0, 0, 0, 1, 0x58]
        let ready = [UInt8(5)] + Array("READY".utf8) + type + identity
        put([4, UInt8(ready.count)] + ready)
        // libzmq's greeting (64 bytes) and its READY: the handshake is complete.
        var buffer = [UInt8](repeating: 0, count: 4096)
        var received = 0
        while received < 64 + 20 {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            try #require(count > 0)
            received += count
        }
        put([2, 0, 4, 0, 0, 0, 0, 0, 0])  // a last, long frame of 2^50 bytes
        put([UInt8](repeating: 1, count: 100))
        let last = recv(descriptor, &buffer, buffer.count, 0)
        #expect(last == 0 || errno == ECONNRESET, "closed, not timed out")
        let worker = try echo()
        try pool.issue(Ticket(id: 1))
        #expect(try pool.expectNext().id == 1)
        worker.worker.stop()
        try worker.join()
    }

    @Test func aMessageOfManyFramesIsOneBadMessage() throws {
        let events = Recorder<PoolEvent>()
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context) { events.note($0) }
        defer { pool.close() }
        let peer = try BarePeer("loader-5", folder.endpoint(), context: context)
        try peer.socket.send([SharedBytes](repeating: SharedBytes(Data()), count: 5000))
        try peer.ready(credit: 1)
        _ = try peer.receive("welcome")
        #expect(events.all.count == 2)
        #expect(events.first { if case .badFrame = $0 { true } else { false } } != nil)
        #expect(events.first { $0 == .joined(worker: "loader-5", credit: 1) } != nil)
    }
}
