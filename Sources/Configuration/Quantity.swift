import Yams

/// A number with its unit, such as `500 ms` or `64 MiB`, in whole base units.
enum Quantity {
    typealias Unit = (name: String, size: Int)

    static let time: [Unit] = [("ms", 1), ("s", 1000), ("min", 60_000), ("h", 3_600_000)]
    static let bytes: [Unit] = [
        ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
        ("kB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000),
    ]

    /// The quantity in base units; nil for a missing or unknown unit, a sign, or a fraction of the base unit.
    static func parse(_ text: String, units: [Unit]) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber || $0 == "." }
        let name = text[digits.endIndex...].drop { $0 == " " }
        guard let unit = units.first(where: { $0.name == name }), let number = Double(digits) else { return nil }
        let size = number * Double(unit.size)
        // Beyond 2^53 a Double does not count every byte any more; 2.01 s are 2009.9999999999998 ms to it.
        guard abs(size.rounded() - size) <= 4 * size.ulp, size < 0x1p53 else { return nil }
        return Int(size.rounded())
    }

    /// The shortest whole notation: `90000` ms is `90 s`.
    static func text(_ count: Int, units: [Unit]) -> String {
        let unit = units.last { count != 0 && count % $0.size == 0 } ?? units[0]
        return "\(count / unit.size) \(unit.name)"
    }
}

/// A number of bytes, written `64 MiB`.
public struct ByteCount: Codable, Sendable, Equatable {
    public var bytes: Int

    public init(bytes: Int) { self.bytes = bytes }
    public static func mebibytes(_ count: Int) -> ByteCount { ByteCount(bytes: count << 20) }
}

extension ByteCount: ConfigurationValue, CustomStringConvertible {
    static var shape: ValueShape { .bytes }
    static func decode(_ node: Node) -> ByteCount? {
        node.scalar.flatMap { Quantity.parse($0.string, units: Quantity.bytes) }.map(ByteCount.init)
    }
    var node: Node { Node(description) }
    public var description: String { Quantity.text(bytes, units: Array(Quantity.bytes.prefix(5))) }
}

/// Times in configurations are whole milliseconds.
extension Duration: ConfigurationValue {
    static var shape: ValueShape { .duration }
    static func decode(_ node: Node) -> Duration? {
        node.scalar.flatMap { Quantity.parse($0.string, units: Quantity.time) }.map { .milliseconds($0) }
    }
    var node: Node {
        let (seconds, attoseconds) = components
        return Node(Quantity.text(Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000), units: Quantity.time))
    }
}
