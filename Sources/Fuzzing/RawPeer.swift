import Basics
import Foundation

/// One connection to a ZeroMQ ROUTER, spoken byte by byte (ZMTP 3, https://rfc.zeromq.org/spec/23): unlike libzmq's own
/// sockets it may break every rule, and a new routing id costs one connection.
final class RawPeer {
    private let descriptor: Int32

    /// - Parameter path: of a unix-domain socket.
    /// - Throws: `UserError` where nobody listens there.
    init(path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw UserError("cannot open a socket: \(String(cString: strerror(errno)))") }
        // A busy peer is waited for; one that hangs is found out.
        var timeout = timeval(tv_sec: 10, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8.prefix($0.count - 1))) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw UserError("cannot connect to \(path): \(reason)")
        }
    }

    deinit { close(descriptor) }

    /// - Returns: whether all of it was taken.
    @discardableResult
    func write(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// Waits for the ROUTER's greeting and READY, after which it takes messages.
    func awaitHandshake() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 512)
        var received = 0
        // Its READY names a socket type, at least 20 bytes.
        while received < 64 + 20 {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return false }
            received += count
        }
        return true
    }

    /// Throws away what was answered: closing with something unread would reset the connection and lose what was sent.
    func discardAnswers() {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT)) > 0 {}
    }

    // MARK: ZMTP

    static let greeting: [UInt8] = {
        let start: [UInt8] = [0xff] + [UInt8](repeating: 0, count: 8) + [0x7f, 3, 0] + Array("NULL".utf8)
        return start + [UInt8](repeating: 0, count: 64 - start.count)
    }()

    static func ready(identity: [UInt8], type: String = "DEALER") -> [UInt8] {
        func property(_ name: String, _ value: [UInt8]) -> [UInt8] {
            [UInt8(name.utf8.count)] + Array(name.utf8) + bigEndian(UInt32(value.count)) + value
        }
        let body =
            [5] + Array("READY".utf8) + property("Socket-Type", Array(type.utf8)) + property("Identity", identity)
        return frame(body, flags: 4)
    }

    static func frame(_ body: [UInt8], flags: UInt8) -> [UInt8] {
        body.count < 256
            ? [flags, UInt8(body.count)] + body : [flags | 2] + bigEndian(UInt64(body.count)) + body
    }

    static func message(_ frames: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        for (index, body) in frames.enumerated() { bytes += frame(body, flags: index + 1 < frames.count ? 1 : 0) }
        return bytes
    }

    static func bigEndian<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }
}
