import Basics
import CZeroMQ
import Foundation
import Synchronization

/// A ZeroMQ context: the I/O thread behind a process's sockets.
///
/// `@unchecked Sendable`: libzmq contexts are thread-safe by its documentation.
public final class Context: @unchecked Sendable {
    let handle: UnsafeMutableRawPointer
    /// Who this process is on TCP.
    let roles = Mutex(Roles())

    public init(maxSockets: Int = 1024) {
        handle = zmq_ctx_new()
        zmq_ctx_set(handle, ZMQ_MAX_SOCKETS, Int32(maxSockets))
    }

    /// Waits until all sockets are closed and their lingering messages sent.
    deinit {
        roles.withLock { $0.handler }?.stop()
        zmq_ctx_term(handle)
    }
}

/// A ZeroMQ socket. It belongs to one thread at a time: nobody else uses or closes it.
///
/// `@unchecked Sendable` so that one thread can open it, where errors can be thrown to the caller, and hand it over
/// to the thread that it then belongs to (starting a thread is the full barrier that libzmq asks for).
public final class Socket: @unchecked Sendable {
    public enum Kind: Sendable { case router, dealer }

    public enum SendOutcome: Sendable, Equatable {
        case sent
        /// ROUTER only: no such peer is connected.
        case unreachable
        /// The queue to the peer is full.
        case full
    }

    let handle: UnsafeMutableRawPointer
    /// A context waits for its sockets when it goes, so it must go after them.
    private let context: Context?
    let roles: Context.Roles
    private var isOpen = true
    private var endpoint = "(unbound)"
    /// Only where TCP peers have keys: who stands behind each routing id.
    private var peerKeys: PeerKeys?
    /// The key behind the message that `receive` returned last; nil for a peer on this machine.
    public private(set) var sendersKey: CurveKey?
    /// What went over it so far; read by the thread that it belongs to.
    public private(set) var traffic = Traffic()
    private let hasLargeBuffers: Bool

    /// - Parameters:
    ///   - identity: a DEALER's routing id as the ROUTER sees it; libzmq invents one where nil.
    ///     At most 255 bytes.
    ///   - maxMessageBytes: frames beyond it cut the connection before they are allocated.
    ///   - onlyWhileConnected: a DEALER's messages are not kept for a peer that is not there (`send` says `.full`).
    ///   - largeBuffers: asks the kernel for more room per `ipc://` connection than it gives by itself.
    /// - Throws: `WireError.socket` or, for an unusable identity, `WireError.malformed`.
    public convenience init(
        _ kind: Kind, context: Context, identity: String? = nil, maxMessageBytes: Int = 1 << 30,
        onlyWhileConnected: Bool = false, largeBuffers: Bool = true
    ) throws {
        try self.init(
            kind, context: context, identity: identity, maxMessageBytes: maxMessageBytes,
            onlyWhileConnected: onlyWhileConnected, largeBuffers: largeBuffers, keepsContext: true)
    }

    /// - Parameter keepsContext: false where the context sees to it that the socket is closed before it goes.
    init(
        _ kind: Kind, context: Context, identity: String? = nil, maxMessageBytes: Int,
        onlyWhileConnected: Bool = false, largeBuffers: Bool = true, keepsContext: Bool
    ) throws {
        if let identity, !(1...255).contains(identity.utf8.count) || identity.utf8.contains(0) {
            throw WireError.malformed("'\(identity)' cannot be a routing id: it takes 1 to 255 bytes, none of them 0")
        }
        guard let handle = zmq_socket(context.handle, kind == .router ? ZMQ_ROUTER : ZMQ_DEALER) else {
            throw WireError.socket(operation: "open", endpoint: "\(kind) socket", reason: Socket.reason())
        }
        self.handle = handle
        self.context = keepsContext ? context : nil
        roles = context.roles.withLock { $0 }
        hasLargeBuffers = largeBuffers
        // Flow is by credit, so a DEALER's queue has no high-water mark. A ROUTER's has one that no honest peer comes to
        // (twice the largest credit): who asks and asks and never reads must not fill the memory; it counts as gone.
        // What a peer may pile up here has one too, and its transport then pushes back.
        set(ZMQ_SNDHWM, kind == .router ? 8192 : 0)
        set(ZMQ_RCVHWM, 1000)
        set(ZMQ_LINGER, 1000)
        set(ZMQ_HANDSHAKE_IVL, 10_000)
        set(ZMQ_MAXMSGSIZE, Int64(maxMessageBytes))
        if kind == .router {
            set(ZMQ_ROUTER_MANDATORY, 1)
            // A worker that reconnects under its name replaces the connection it had.
            set(ZMQ_ROUTER_HANDOVER, 1)
        } else {
            set(ZMQ_RECONNECT_IVL, 50)
            set(ZMQ_RECONNECT_IVL_MAX, 1000)
            if onlyWhileConnected { set(ZMQ_IMMEDIATE, 1) }
        }
        if let identity {
            _ = identity.withCString { zmq_setsockopt(handle, ZMQ_ROUTING_ID, $0, strlen($0)) }
        }
    }

