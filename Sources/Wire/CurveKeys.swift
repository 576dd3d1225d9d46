import CZeroMQ
import Foundation

/// One half of a CURVE key pair: 32 bytes, written as 40 characters of Z85 (ZeroMQ's RFC 32).
public struct CurveKey: Hashable, Codable, Sendable, CustomStringConvertible {
    /// What libzmq takes and hands out; never printed for a secret key.
    public let text: String

    /// - Throws: `WireError.key` where the text is no key.
    public init(_ text: String) throws {
        var bytes = [UInt8](repeating: 0, count: 32)
        guard text.utf8.count == 40, zmq_z85_decode(&bytes, text) != nil else {
            throw WireError.key("'\(text.prefix(48))' is no key: 40 characters of Z85 were expected")
        }
        self.text = text
    }

    /// - Parameter bytes: 32 of them; nil for another number.
    init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        var text = [CChar](repeating: 0, count: 41)
        zmq_z85_encode(&text, Array(bytes), 32)
        self.text = String(decoding: text.prefix(40).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// A key that libzmq has checked already.
    init(trusted text: String) { self.text = text }

    public init(from decoder: Decoder) throws { try self.init(decoder.singleValueContainer().decode(String.self)) }
    public func encode(to encoder: Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }

    public var description: String { text }
}

/// Who a process is on TCP. The public key may be told to anybody; whoever has the secret one is taken for its owner.
public struct CurveKeyPair: Sendable, Equatable {
    public let publicKey: CurveKey
    public let secretKey: CurveKey

    /// A new pair from the system's random source.
    public static func generate() throws -> CurveKeyPair {
        var publicText = [CChar](repeating: 0, count: 41)
        var secretText = [CChar](repeating: 0, count: 41)
        guard zmq_curve_keypair(&publicText, &secretText) == 0 else {
            throw WireError.key("this libzmq makes no keys (\(Socket.reason())); it must be built with CURVE")
        }
        func key(_ text: [CChar]) -> CurveKey {
            CurveKey(trusted: String(decoding: text.prefix(40).map(UInt8.init(bitPattern:)), as: UTF8.self))
        }
        return CurveKeyPair(publicKey: key(publicText), secretKey: key(secretText))
    }

    /// The pair that a secret key belongs to.
    public init(secretKey: CurveKey) throws {
        var publicText = [CChar](repeating: 0, count: 41)
        guard zmq_curve_public(&publicText, secretKey.text) == 0 else {
            throw WireError.key("a secret key has no public one: \(Socket.reason())")
        }
        publicKey = CurveKey(
            trusted: String(decoding: publicText.prefix(40).map(UInt8.init(bitPattern:)), as: UTF8.self))
        self.secretKey = secretKey
    }

    private init(publicKey: CurveKey, secretKey: CurveKey) {
        self.publicKey = publicKey
        self.secretKey = secretKey
    }
}
