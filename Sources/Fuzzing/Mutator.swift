import Basics

/// Spoils bytes: the small changes that find what a reader takes for granted. Seeded, so every find can be repeated.
public struct Mutator: Sendable {
    public var random: KeyedRandom

    public init(seed: UInt64, step: UInt64 = 0) {
        random = KeyedRandom(seed: seed, purpose: "fuzz", step: step)
    }

    /// Numbers at which readers go wrong.
    public static let numbers = [
        "0", "-1", "1", "255", "256", "65536", "2147483647", "-2147483648", "4294967296", "9223372036854775807",
        "-9223372036854775808", "9223372036854775808", "18446744073709551615", "18446744073709551616", "1e308", "1e999",
        "-0", "0.5", "1.0", "00", "1e3", "NaN", "null", "true", "\"1\"", "[]", "{}",
    ]

    private static let tokens: [[UInt8]] =
        (numbers + [
            "{", "}", "[", "]", ":", ",", "\"", "\\", "\\u", "\\ud800", "\\u0000", "\u{0}", "\u{1b}", "\u{feff}",
        ])
        .map { Array($0.utf8) } + [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]]

    /// One to four changes.
    public mutating func spoil(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<1 + random.below(4) { change(&bytes) }
        return bytes
    }

    private mutating func change(_ bytes: inout [UInt8]) {
        let place = random.below(bytes.count + 1)
        switch random.below(9) {
        case 0 where place < bytes.count: bytes[place] ^= 1 << UInt8(random.below(8))
        case 1 where place < bytes.count: bytes[place] = UInt8(random.below(256))
        case 2: bytes.removeSubrange(place...)
        case 3: bytes.removeSubrange(place..<min(bytes.count, place + 1 + random.below(16)))
        case 4: bytes.insert(contentsOf: Self.tokens[random.below(Self.tokens.count)], at: place)
        case 5:  // a piece twice
            let end = min(bytes.count, place + 1 + random.below(64))
            bytes.insert(contentsOf: Array(bytes[place..<end]), at: random.below(bytes.count + 1))
        case 6: replaceNumber(&bytes, from: place)
        case 7:  // one token many times: depth and length
            let token = Self.tokens[random.below(Self.tokens.count)]
            for _ in 0..<1 << random.below(8) { bytes.insert(contentsOf: token, at: min(place, bytes.count)) }
        default: bytes.insert(contentsOf: noise(1 + random.below(8)), at: place)
        }
    }

    private mutating func replaceNumber(_ bytes: inout [UInt8], from place: Int) {
        guard let start = bytes[place...].firstIndex(where: { (48...57).contains($0) }) else { return }
        let end = bytes[start...].firstIndex { !(48...57).contains($0) } ?? bytes.count
        bytes.replaceSubrange(start..<end, with: Array(Self.numbers[random.below(Self.numbers.count)].utf8))
    }

    public mutating func noise(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    public mutating func pick<Item>(_ items: [Item]) -> Item { items[random.below(items.count)] }
}
