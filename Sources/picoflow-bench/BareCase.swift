import ArgumentParser
import Basics
import Foundation
import Wire

/// The yardstick: a ROUTER that receives what one DEALER sends, without any protocol but a window.
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

    static let window = 32

    func run() throws {
        let folder = try SocketFolder()
        let context = Context()
        let router = try Socket(.router, context: context)
        try router.bind(Endpoint(transport.address(in: folder.path)))
        let child = try Child(
            [
                "bare-dealer", "--endpoint", router.boundEndpoint().address, "--bytes", "\(bytes)",
            ], cores: workerCores.split(separator: ",").compactMap { Int($0) })
        defer { child.end() }
        func receive() throws -> [SharedBytes] {
            while true {
                if let frames = try router.receive() { return frames }
                _ = Poller.wait([router], wakeup: nil, milliseconds: 1000)
                guard !child.hasEnded else { throw UserError("the sending process has ended") }
            }
        }
        let peer = try receive()[0]
        let ask = SharedBytes(Data())
        for _ in 0..<Self.window { try router.send([peer, ask]) }
        for _ in 0..<Self.window {  // warms both ends up
            _ = try receive()
            try router.send([peer, ask])
        }
        let cpu = Usage.cpu
        let start = Instant.now()
        var messages = 0
        var now = start
        while now < start + .seconds(seconds) {
            _ = try receive()
            messages += 1
            try router.send([peer, ask])
            now = .now()
        }
        let result = BareMeasurement(
            transport: transport, messageBytes: bytes, messages: messages,
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

    func run() throws {
        Child.endWithParent()
        let socket = try Socket(.dealer, context: Context())
        try socket.connect(Endpoint(endpoint))
        let image = SharedBytes([UInt8](repeating: 7, count: bytes / 4 * 3))
        let label = SharedBytes([UInt8](repeating: 7, count: bytes - bytes / 4 * 3))
        try socket.send([SharedBytes(Data())])
        while true {
            _ = Poller.wait([socket], wakeup: nil, milliseconds: -1)
            while try socket.receive() != nil { try socket.send([image, label]) }
        }
    }
}
