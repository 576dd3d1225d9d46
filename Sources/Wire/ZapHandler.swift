import Basics
import Foundation

/// Answers libzmq's question whether a key may connect (ZeroMQ's RFC 27, ZAP): one thread per context.
///
/// libzmq asks during the CURVE handshake, after the client has proved that it has the secret key. The name under
/// which it lets the client in is the key itself, and stands with every message of the connection from then on.
final class ZapHandler: Sendable {
    /// The domain of all our TCP listeners. Not empty, and enforced: without a handler nobody is let in.
    static let domain = "picoflow"

    private let wakeup = Wakeup()
    private let state = Monitor((isStopping: false, hasEnded: false))

    /// - Throws: `WireError.socket` where the context has a handler already.
    init(_ security: ServerSecurity, context: Context) throws {
        // The context stops this handler when it goes, so the handler's socket must not keep the context alive.
        let socket = try Socket(.router, context: context, maxMessageBytes: 4096, keepsContext: false)
        socket.linger = 0
        try socket.bind(Endpoint("inproc://zeromq.zap.01"))
        let thread = Thread { [wakeup, state] in
            while !state.withLock({ $0.isStopping }) {
                _ = Poller.wait([socket], wakeup: wakeup, milliseconds: -1)
                // An error on this socket leaves the door closed, which is the safe side.
                while let frames = try? socket.receive() {
                    if let answer = Self.answer(frames, security) { _ = try? socket.send(answer) }
                }
            }
            socket.close()
            state.update { $0.hasEnded = true }
        }
        thread.name = "zap"
        thread.start()
    }

    /// Waits for the thread to end.
    func stop() {
        state.update { $0.isStopping = true }
        wakeup.signal()
        _ = state.wait { $0.hasEnded ? true : nil }
    }

    /// - Parameter frames: routing id, empty, version, request id, domain, address, identity, mechanism, credentials.
    /// - Returns: nil for what is no question.
    static func answer(_ frames: [SharedBytes], _ security: ServerSecurity) -> [SharedBytes]? {
        guard frames.count >= 8, frames[1].count == 0 else { return nil }
        func text(_ index: Int) -> String { String(decoding: frames[index].data, as: UTF8.self) }
        func reply(_ code: String, _ reason: String, user: String = "") -> [SharedBytes] {
            Array(frames[0...1]) + [SharedBytes(Data("1.0".utf8)), frames[3]]
                + [code, reason, user, ""].map { SharedBytes(Data($0.utf8)) }
        }
        guard text(2) == "1.0" else { return reply("500", "ZAP 1.0 is spoken here") }
        guard text(4) == domain, text(7) == "CURVE", frames.count == 9, let key = CurveKey(bytes: frames[8].data) else {
            security.note("refused a connection from \(text(5)): it has no key")
            return reply("400", "no key")
        }
        guard security.allowed.contains(key) else {
            security.note("refused a connection from \(text(5)): its key \(key) is not allowed")
            return reply("400", "not an allowed key")
        }
        return reply("200", "OK", user: key.text)
    }
}
