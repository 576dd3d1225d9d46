import DequeModule
import Foundation

/// Which key stands behind which routing id of a socket, and who is heard and answered by it.
///
/// The handshake keeps strangers out; this holds for those that are in. A key that was revoked is neither heard nor
/// answered, although its connection cannot be closed from here. A routing id belongs to the key that used it first:
/// libzmq gives the id to whoever connects under it last, so that a worker can reconnect, and so might another key's
/// owner who knew the id's 64 random bits.
struct PeerKeys {
    enum Verdict: Equatable {
        case admitted
        case revoked
        /// Under a routing id that another key introduced.
        case taken
    }

    /// Nil stands for a peer without key: one on this machine.
    private var owners: [Data: CurveKey?] = [:]
    /// Keys of `owners`, oldest first.
    private var order: Deque<Data> = []
    /// Routing ids that somebody else has spoken under since their owner did.
    private var taken: Set<Data> = []
    private let limit: Int

    /// - Parameter limit: routing ids kept in mind; peers choose them, so there must be a bound. Far above the workers
    ///   that one socket can have.
    init(limit: Int = 65536) { self.limit = limit }

    /// Judges a received message.
    mutating func hear(_ peer: Data, key: CurveKey?, allowed: AllowedKeys) -> Verdict {
        if let key, !allowed.contains(key) { return .revoked }
        if let owner = owners[peer] {
            guard owner == key else {
                taken.insert(peer)
                return .taken
            }
            if !taken.isEmpty { taken.remove(peer) }
            return .admitted
        }
        owners[peer] = .some(key)
        order.append(peer)
        if order.count > limit {
            let oldest = order.removeFirst()
            owners[oldest] = nil
            taken.remove(oldest)
        }
        return .admitted
    }

    /// Whether anything may be sent to a routing id.
    func mayAnswer(_ peer: Data, allowed: AllowedKeys) -> Bool {
        guard let owner = owners[peer] else { return true }
        if let key = owner, !allowed.contains(key) { return false }
        return !taken.contains(peer)
    }
}
