/// Why a worker's tickets went back.
public enum PoolLossCause: String, Sendable, Equatable {
    /// Its connection is closed.
    case unreachable = "its connection is gone"
    case silent = "it fell silent"
    case restarted = "it was restarted"
    case reported = "it was reported dead"
    /// It left in good order.
    case bye = "it left"
    /// It said READY anew, so it no longer holds what it had.
    case rejoined = "it joined anew"
    /// Its message numbers have a gap.
    case messagesLost = "messages of it were lost"
    case cutOff = "it was cut off"

    /// Whether the worker may have died of what it was executing.
    var isDeath: Bool {
        switch self {
        case .unreachable, .silent, .restarted, .reported: true
        case .bye, .rejoined, .messagesLost, .cutOff: false
        }
    }
}

/// Something that happened in a pool, for the log or the journal; its description is one line.
public enum PoolEvent: Sendable, Equatable, CustomStringConvertible {
    case joined(worker: String, credit: Int, generation: Generation = .first)
    case lost(worker: String, cause: PoolLossCause, reissued: Int)
    /// A worker died while it executed the ticket; `isolated` counts the deaths with nothing but this ticket.
    case blamed(ticket: TicketID, worker: String, isolated: Int)
    /// A worker thought dead of the ticket is alive, or its loss was expected.
    case absolved(ticket: TicketID, worker: String)
    case failed(PoolFailure)
    case skipped(ticket: TicketID, epoch: Epoch, reason: String)
    case refused(peer: String, reason: String)
    /// `unreported` bad frames came since the last such event.
    case badFrame(peer: String, reason: String, unreported: Int)
    /// `unreported` peers were cut off since the last such event.
    case cutOff(peer: String, unreported: Int = 0)
    /// A worker's end: the consumer took it.
    case welcomed(consumer: String, epoch: Epoch)
    /// A worker's end: what it held under an older epoch is void.
    case epochChanged(consumer: String, epoch: Epoch)
    /// A worker's end: the consumer says nothing more, or lost messages; the worker says READY anew.
    case rejoining(consumer: String, reason: String)

    public var description: String {
        switch self {
        case .joined(let worker, let credit, let generation):
            "\(worker) joined with credit \(credit)" + (generation > .first ? " for generation \(generation)" : "")
        case .lost(let worker, let cause, let reissued):
            "lost \(worker): \(cause.rawValue); \(reissued) tickets go to others"
        case .blamed(let ticket, let worker, let isolated):
            "\(worker) died executing ticket \(ticket), which is now executed alone (deaths so far alone: \(isolated))"
        case .absolved(let ticket, let worker): "ticket \(ticket) did not kill \(worker)"
        case .failed(let failure): failure.description
        case .skipped(let ticket, let epoch, let reason): "skipped ticket \(ticket) of epoch \(epoch): \(reason)"
        case .refused(let peer, let reason): "refused \(peer): \(reason)"
        case .badFrame(let peer, let reason, let unreported):
            "bad message from \(peer): \(reason)"
                + (unreported > 0 ? " (and \(unreported) more since the last report)" : "")
        case .cutOff(let peer, let unreported):
            "cut off \(peer), which keeps sending bad messages"
                + (unreported > 0 ? " (and \(unreported) other peers since the last report)" : "")
        case .welcomed(let consumer, let epoch): "\(consumer) took us, epoch \(epoch)"
        case .epochChanged(let consumer, let epoch): "\(consumer) is in epoch \(epoch); older work is dropped"
        case .rejoining(let consumer, let reason): "joining \(consumer) anew: \(reason)"
        }
    }
}