    deinit { close() }

    /// Closes the socket; what is unsent lingers. The socket must not be used afterwards.
    public func close() {
        guard isOpen else { return }
        isOpen = false
        zmq_close(handle)
    }

    private func set<Value: BitwiseCopyable>(_ option: Int32, _ value: Value) {
        withUnsafeBytes(of: value) { _ = zmq_setsockopt(handle, option, $0.baseAddress, $0.count) }
    }

    func set(_ option: Int32, _ value: Int) { set(option, Int32(value)) }

    /// - Throws: `WireError.socket` where libzmq does not take it: security must not fail unseen.
    func secure(_ option: Int32, _ text: String) throws {
        guard text.withCString({ zmq_setsockopt(handle, option, $0, strlen($0)) }) == 0 else {
            throw WireError.socket(operation: "secure", endpoint: endpoint, reason: Socket.reason())
        }
    }

    /// How long unsent messages may hold up closing, milliseconds; -1 is for ever, 0 drops them.
    public var linger: Int = 1000 { didSet { set(ZMQ_LINGER, linger) } }

    /// A sample of megabytes goes through a unix socket in pieces of its buffer, and every piece wakes both sides. The
    /// kernel grants what it allows (net.core.wmem_max). TCP's buffers grow by themselves unless they are set.
    private func prepareBuffers(for endpoint: Endpoint) {
        guard hasLargeBuffers, endpoint.address.hasPrefix("ipc://") else { return }
        set(ZMQ_SNDBUF, 1 << 20)
        set(ZMQ_RCVBUF, 1 << 20)
    }

    /// - Precondition: of a socket with keys, TCP addresses are bound last: libzmq cannot take security off again.
    /// - Throws: `WireError.endpoint` for TCP that others can reach where the context has no keys, `WireError.socket`.
    public func bind(_ endpoint: Endpoint) throws {
        precondition(endpoint.isTCP || peerKeys == nil, "\(endpoint) is bound after TCP")
        self.endpoint = endpoint.address
        try prepareBinding(endpoint)
        if endpoint.isTCP, roles.server != nil, peerKeys == nil { peerKeys = PeerKeys() }
        prepareBuffers(for: endpoint)
        guard zmq_bind(handle, endpoint.address) == 0 else {
            let reason =
                zmq_errno() == ENODEV
                ? "this machine has no such address; bind '*' or a number, names are for who connects" : Socket.reason()
            throw WireError.socket(operation: "bind", endpoint: endpoint.address, reason: reason)
        }
    }

    /// - Throws: `WireError.endpoint` for TCP beyond this machine where the context has no keys, `WireError.socket`.
    public func connect(_ endpoint: Endpoint) throws {
        self.endpoint = endpoint.address
        try prepareConnecting(endpoint)
        prepareBuffers(for: endpoint)
        guard zmq_connect(handle, endpoint.address) == 0 else {
            throw WireError.socket(operation: "connect to", endpoint: endpoint.address, reason: Socket.reason())
        }
    }

    /// The address a bind to `tcp://…:0` got.
    public func boundEndpoint() throws -> Endpoint {
        var buffer = [CChar](repeating: 0, count: 256)
        var size = buffer.count
        guard zmq_getsockopt(handle, ZMQ_LAST_ENDPOINT, &buffer, &size) == 0 else {
            throw WireError.socket(operation: "ask the address of", endpoint: endpoint, reason: Socket.reason())
        }
        return try Endpoint(String(decoding: buffer[..<max(0, size - 1)].map(UInt8.init(bitPattern:)), as: UTF8.self))
    }

    /// Becomes readable when something about the socket changes; see `SocketSet`.
    var descriptor: Int32 {
        var descriptor: Int32 = -1
        var size = MemoryLayout<Int32>.size
        zmq_getsockopt(handle, ZMQ_FD, &descriptor, &size)
        return descriptor
    }

