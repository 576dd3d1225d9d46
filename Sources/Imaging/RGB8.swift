import Basics

/// A colour as it is stored in image files: 8 bits of red, green and blue.
///
/// Encodes as the list `[red, green, blue]`, which is how people write colours in YAML and JSON.
public struct RGB8: Hashable, Sendable, Codable {
    public var red: UInt8
    public var green: UInt8
    public var blue: UInt8

    public init(_ red: UInt8, _ green: UInt8, _ blue: UInt8) {
        self.red = red
        self.green = green
        self.blue = blue
    }

    /// Nil for a list of another length.
    public init?(list: [UInt8]) {
        guard list.count == 3 else { return nil }
        self.init(list[0], list[1], list[2])
    }

    /// `#rrggbb`
    public var hex: String {
        "#" + [red, green, blue].map { $0.digits(2, radix: 16) }.joined()
    }

    public init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        self.init(try list.decode(UInt8.self), try list.decode(UInt8.self), try list.decode(UInt8.self))
        guard list.isAtEnd else {
            throw DecodingError.dataCorruptedError(in: list, debugDescription: "a colour is [red, green, blue]")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var list = encoder.unkeyedContainer()
        try list.encode(red)
        try list.encode(green)
        try list.encode(blue)
    }
}
