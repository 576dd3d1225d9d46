/// One process of a stage: the stage's name in the topology and a number from 1.
public struct Replica: Codable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public var stage: String
    public var id: Int

    public init(_ stage: String, _ id: Int) {
        self.stage = stage
        self.id = id
    }

    /// `loader-1`: the name in messages and of the log file.
    public var description: String { "\(stage)-\(id)" }

    public static func < (a: Replica, b: Replica) -> Bool { (a.stage, a.id) < (b.stage, b.id) }
}
