import Basics

/// One reign of compute: every start or rollback takes the next. State is addressed by (epoch, sequence), and what
/// belongs to an older epoch is refused everywhere.
public struct Epoch: RawRepresentable, Codable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public init(_ value: UInt64) { rawValue = value }
    public var description: String { String(rawValue) }
    public static func < (a: Epoch, b: Epoch) -> Bool { a.rawValue < b.rawValue }
}

/// Counts the swaps of a stage's program and settings: 0 is what the run started with. A ticket is executed by workers
/// of its own generation only.
public struct Generation: RawRepresentable, Codable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public var rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    public init(_ value: Int) { rawValue = value }
    /// What a run starts with.
    public static let first = Generation(0)
    public var description: String { String(rawValue) }
    public var next: Generation { Generation(rawValue + 1) }
    public static func < (a: Generation, b: Generation) -> Bool { a.rawValue < b.rawValue }
}

/// The place of a record in the log: the training step that appended it. 0 is the empty memory before step 1.
public struct SequenceNumber: RawRepresentable, Codable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public init(_ value: UInt64) { rawValue = value }
    public var description: String { String(rawValue) }
    public var next: SequenceNumber { SequenceNumber(rawValue + 1) }
    public static func < (a: SequenceNumber, b: SequenceNumber) -> Bool { a.rawValue < b.rawValue }
}

/// The start id of a process, 16 hexadecimal digits from the system's random source. A new incarnation under a known
/// name is another process: counters, credits and snapshots of the old one no longer hold.
public struct Incarnation: RawRepresentable, Codable, Hashable, Sendable, CustomStringConvertible {
    public var rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public static func fresh() -> Incarnation {
        Incarnation(rawValue: UInt64.random(in: .min ... .max).digits(16, radix: 16))
    }
    public var description: String { rawValue }
}

/// Who speaks: which run, which replica of which stage, which start of it.
public struct Sender: Hashable, Sendable, CustomStringConvertible {
    /// The run's name, the same in all its messages.
    public var run: String
    /// Stage and replica, `loader-1`.
    public var name: String
    public var incarnation: Incarnation

    public init(run: String, name: String, incarnation: Incarnation = .fresh()) {
        self.run = run
        self.name = name
        self.incarnation = incarnation
    }

    public var description: String { name }
}
