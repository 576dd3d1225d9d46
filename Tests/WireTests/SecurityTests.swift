import Basics
import Foundation
import Testing

@testable import Wire

@Suite struct EndpointTests {
    @Test(arguments: [
        ("tcp://127.0.0.1:5000", true), ("tcp://127.9.8.7:1", true), ("tcp://localhost:5000", true),
        ("tcp://[::1]:5000", true), ("ipc:///tmp/x", true), ("inproc://x", true), ("tcp://*:5000", false),
        ("tcp://0.0.0.0:5000", false), ("tcp://10.0.0.1:5000", false), ("tcp://127.0.0.1.evil.org:1", false),
        ("tcp://[::]:5000", false), ("tcp://eth0:5000", false), ("tcp://localhost.evil.org:1", false),
    ])
    func onlyAddressesOfThisMachineAreLocal(address: String, isLocal: Bool) throws {
        #expect(try Endpoint(address).isLocal == isLocal)
    }

    @Test func partsOfATCPAddress() throws {
        let endpoint = try Endpoint("tcp://head.example.org:5810")
        #expect(endpoint.host == "head.example.org" && endpoint.port == 5810)
        #expect(try Endpoint("tcp://*:7").dialled(at: "head").address == "tcp://head:7")
        #expect(try Endpoint("tcp://other:7").dialled(at: "head").address == "tcp://other:7")
        #expect(try Endpoint("ipc:///tmp/x").dialled(at: "head").address == "ipc:///tmp/x")
        #expect(try Endpoint("tcp://127.0.0.1:*").port == nil && Endpoint("ipc:///a:7").port == nil)
    }

    @Test func plainTCPBeyondThisMachineIsRefusedAtEitherEnd() throws {
        let context = Context()
        let router = try Socket(.router, context: context)
        #expect { try router.bind(Endpoint("tcp://*:0")) } throws: {
            "\($0)".contains("tcp://*:0") && "\($0)".contains("keys")
        }
        #expect(throws: WireError.self) { try router.bind(Endpoint("tcp://0.0.0.0:0")) }
        try router.bind(Endpoint("tcp://127.0.0.1:0"))
        let dealer = try Socket(.dealer, context: context)
        #expect { try dealer.connect(Endpoint("tcp://10.255.255.1:9")) } throws: { "\($0)".contains("--key") }
    }
}

@Suite struct CurveKeyTests {
    @Test func keysAreFortyCharactersOfZ85() throws {
        let pair = try CurveKeyPair.generate()
        #expect(pair.publicKey.text.utf8.count == 40)
        #expect(try CurveKeyPair(secretKey: pair.secretKey) == pair)
        #expect(try CurveKeyPair.generate() != pair)
        let bytes = try JSONEncoder().encode([pair.publicKey])
        #expect(try JSONDecoder().decode([CurveKey].self, from: bytes) == [pair.publicKey])
        for bad in ["", "short", String(repeating: "~", count: 40), pair.publicKey.text + "0"] {
            #expect(throws: WireError.self) { try CurveKey(bad) }
        }
    }

    @Test func zapLetsInWhoIsAllowedUnderItsKey() throws {
        let pair = try CurveKeyPair.generate()
        let security = ServerSecurity(keys: try .generate(), allowed: AllowedKeys([pair.publicKey]))
        var raw = [UInt8](repeating: 0, count: 32)
        #expect(z85(pair.publicKey.text, into: &raw))
        func ask(domain: String = "picoflow", mechanism: String = "CURVE", credentials: [[UInt8]]) -> [String]? {
            let texts = ["peer", "", "1.0", "7", domain, "10.0.0.1", "", mechanism].map { SharedBytes(Data($0.utf8)) }
            return ZapHandler.answer(texts + credentials.map { SharedBytes($0) }, security)?
                .map { String(decoding: $0.data, as: UTF8.self) }
        }
        #expect(ask(credentials: [raw]) == ["peer", "", "1.0", "7", "200", "OK", pair.publicKey.text, ""])
        #expect(ask(credentials: [raw.reversed()])?[4] == "400")
        #expect(ask(mechanism: "NULL", credentials: [])?[4] == "400")
        #expect(ask(mechanism: "PLAIN", credentials: [Array("a".utf8), Array("b".utf8)])?[4] == "400")
        #expect(ask(domain: "other", credentials: [raw])?[4] == "400")
        #expect(ask(credentials: [Array(raw.dropLast())])?[4] == "400")
        #expect(ZapHandler.answer([SharedBytes(Data("x".utf8))], security) == nil)
        security.allowed.replace(by: [])
        #expect(ask(credentials: [raw])?[4] == "400")
    }
}

