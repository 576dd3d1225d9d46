import DequeModule

/// Who writes in an epoch: one start of compute per rank; and what of their records still waits for the other ranks'.
///
/// A sequence is complete when every rank's part is there. Ranks train in step, so the parts of one sequence come
/// close together; a lost message may hold one rank's back while another's next ones arrive.
struct LogWriters {
    /// One per rank; nil for one that has not opened the epoch yet. Empty where nobody has.
    private(set) var incarnations: [Incarnation?]
    /// Where to answer each.
    private var addresses: [LogPeer?]
    /// Per rank, the parts of the sequences after the bank's position.
    private var waiting: [Deque<(digest: String, payload: LogPayload)>]
    /// Of the newest complete sequences, the digest of each rank's part; a repetition must have the same.
    private var complete: Deque<(sequence: SequenceNumber, digests: [String])> = []

    /// Sequences of which parts are kept. What is not kept comes again, as after any loss.
    private let ahead: Int
    /// More than any writer has unacknowledged.
    private static let remembered = 1024

    init(_ incarnations: [Incarnation?] = [], ahead: UInt64 = 1) {
        self.incarnations = incarnations
        addresses = Array(repeating: nil, count: incarnations.count)
        waiting = Array(repeating: [], count: incarnations.count)
        self.ahead = incarnations.count > 1 ? Int(ahead) : 1
    }

    var count: Int { incarnations.count }
    var hasOpened: Bool { incarnations.contains { $0 != nil } }
    var peers: [LogPeer] { addresses.compactMap { $0 } }

    func rank(of incarnation: Incarnation) -> Int? { incarnations.firstIndex(of: incarnation) }

    /// Whether another rank opened the epoch for as many, and this one's place is free.
    func awaits(_ rank: Int, of ranks: Int) -> Bool { ranks == count && hasOpened && incarnations[rank] == nil }

    mutating func enter(_ incarnation: Incarnation, as rank: Int) { incarnations[rank] = incarnation }
    mutating func note(_ peer: LogPeer, of rank: Int) { addresses[rank] = peer }

    enum Arrival {
        case kept
        /// The same part again.
        case duplicate
        /// Another part of the same sequence.
        case conflict
        /// One before it was lost, or there is no room for it yet.
        case early
    }

    /// Takes a rank's part of a sequence beyond the bank's position.
    mutating func take(
        _ payload: LogPayload, digest: String, of rank: Int, at sequence: SequenceNumber, after position: SequenceNumber
    ) -> Arrival {
        let place = Int(sequence.rawValue - position.rawValue) - 1
        if place < waiting[rank].count { return waiting[rank][place].digest == digest ? .duplicate : .conflict }
        guard place == waiting[rank].count, place < ahead else { return .early }
        waiting[rank].append((digest, payload))
        return .kept
    }

    /// The parts of the next sequence in the order of the ranks, once all are there.
    mutating func takeNext(_ sequence: SequenceNumber) -> [LogPayload]? {
        guard !waiting.isEmpty, waiting.allSatisfy({ !$0.isEmpty }) else { return nil }
        let parts = waiting.indices.map { waiting[$0].removeFirst() }
        if count > 1 {
            complete.append((sequence, parts.map(\.digest)))
            if complete.count > Self.remembered { complete.removeFirst() }
        }
        return parts.map(\.payload)
    }

    /// The digest of a rank's part of a sequence that is complete; nil where it is no longer known, as after a restart.
    func digest(of rank: Int, at sequence: SequenceNumber) -> String? {
        complete.last { $0.sequence == sequence }?.digests[rank]
    }

    /// Drops all parts: they follow on a record that was refused.
    mutating func forgetParts() {
        for rank in waiting.indices { waiting[rank].removeAll() }
    }
}
