import Basics
import Foundation
import Testing

@testable import Wire

@Suite(.timeLimit(.minutes(1))) struct SocketTests {
    private func receive(_ socket: Socket) throws -> [SharedBytes] {
        let end = Instant.now() + .seconds(30)
        while Instant.now() < end {
            if let frames = try socket.receive() { return frames }
            _ = Poller.wait([socket], wakeup: nil, milliseconds: 1000)
        }
        throw UserError("nothing came")
    }

    @Test func aSentTensorIsNeitherCopiedNorChanged() throws {
        let context = Context()
        let router = try Socket(.router, context: context)
        try router.bind(Endpoint("inproc://copy"))
        let dealer = try Socket(.dealer, context: context, identity: "d")
        try dealer.connect(Endpoint("inproc://copy"))
        let image = SharedBytes((0..<1_500_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        try dealer.send([image])
        let frames = try receive(router)
        #expect(frames[0].data == Data("d".utf8))
        // Within a process the very memory arrives.
        let sent = image.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
        let got = frames[1].withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
        #expect(sent == got)
        // And back through the same buffers.
        try router.send(frames)
        let back = try receive(dealer)[0]
        #expect(back.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) } == sent)
        #expect(back.data == image.data)
    }

    @Test func aLargeTensorSurvivesTheRoundTripThroughAPool() throws {
        let folder = SocketFolder()
        let context = Context()
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context)
        let worker = try RunningWorker("loader-0", [folder.endpoint()], context: context) { ticket, _ in
            TicketOutput(body: ticket.body, tensors: ticket.tensors)
        }
        let bytes = (0..<1_500_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
        for id in 1...20 as ClosedRange<UInt64> {
            let tensor = try WireTensor(name: "image", dtype: .uint8, shape: [500, 1000, 3], bytes: SharedBytes(bytes))
            try pool.issue(Ticket(id: TicketID(id), tensors: [tensor]))
        }
        for _ in 0..<20 {
            let result = try pool.expectNext()
            #expect(result.tensors[0].shape == [500, 1000, 3])
            #expect(result.tensors[0].bytes.withUnsafeBytes { $0.elementsEqual(bytes) })
        }
        worker.worker.stop()
        try worker.join()
    }

    @Test func memoryIsReleasedOnceLibzmqHasSentIt() throws {
        let released = Recorder<Int>()
        let context = Context()
        let router = try Socket(.router, context: context)
        let folder = SocketFolder()
        try router.bind(folder.endpoint())
        let dealer = try Socket(.dealer, context: context, identity: "d")
        try dealer.connect(folder.endpoint())
        for index in 0..<10 {
            let memory = UnsafeMutableRawPointer.allocate(byteCount: 100_000, alignment: 64)
            memory.initializeMemory(as: UInt8.self, repeating: UInt8(index), count: 100_000)
            try dealer.send([
                SharedBytes(adopting: memory, count: 100_000) { memory in
                    memory.deallocate()
                    released.note(index)
                }
            ])
        }
        for index in 0..<10 { #expect(try receive(router)[1].array(of: UInt8.self)[99_999] == UInt8(index)) }
        for index in 0..<10 { #expect(released.first { $0 == index } != nil) }
    }

    @Test func sendingToAPeerThatIsGoneSaysSo() throws {
        let context = Context()
        let router = try Socket(.router, context: context)
        let folder = SocketFolder()
        try router.bind(folder.endpoint())
        #expect(try router.send([SharedBytes(Data("nobody".utf8)), SharedBytes(Data("x".utf8))]) == .unreachable)
        do {
            let dealer = try Socket(.dealer, context: context, identity: "d")
            try dealer.connect(folder.endpoint())
            try dealer.send([SharedBytes(Data("x".utf8))])
            _ = try receive(router)
            #expect(try router.send([SharedBytes(Data("d".utf8)), SharedBytes(Data("x".utf8))]) == .sent)
        }
        let end = Instant.now() + .seconds(30)
        var outcome = Socket.SendOutcome.sent
        while outcome == .sent, Instant.now() < end {
            outcome = try router.send([SharedBytes(Data("d".utf8)), SharedBytes(Data("x".utf8))])
        }
        #expect(outcome == .unreachable)
    }

    @Test func aDealerThatOnlySpeaksWhileConnectedKeepsNothing() throws {
        let folder = SocketFolder()
        let context = Context()
        let dealer = try Socket(.dealer, context: context, identity: "d", onlyWhileConnected: true)
        try dealer.connect(folder.endpoint())
        #expect(try dealer.send([SharedBytes(Data("x".utf8))]) == .full)
    }

    @Test func badEndpointsAndIdentitiesAreErrors() throws {
        #expect(throws: WireError.self) { try Endpoint("udp://x:1") }
        #expect(throws: WireError.self) { try Endpoint("ipc://" + String(repeating: "a", count: 108)) }
        let context = Context()
        #expect(throws: WireError.self) { try Socket(.dealer, context: context, identity: "") }
        #expect(throws: WireError.self) {
            try Socket(.dealer, context: context, identity: String(repeating: "a", count: 256))
        }
        let router = try Socket(.router, context: context)
        #expect(throws: WireError.self) { try router.bind(Endpoint("tcp://256.256.256.256:1")) }
    }

    @Test func aWakeupEndsAWaitWithoutAnySocket() {
        let wakeup = Wakeup()
        let thread = Thread { wakeup.signal() }
        thread.start()
        let (readable, woken) = Poller.wait([], wakeup: wakeup, milliseconds: 10_000)
        #expect(readable.isEmpty && woken)
        #expect(!Poller.wait([], wakeup: wakeup, milliseconds: 0).woken)
    }
}
