import Wire

extension LogError {
    /// Whether the bank no longer has what this compute appended, or belongs to another: what a new epoch from the newest
    /// checkpoint makes good.
    var isLossOfState: Bool {
        switch self {
        case .lostRecords, .refused(.epoch, _), .refused(.sequence, _), .refused(.gone, _), .refused(.writer, _): true
        case .refused, .staleEpoch, .timeout, .outOfOrder, .backlog, .notOpen, .replica, .cancelled, .closed, .storage:
            false
        }
    }
}
