import Basics
import Foundation
import StageKit
import Wire

/// What `picoflow status`, `picoflow stop` and `picoflow keys` say to a run's supervisor.
public struct ControlClient {
    public enum Request: Sendable { case status, stop, keysChanged }

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
        endpoint = try Endpoint(record.control)
    }

    /// Sends a request and waits for the report that answers it.
    ///
    /// - Parameter timeout: a supervisor answers within a second however busy the machine is.
    public func ask(_ request: Request, timeout: Duration = .seconds(10)) throws -> StatusReport {
        let context = Context()
        let socket = try Socket(.dealer, context: context, maxMessageBytes: MessageLimits.control.bodyBytes)
        socket.linger = 0
        try socket.connect(endpoint)
        let sender = Sender(run: (directory as NSString).lastPathComponent, name: "client")
        let type: ControlType =
            switch request {
            case .status: .statusRequest
            case .stop: .stopRequest
            case .keysChanged: .keysChanged
            }
        try socket.send(Message(type.rawValue, from: sender, epoch: Epoch(0), sequence: 1).frames())
        let deadline = ContinuousClock.now + timeout
        while ContinuousClock.now < deadline {
            _ = Poller.wait([socket], wakeup: nil, milliseconds: 200)
            guard let frames = try socket.receive() else { continue }
            let message = try Message(frames: frames, run: sender.run, limits: .control)
            switch ControlType(rawValue: message.header.type) {
            case .reply: return try message.decodeBody()
            case .refused: throw UserError(try message.decodeBody(Refusal.self).message)
            default: continue
            }
        }
        throw UserError("the supervisor of \(directory) does not answer at \(endpoint)")
    }
}
