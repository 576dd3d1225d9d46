/// State that a follower of the log keeps: it starts from a snapshot and copies what physical records say.
///
/// Calls come from one thread at a time and in order: `beginRestore`, `restore` for each part, `endRestore`, then
/// `apply` for each later sequence. What a peer sent is not to be trusted: throw where it does not fit, never trap.
public protocol LogReplica {
    /// Forgets everything; the parts of a snapshot follow.
    mutating func beginRestore() throws

    /// Takes the next part of the snapshot.
    mutating func restore(_ part: LogPayload) throws

    /// All parts are there: the state is that of `sequence`.
    mutating func endRestore(at sequence: SequenceNumber) throws

    /// Copies one physical record; the state was that of `sequence - 1`.
    mutating func apply(_ physical: LogPayload, at sequence: SequenceNumber) throws
}

/// The state behind a log, as the bank owns it: it turns logical records into physical ones.
///
/// A value right after `init` is the empty state of sequence 0.
public protocol LogReducer: LogReplica {
    /// Decides what a logical record changes, changes it, and says so in a form that replicas only copy.
    ///
    /// The same state and record give the same bytes on every machine. The state after is the one that `apply` of
    /// the returned record would give.
    ///
    /// - Throws: where the record is not valid; the state is unchanged then, and the writer gets the description.
    mutating func reduce(_ logical: LogPayload, at sequence: SequenceNumber) throws -> LogPayload

    /// Makes the logical record of a sequence from the parts that the ranks of the writer appended, in their order: the
    /// one that a single writer would have appended.
    ///
    /// - Throws: where the parts do not go together; the writers get the description.
    func join(_ parts: [LogPayload], at sequence: SequenceNumber) throws -> LogPayload

    /// Hands out the state in parts of bounded size, of which `restore` makes the same state again. Equal states
    /// give equal parts.
    func writeSnapshot(_ emit: (LogPayload) throws -> Void) throws
}
