import Basics
import Foundation
import StageKit
import Wire

/// What `picoflow status`, `stop`, `scale`, `swap` and `keys` say to a run's supervisor.
public struct ControlClient {
    public enum Request: Sendable, Equatable {
        case status, stop, keysChanged
        case scale(ScaleRequest)
        case swap(SwapRequest)

        var message: (type: ControlType, body: any Encodable & Sendable) {
            switch self {
            case .status: (.statusRequest, Empty())
            case .stop: (.stopRequest, Empty())
            case .keysChanged: (.keysChanged, Empty())
            case .scale(let request): (.scaleRequest, request)
            case .swap(let request): (.swapRequest, request)
            }
        }

        /// How long its answer may take. A supervisor answers within a second however busy the machine is; a swap is
        /// answered when its step is known, which may take as long as its program's start: nil.
        public var patience: Duration? {
            if case .swap = self { nil } else { .seconds(10) }
        }
    }

    private let directory: String
    private let endpoint: Endpoint

    /// - Parameter run: the run directory.
    /// - Throws: `UserError` where no supervisor is at work on it.
    public init(run: String) throws {
        directory = try RunDirectory.absolute(run)
        guard RunDirectory.isLive(directory) else { throw UserError("\(run) is not running") }
        guard let record = ProcessRecord.read(from: directory + "/processes.json") else {
            throw UserError("\(run) is only just starting; try again")
        }
        // Its socket is a file of that machine; a directory on a share is seen from all.
        guard record.host == ProcessInfo.processInfo.hostName else {
            throw UserError("\(run) is supervised on \(record.host): ask it there")
        }
        endpoint = try Endpoint(record.control)
    }

    /// Sends a request and waits for the report that answers it.
    ///
    /// - Parameter timeout: a supervisor answers within a second however busy the machine is. A swap is answered when its
    ///   step is known, which may take as long as its program's start: nil waits while there is a supervisor.
    public func ask(_ request: Request, timeout: Duration? = .seconds(10)) throws -> StatusReport {
        let context = Context()
        let socket = try Socket(.dealer, context: context, maxMessageBytes: MessageLimits.reply.bodyBytes)
        socket.linger = 0
        try socket.connect(endpoint)
        let sender = Sender(run: (directory as NSString).lastPathComponent, name: "client")
        let (type, body) = request.message
        try socket.send(
            Message(type.rawValue, from: sender, epoch: Epoch(0), sequence: 1, body: body.wireJSON()).frames())
        let deadline = timeout.map { ContinuousClock.now + $0 }
        while deadline.map({ ContinuousClock.now < $0 }) ?? RunDirectory.isLive(directory) {
            _ = Poller.wait([socket], wakeup: nil, milliseconds: 200)
            guard let frames = try socket.receive() else { continue }
            let message = try Message(frames: frames, run: sender.run, limits: .reply)
            switch ControlType(rawValue: message.header.type) {
            case .reply: return try message.decodeBody()
            case .refused: throw UserError(try message.decodeBody(Refusal.self).message)
            default: continue
            }
        }
        guard timeout != nil else { throw UserError("\(directory) ended before it answered") }
        throw UserError("the supervisor of \(directory) does not answer at \(endpoint)")
    }
}
