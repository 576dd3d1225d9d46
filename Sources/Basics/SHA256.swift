import CSodium

/// SHA-256 over bytes that arrive in pieces (libsodium's).
public struct SHA256: Sendable {
    private var state = crypto_hash_sha256_state()

    public init() { crypto_hash_sha256_init(&state) }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        crypto_hash_sha256_update(&state, base.assumingMemoryBound(to: UInt8.self), UInt64(bytes.count))
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
        crypto_hash_sha256_final(&copy, &digest)
        return digest.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    public static func hex(_ text: String) -> String {
        var hash = SHA256()
        hash.update(text)
        return hash.hex()
    }
}
