import CCrypto

/// Texts that must not be guessed: made by the system's generator, compared in a time that does not tell where they differ.
public struct SecretText: Sendable {
    public let text: String

    /// 128 random bits in hexadecimal digits.
    public static func random() -> SecretText {
        var system = SystemRandomNumberGenerator()
        let digits = (0..<32).map { _ in "0123456789abcdef".randomElement(using: &system)! }
        return SecretText(String(digits))
    }

    public init(_ text: String) { self.text = text }

    /// Whether somebody knows it. Only the length, which is no secret, shows in the time this takes.
    public func matches(_ guess: String) -> Bool {
        let (mine, theirs) = (Array(text.utf8), Array(guess.utf8))
        return mine.count == theirs.count && CRYPTO_memcmp(mine, theirs, mine.count) == 0
    }
}
