import Basics
import Foundation
import Testing

@testable import Wire

/// Real sockets on loopback TCP, one context per process that they stand for.
@Suite(.timeLimit(.minutes(1))) struct CurveSocketTests {
    private let serverKeys = try! CurveKeyPair.generate()
    private let friend = try! CurveKeyPair.generate()
    private let stranger = try! CurveKeyPair.generate()
    private let notes = Recorder<String>()

    private let folder = SocketFolder()

    /// A ROUTER on a unix-domain socket and on TCP, where it lets in who is allowed.
    private func server(
        allowed: AllowedKeys
    ) throws -> (socket: Socket, tcp: Endpoint, ipc: Endpoint, security: ServerSecurity) {
        let context = Context()
        let security = ServerSecurity(keys: serverKeys, allowed: allowed, onNote: { [notes] in notes.note($0) })
        try context.secureServers(security)
        let router = try Socket(.router, context: context)
        try router.bind(folder.endpoint())
        try router.bind(Endpoint("tcp://127.0.0.1:0"))
        return (router, try router.boundEndpoint(), folder.endpoint(), security)
    }

    /// A port that was free a moment ago. Its socket is closed for good once its context is gone, on return.
    private func freeEndpoint() throws -> Endpoint {
        let probe = try Socket(.router, context: Context())
        try probe.bind(Endpoint("tcp://127.0.0.1:0"))
        return try probe.boundEndpoint()
    }

    /// Reads until so many connections or messages were refused; nothing else may come meanwhile.
    private func read(_ router: Socket, until refusals: Int, _ security: ServerSecurity) throws {
        let end = Instant.now() + .seconds(30)
        while security.refusals < refusals, Instant.now() < end {
            #expect(try receive(router, within: .milliseconds(20)) == nil)
        }
        #expect(security.refusals == refusals)
    }

    private func client(_ keys: CurveKeyPair?, server: CurveKey? = nil, _ endpoint: Endpoint, _ id: String) throws
        -> Socket
    {
        let context = Context()
        if let keys { context.identify(as: ClientSecurity(keys: keys, server: server ?? serverKeys.publicKey)) }
        let dealer = try Socket(.dealer, context: context, identity: id)
        dealer.linger = 0
        try dealer.connect(endpoint)
        return dealer
    }

    private func frame(_ text: String) -> SharedBytes { SharedBytes(Data(text.utf8)) }

    private func receive(_ socket: Socket, within limit: Duration = .seconds(30)) throws -> [String]? {
        let end = Instant.now() + limit
        while true {
            if let frames = try socket.receive() { return frames.map { String(decoding: $0.data, as: UTF8.self) } }
            let left = end.millisecondsLeft(at: .now())
            guard left > 0 else { return nil }
            _ = Poller.wait([socket], wakeup: nil, milliseconds: left)
        }
    }

    @Test func oneSocketServesLocalPeersPlainAndOthersByTheirKeys() throws {
        let (router, tcp, ipc, _) = try server(allowed: AllowedKeys([friend.publicKey]))
        let remote = try client(friend, tcp, "remote")
        try remote.send([frame("from afar")])
        #expect(try receive(router) == ["remote", "from afar"])
        #expect(router.sendersKey == friend.publicKey)
        let local = try client(nil, ipc, "local")
        try local.send([frame("from here")])
        #expect(try receive(router) == ["local", "from here"])
        #expect(router.sendersKey == nil)
        for peer in ["remote", "local"] { #expect(try router.send([frame(peer), frame("hello")]) == .sent) }
        #expect(try receive(remote) == ["hello"])
        #expect(try receive(local) == ["hello"])
    }

    @Test func aStrangerGetsNoFrame() throws {
        let (router, tcp, _, _) = try server(allowed: AllowedKeys([friend.publicKey]))
        let outsiders = [
            try client(nil, tcp, "plain"), try client(stranger, tcp, "unknown"),
            try client(friend, server: stranger.publicKey, tcp, "misled"),
        ]
        for outsider in outsiders { try outsider.send([frame("let me in")]) }
        // The friend, who knocks last, is served although the others keep trying.
        let welcome = try client(friend, tcp, "friend")
        try welcome.send([frame("hello")])
        #expect(try receive(router) == ["friend", "hello"])
        #expect(notes.first { $0.contains(stranger.publicKey.text) && $0.contains("not allowed") } != nil)
        for (outsider, id) in zip(outsiders, ["plain", "unknown", "misled"]) {
            #expect(try router.send([frame(id), frame("secret")]) == .unreachable)
            #expect(try receive(outsider, within: .milliseconds(100)) == nil)
        }
        #expect(try receive(router, within: .milliseconds(100)) == nil)
    }

    @Test func aRevokedKeyIsCutOffWhileConnectedAndRefusedAfterwards() throws {
        let allowed = AllowedKeys([friend.publicKey])
        let (router, tcp, _, security) = try server(allowed: allowed)
        let dealer = try client(friend, tcp, "d")
        try dealer.send([frame("1")])
        #expect(try receive(router) == ["d", "1"])
        allowed.replace(by: [])
        try dealer.send([frame("2")])
        try read(router, until: 1, security)
        #expect(notes.all.last?.contains("revoked key \(friend.publicKey)") == true)
        #expect(try router.send([frame("d"), frame("answer")]) == .unreachable)
        #expect(try receive(dealer, within: .milliseconds(100)) == nil)
        let again = try client(friend, tcp, "e")
        try again.send([frame("3")])
        try read(router, until: 2, security)
        #expect(try receive(router, within: .milliseconds(100)) == nil)
        #expect(try router.send([frame("e"), frame("answer")]) == .unreachable)
    }

    @Test func anotherKeyCannotTakeOverARoutingId() throws {
        let (router, tcp, _, security) = try server(allowed: AllowedKeys([friend.publicKey, stranger.publicKey]))
        let owner = try client(friend, tcp, "loader-1/0")
        try owner.send([frame("mine")])
        #expect(try receive(router) == ["loader-1/0", "mine"])
        let thief = try client(stranger, tcp, "loader-1/0")
        try thief.send([frame("mine now")])
        try read(router, until: 1, security)
        #expect(notes.all.last?.contains("another's routing id by the key \(stranger.publicKey)") == true)
        #expect(try router.send([frame("loader-1/0"), frame("secret")]) == .unreachable)
        #expect(try receive(thief, within: .milliseconds(100)) == nil)
    }

    @Test func aPoolServesWorkersHereAndThere() throws {
        let context = Context()
        try context.secureServers(ServerSecurity(keys: serverKeys, allowed: AllowedKeys([friend.publicKey])))
        let tcp = try freeEndpoint()
        let pool = try PoolConsumer(
            endpoint: folder.endpoint(), alsoAt: [tcp], as: Sender(run: "r", name: "compute-1"), epoch: Epoch(1),
            context: context, settings: .quick)
        let afar = Context()
        afar.identify(as: ClientSecurity(keys: friend, server: serverKeys.publicKey))
        let remote = try RunningWorker("loader-1001", [tcp], context: afar) { ticket, _ in
            TicketOutput(body: Data("{\"from\":\"afar\"}".utf8))
        }
        for id in 1...5 as ClosedRange<UInt64> { try pool.issue(Ticket(id: TicketID(id))) }
        for _ in 1...5 { #expect(try pool.expectNext().worker == "loader-1001") }
        let local = try RunningWorker("loader-1", [folder.endpoint()], context: Context()) { ticket, _ in
            TicketOutput(body: ticket.body)
        }
        remote.worker.stop()
        try remote.join()
        try pool.issue(Ticket(id: 6))
        #expect(try pool.expectNext().worker == "loader-1")
        local.worker.stop()
        try local.join()
    }
}
