/// What the ends of a log tell their callers.
public enum LogError: Error, Equatable, CustomStringConvertible, Sendable {
    /// The bank refused, with its reason in words.
    case refused(LogRefusal.Code, String)
    /// The caller's epoch is over: the log is at a newer one.
    case staleEpoch(Epoch, current: Epoch)
    /// Nothing newer came within the time.
    case timeout(String)
    /// Records must be appended in order, one per step.
    case outOfOrder(SequenceNumber, expected: SequenceNumber)
    /// More unacknowledged records than may wait.
    case backlog(Int)
    /// Not opened, or failed before for this reason.
    case notOpen(String)
    /// The bank came back with less than it had acknowledged.
    case lostRecords(acknowledged: SequenceNumber, position: SequenceNumber)
    /// The follower's state refused what the bank sent.
    case replica(String)
    /// `cancel` was called while somebody waited.
    case cancelled
    /// `close` was called.
    case closed
    /// Files of the log that are damaged or do not belong together.
    case storage(String)

    public var description: String {
        switch self {
        case .refused(_, let why): "the bank refused: \(why)"
        case .staleEpoch(let epoch, let current): "epoch \(epoch) is over; the log is at epoch \(current)"
        case .timeout(let what): "no answer from the bank in time: \(what)"
        case .outOfOrder(let got, let expected): "record \(got) appended where \(expected) is next"
        case .backlog(let count): "\(count) records wait for the bank's acknowledgement; is it alive?"
        case .notOpen(let why): "the log is not open: \(why)"
        case .lostRecords(let acknowledged, let position):
            "the bank acknowledged record \(acknowledged) but came back at \(position); start it from a checkpoint"
        case .replica(let why): "the replica refused what the bank sent: \(why)"
        case .cancelled: "the wait for the log was cancelled"
        case .closed: "the log was closed"
        case .storage(let why): why
        }
    }
}
