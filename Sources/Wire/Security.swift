import Foundation
import Synchronization

/// The public keys of those that may connect over TCP: read from a file, replaced while a run lives.
public final class AllowedKeys: Sendable {
    private let keys: Mutex<Set<CurveKey>>

    public init(_ keys: Set<CurveKey> = []) { self.keys = Mutex(keys) }

    public func contains(_ key: CurveKey) -> Bool { keys.withLock { $0.contains(key) } }

    /// From now on these and no others: a key that is gone fails its next handshake, and what it still says on an open
    /// connection is dropped.
    public func replace(by newer: Set<CurveKey>) { keys.withLock { $0 = newer } }
}

/// How the binding ends of a process secure TCP: who they are, and whom they let in.
public final class ServerSecurity: Sendable {
    public let keys: CurveKeyPair
    public let allowed: AllowedKeys
    private let onNote: @Sendable (String) -> Void
    private let refused = Mutex((count: 0, notes: ReportLimit(interval: .seconds(1))))

    /// - Parameter onNote: gets a line per refusal, at most one a second; called on any thread.
    public init(
        keys: CurveKeyPair, allowed: AllowedKeys, onNote: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.keys = keys
        self.allowed = allowed
        self.onNote = onNote
    }

    /// Connections that were refused and messages that were dropped so far.
    public var refusals: Int { refused.withLock { $0.count } }

    /// A flood of strangers must not fill the disk.
    func note(_ text: String) {
        let unreported = refused.withLock { refused -> Int? in
            refused.count += 1
            return refused.notes.report(at: Instant.now())
        }
        guard let unreported else { return }
        onNote(text + (unreported > 0 ? " (and \(unreported) more refusals since the last report)" : ""))
    }
}

/// Who a connecting process is on TCP, and whom it takes for the head of its run.
public struct ClientSecurity: Sendable, Equatable {
    public var keys: CurveKeyPair
    /// The server's public key: a server with another one is not talked to.
    public var server: CurveKey

    public init(keys: CurveKeyPair, server: CurveKey) {
        self.keys = keys
        self.server = server
    }
}

extension Context {
    /// Secures what this process binds on TCP from now on: CURVE, and nobody but the allowed keys gets past the
    /// handshake. Unix-domain sockets stay as they are: their folder is private to the user.
    ///
    /// - Throws: `WireError.socket` where the context has such a guard already.
    public func secureServers(_ security: ServerSecurity) throws {
        let handler = try ZapHandler(security, context: self)
        roles.withLock { roles in
            roles.server = security
            roles.handler = handler
        }
    }

    /// Says who this process is to the TCP servers that it connects to from now on.
    public func identify(as client: ClientSecurity) { roles.withLock { $0.client = client } }

    struct Roles {
        var server: ServerSecurity?
        var client: ClientSecurity?
        var handler: ZapHandler?
    }
}
