import Basics
import Foundation
import Wire

/// Where a dashboard listens: `8642`, or `HOST:PORT` for another address than this machine's own.
public struct DashboardAddress: Sendable, Equatable {
    /// A number, IPv4 or IPv6 without brackets.
    public var host: String
    /// 0 lets the system choose one.
    public var port: UInt16

    public static let defaultPort = "8642"

    /// - Throws: `UserError` that says what would be right.
    public init(_ text: String) throws {
        func bad(_ why: String) -> UserError {
            UserError(
                "dashboard '\(text)': \(why); a port such as 8642 is expected, or ADDRESS:PORT as in 0.0.0.0:8642")
        }
        let colon = text.lastIndex(of: ":")
        let digits = colon.map { text[text.index(after: $0)...] } ?? text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) else {
            throw bad("'\(digits)' is no port")
        }
        guard let port = UInt16(digits) else { throw bad("ports go to 65535") }
        self.port = port
        var host = colon.map { String(text[..<$0]) } ?? "127.0.0.1"
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        switch host {
        case "localhost": host = "127.0.0.1"
        case "*": host = "0.0.0.0"
        default: break
        }
        var four = in_addr()
        var six = in6_addr()
        guard inet_pton(AF_INET, host, &four) == 1 || inet_pton(AF_INET6, host, &six) == 1 else {
            throw bad("'\(host)' is no address of an interface")
        }
        self.host = host
    }

    public var isIPv6: Bool { host.contains(":") }

    /// Whether only this machine can reach it; any other needs a token.
    public var isLocal: Bool { host == "::1" || host.hasPrefix("127.") }

    /// As in a URL; for all interfaces the machine's name.
    public func url(port: UInt16, token: String?) -> String {
        let name =
            switch host {
            case "0.0.0.0", "::": ProcessInfo.processInfo.hostName
            default: isIPv6 ? "[\(host)]" : host
            }
        return "http://\(name):\(port)/" + (token.map { "?token=\($0)" } ?? "")
    }
}
