import CCrypto

/// SHA-256 over bytes that arrive in pieces. OpenSSL's, which uses the processor's instructions for it: mini-batches, records
/// and gradients are hashed at every step.
public struct SHA256: Sendable {
    private var state = SHA256_CTX()

    public init() { SHA256_Init(&state) }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        SHA256_Update(&state, bytes.baseAddress, bytes.count)
    }

    public mutating func update(_ bytes: SharedBytes) { bytes.withUnsafeBytes { update($0) } }

    public mutating func update(_ text: String) {
        var text = text
        text.withUTF8 { update(UnsafeRawBufferPointer($0)) }
    }

    /// The little-endian bytes of an integer.
    public mutating func update(_ value: UInt64) { withUnsafeBytes(of: value.littleEndian) { update($0) } }

    /// The digest of all that was added, 64 hexadecimal digits.
    public func hex() -> String {
        var copy = state
        var digest = [UInt8](repeating: 0, count: 32)
        SHA256_Final(&digest, &copy)
        return digest.map { $0.digits(2, radix: 16) }.joined()
    }

    public static func hex(_ bytes: UnsafeRawBufferPointer) -> String {
        var hash = SHA256()
        hash.update(bytes)
        return hash.hex()
    }

    public static func hex(_ bytes: SharedBytes) -> String { bytes.withUnsafeBytes { hex($0) } }

    public static func hex(_ text: String) -> String {
        var hash = SHA256()
        hash.update(text)
        return hash.hex()
    }
}