@Suite struct PeerKeysTests {
    private let a = try! CurveKeyPair.generate().publicKey
    private let b = try! CurveKeyPair.generate().publicKey
    private let id = Data("loader-1/0".utf8)

    @Test func aRoutingIdBelongsToTheKeyThatUsedItFirst() {
        let allowed = AllowedKeys([a, b])
        var peers = PeerKeys()
        #expect(peers.mayAnswer(id, allowed: allowed))
        #expect(peers.hear(id, key: a, allowed: allowed) == .admitted)
        #expect(peers.hear(id, key: b, allowed: allowed) == .taken)
        #expect(peers.hear(id, key: nil, allowed: allowed) == .taken)
        #expect(!peers.mayAnswer(id, allowed: allowed), "it might be the other's connection")
        #expect(peers.hear(id, key: a, allowed: allowed) == .admitted)
        #expect(peers.mayAnswer(id, allowed: allowed))
    }

    @Test func aLocalPeersRoutingIdIsNobodyElses() {
        let allowed = AllowedKeys([a])
        var peers = PeerKeys()
        #expect(peers.hear(id, key: nil, allowed: allowed) == .admitted)
        #expect(peers.hear(id, key: a, allowed: allowed) == .taken)
        #expect(peers.hear(id, key: nil, allowed: allowed) == .admitted)
    }

    @Test func aRevokedKeyIsNeitherHeardNorAnswered() {
        let allowed = AllowedKeys([a, b])
        var peers = PeerKeys()
        #expect(peers.hear(id, key: a, allowed: allowed) == .admitted)
        allowed.replace(by: [b])
        #expect(peers.hear(id, key: a, allowed: allowed) == .revoked)
        #expect(!peers.mayAnswer(id, allowed: allowed))
        allowed.replace(by: [a])
        #expect(peers.hear(id, key: a, allowed: allowed) == .admitted)
        #expect(peers.mayAnswer(id, allowed: allowed))
    }

    @Test func whatIsRememberedIsBounded() {
        let allowed = AllowedKeys([a])
        var peers = PeerKeys(limit: 2)
        for name in ["x", "y", "z"] { #expect(peers.hear(Data(name.utf8), key: a, allowed: allowed) == .admitted) }
        #expect(peers.hear(Data("x".utf8), key: nil, allowed: allowed) == .admitted, "forgotten")
        #expect(peers.hear(Data("z".utf8), key: nil, allowed: allowed) == .taken)
    }
}

/// Decodes Z85 by its definition, not by libzmq.
private func z85(_ text: String, into bytes: inout [UInt8]) -> Bool {
    let digits = Array("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#".utf8)
    for (index, block) in stride(from: 0, to: 40, by: 5).map({ Array(text.utf8)[$0..<$0 + 5] }).enumerated() {
        var value: UInt64 = 0
        for character in block {
            guard let digit = digits.firstIndex(of: character) else { return false }
            value = value * 85 + UInt64(digit)
        }
        for byte in 0..<4 { bytes[index * 4 + byte] = UInt8(value >> UInt64(24 - 8 * byte) & 255) }
    }
    return true
}
