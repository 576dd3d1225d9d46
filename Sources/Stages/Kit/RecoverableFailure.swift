/// What may make a stage's failure good.
public enum Remedy: String, Codable, Sendable {
    /// Another start of the stage, on the state that it keeps: a full disk may have room again.
    case restart
    /// A new epoch from the newest checkpoint: state of this stage, or of one that it depends on, is gone.
    case rollback
}

/// A failure that is no fault of recipe, data or checkpoint: it came of another process's death or of the machine, and
/// another start may go better. Everything else that a stage throws ends the run.
public struct RecoverableFailure: Error, CustomStringConvertible, Sendable {
    public var description: String
    public var remedy: Remedy

    public init(_ description: String, remedy: Remedy) {
        self.description = description
        self.remedy = remedy
    }
}
