/// Where a socket binds or connects: `ipc://PATH` or `tcp://HOST:PORT`.
public struct Endpoint: Codable, Hashable, Sendable, CustomStringConvertible {
    public let address: String

    /// - Throws: `WireError.endpoint` for another transport or a path beyond what a unix socket can have.
    public init(_ address: String) throws {
        if address.hasPrefix("ipc://") {
            // sockaddr_un holds 108 bytes with the terminating zero.
            guard address.utf8.count - 6 <= 107 else {
                throw WireError.endpoint(address, reason: "a unix socket's path has at most 107 bytes")
            }
        } else if !address.hasPrefix("tcp://") && !address.hasPrefix("inproc://") {
            throw WireError.endpoint(address, reason: "expected ipc://PATH or tcp://HOST:PORT")
        }
        self.address = address
    }

    public init(from decoder: Decoder) throws { try self.init(decoder.singleValueContainer().decode(String.self)) }
    public func encode(to encoder: Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(address)
    }
    public var description: String { address }
}

// TCP.
extension Endpoint {
    /// - Parameter host: a name, an address (IPv6 in brackets), or `*`: every interface where it binds, and where it
    ///   connects the host that the control link was dialled at.
    public static func tcp(_ host: String, _ port: UInt16) throws -> Endpoint { try Endpoint("tcp://\(host):\(port)") }

    public var isTCP: Bool { address.hasPrefix("tcp://") }

    /// What stands before the last colon; nil where this is not TCP.
    public var host: String? {
        guard isTCP, let colon = address.lastIndex(of: ":") else { return nil }
        let start = address.index(address.startIndex, offsetBy: 6)
        return start <= colon ? String(address[start..<colon]) : nil
    }

    /// Nil for another transport, and for a port that libzmq chooses (`*`).
    public var port: UInt16? { isTCP ? address.split(separator: ":").last.flatMap { UInt16($0) } : nil }

    /// Whether nobody outside this machine can reach it. `*` and `0.0.0.0` are every interface, so they are not.
    public var isLocal: Bool {
        guard let host else { return true }
        if host == "localhost" || host == "[::1]" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// The same port where `*` stands for the host that was dialled; anything else stays.
    public func dialled(at host: String) throws -> Endpoint {
        guard self.host == "*", let port else { return self }
        return try .tcp(host, port)
    }
}
