import ArgumentParser
import Basics
import BenchKit
import Foundation
import Wire

/// The yardstick: a ROUTER that receives what one DEALER sends, or several, without any protocol but a window. Sockets
/// are as libzmq makes them; the process keeps its memory as a pool's does.
///
/// As many messages are under way as the pool has tickets, each of two frames with together the bytes of a result, asked
/// for by one empty frame.
struct BareCase: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "bare-case", shouldDisplay: false)

    @Option var transport = Transport.ipc
    @Option var bytes = 1_572_864
    @Option var seconds = 2.0
    /// Numbers, separated by commas.
    @Option var workerCores: String

    @Option var dealers = 1
    /// Messages under way; with 1, their number tells how long a message takes there and back.
    @Option var window = BareCase.window

    static let window = 32

    func run() throws {
        let folder = try ScratchFolder()
        MessageMemory.keepFreedPages()
        let context = Context()
        let router = try Socket(.router, context: context, largeBuffers: false)
        try router.bind(Endpoint(transport.address(in: folder.path)))
        let child = try Child(
            [
                "bare-dealer", "--endpoint", router.boundEndpoint().address, "--bytes", "\(bytes)", "--dealers",
                "\(dealers)",
            ], cores: workerCores.split(separator: ",").compactMap { Int($0) })
        defer { child.end() }
        func receive() throws -> [SharedBytes] {
            while true {
                if let frames = try router.receive() { return frames }
                _ = Poller.wait([router], wakeup: nil, milliseconds: 1000)
                guard !child.hasEnded else { throw UserError("the sending process has ended") }
            }
        }
        let peers = try (0..<dealers).map { _ in try receive()[0] }
        let ask = SharedBytes(Data())
        for index in 0..<window { try router.send([peers[index % dealers], ask]) }
        for _ in 0..<window {  // warms both ends up
            try router.send([receive()[0], ask])
        }
        let cpu = Usage.cpu
        let start = Instant.now()
        var messages = 0
        var now = start
        while now < start + .seconds(seconds) {
            let peer = try receive()[0]
            messages += 1
            try router.send([peer, ask])
            now = .now()
        }
        let result = BareMeasurement(
            transport: transport, dealers: dealers, messageBytes: bytes, messages: messages,
            seconds: Double(now.nanoseconds - start.nanoseconds) / 1e9,
            cpuMicrosecondsPerMessage: (Usage.cpu - cpu) / Double(messages) * 1e6)
        print(String(decoding: try JSONEncoder().encode(result), as: UTF8.self))
    }
}

/// The other end of `bare-case`.
struct BareDealer: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "bare-dealer", shouldDisplay: false)

    @Option var endpoint: String
    @Option var bytes: Int
    @Option var dealers: Int

    func run() throws {
        Child.endWithParent()
        let context = Context()
        let sockets = try (0..<dealers).map { _ in
            let socket = try Socket(.dealer, context: context, largeBuffers: false)
            try socket.connect(Endpoint(endpoint))
            return socket
        }
        let image = SharedBytes([UInt8](repeating: 7, count: bytes / 4 * 3))
        let label = SharedBytes([UInt8](repeating: 7, count: bytes - bytes / 4 * 3))
        for socket in sockets { try socket.send([SharedBytes(Data())]) }
        while true {
            let (readable, _) = Poller.wait(sockets, wakeup: nil, milliseconds: -1)
            for (socket, isReadable) in zip(sockets, readable) where isReadable {
                while try socket.receive() != nil { try socket.send([image, label]) }
            }
        }
    }
}