    /// Sends a whole multi-part message or nothing of it. Never blocks. Large frames are not copied: their memory
    /// stays alive until libzmq has sent it.
    @discardableResult
    public func send(_ frames: [SharedBytes]) throws -> SendOutcome {
        if let peerKeys, let server = roles.server, let peer = frames.first,
            !peerKeys.mayAnswer(peer.data, allowed: server.allowed)
        {
            return .unreachable
        }
        for (index, frame) in frames.enumerated() {
            let more = index + 1 < frames.count ? ZMQ_SNDMORE : 0
            var message = Socket.message(frame)
            if zmq_msg_send(&message, handle, more | ZMQ_DONTWAIT) < 0 {
                let error = zmq_errno()
                zmq_msg_close(&message)
                // libzmq decides on a multi-part message at its first frame.
                switch error {
                case EHOSTUNREACH: return .unreachable
                case EAGAIN: return .full
                default: throw WireError.socket(operation: "send on", endpoint: endpoint, reason: Socket.reason(error))
                }
            }
        }
        traffic.sent += frames.reduce(0) { $0 + $1.count }
        return .sent
    }

    /// The next message's frames, or nil where none waits. Frames are not copied.
    ///
    /// - Parameter maxFrames: of a message with more, the rest is thrown away and one frame more than `maxFrames` is
    ///   returned, so that it can be told from a good one.
    public func receive(maxFrames: Int = 128) throws -> [SharedBytes]? {
        var key: CurveKey?
        // What must not be heard is as if it had not come.
        while let frames = try receiveUnchecked(maxFrames, &key) {
            guard peerKeys != nil else { return frames }
            guard isHeard(frames[0].data, key) else { continue }
            sendersKey = key
            return frames
        }
        return nil
    }

    /// Whether a message under a routing id is for us to use; says why not.
    private func isHeard(_ peer: Data, _ key: CurveKey?) -> Bool {
        guard let server = roles.server else { return true }
        switch peerKeys?.hear(peer, key: key, allowed: server.allowed) {
        case .admitted, nil: return true
        case .revoked: server.note("dropped a message of the revoked key \(key?.text ?? "")")
        case .taken:
            server.note("dropped a message under another's routing id" + (key.map { " by the key \($0)" } ?? ""))
        }
        return false
    }

    /// - Parameter key: set to the sender's, nil for one without.
    private func receiveUnchecked(_ maxFrames: Int, _ key: inout CurveKey?) throws -> [SharedBytes]? {
        var frames: [SharedBytes] = []
        while true {
            let message = UnsafeMutablePointer<zmq_msg_t>.allocate(capacity: 1)
            zmq_msg_init(message)
            if zmq_msg_recv(message, handle, ZMQ_DONTWAIT) < 0 {
                let error = zmq_errno()
                zmq_msg_close(message)
                message.deallocate()
                if error == EINTR { continue }
                if error == EAGAIN && frames.isEmpty { return nil }
                throw WireError.socket(operation: "receive on", endpoint: endpoint, reason: Socket.reason(error))
            }
            let more = zmq_msg_more(message) != 0
            // What stands with the frame behind the routing id; libzmq leaves the routing id's own frame without.
            if peerKeys != nil, frames.count == 1 {
                key = zmq_msg_gets(message, "User-Id").map { CurveKey(trusted: String(cString: $0)) }
            }
            traffic.received += zmq_msg_size(message)
            let holder = MessageHolder(message)
            let frame = SharedBytes(adopting: zmq_msg_data(message), count: zmq_msg_size(message)) { _ in holder.close()
            }
            if frames.count <= maxFrames { frames.append(frame) }
            if !more { return frames }
        }
    }

    private static func message(_ bytes: SharedBytes) -> zmq_msg_t {
        var message = zmq_msg_t()
        // Below this, copying is cheaper than a reference count across threads.
        if bytes.count <= 1024 {
            zmq_msg_init_size(&message, bytes.count)
            bytes.withUnsafeBytes { if let base = $0.baseAddress { memcpy(zmq_msg_data(&message), base, $0.count) } }
        } else {
            let owner = Unmanaged.passRetained(bytes)
            // The pointer outlives the closure because the message holds the owner until libzmq releases it.
            bytes.withUnsafeBytes { memory in
                _ = zmq_msg_init_data(
                    &message, UnsafeMutableRawPointer(mutating: memory.baseAddress), memory.count,
                    { _, hint in Unmanaged<SharedBytes>.fromOpaque(hint!).release() }, owner.toOpaque())
            }
        }
        return message
    }

    static func reason(_ error: Int32 = zmq_errno()) -> String { String(cString: zmq_strerror(error)) }
}

/// `@unchecked Sendable`: closed once, by whichever thread drops the last reference to the frame.
private final class MessageHolder: @unchecked Sendable {
    private let message: UnsafeMutablePointer<zmq_msg_t>
    init(_ message: UnsafeMutablePointer<zmq_msg_t>) { self.message = message }
    func close() {
        zmq_msg_close(message)
        message.deallocate()
    }
}

extension MessageLimits {
    /// No single frame of a message within these limits is larger.
    var largestFrame: Int { max(headerBytes, bodyBytes, tensorBytes) }
}
