import Basics
import Foundation

/// Frame 0 of every message: what it is, who sent it, which tensors follow. See PROTOCOL.md.
public struct Header: Codable, Sendable, Equatable {
    public static let currentVersion = 1

    public struct Tensor: Codable, Sendable, Equatable {
        public var name: String
        public var dtype: WireDType
        public var shape: [Int]
        public var bytes: Int

        public init(name: String, dtype: WireDType, shape: [Int], bytes: Int) {
            self.name = name
            self.dtype = dtype
            self.shape = shape
            self.bytes = bytes
        }

        public init(_ tensor: WireTensor) {
            self.init(name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, bytes: tensor.bytes.count)
        }
    }

    public var version: Int
    /// What the body is, for instance `ticket`; each link's page lists its types.
    public var type: String
    public var run: String
    public var sender: String
    public var incarnation: Incarnation
    public var epoch: Epoch
    /// Counts the sender's messages on this socket from 1; lets a receiver see duplicates and losses.
    public var sequence: UInt64
    public var tensors: [Tensor]
    /// Which ticket a pool's message is about; absent from all other messages.
    public var ticket: TicketID?
}

/// Sizes beyond which a message is refused before anything of it is used.
public struct MessageLimits: Sendable {
    public var headerBytes = 64 << 10
    public var bodyBytes = 4 << 20
    public var tensors = 64
    /// All tensors of a message together.
    public var tensorBytes = 1 << 30

    public init() {}

    /// Checks what is about to be sent against what a receiver with the same limits takes.
    ///
    /// - Throws: `WireError.tooLarge` or `.malformed`.
    public func check(body: Int, tensors all: [WireTensor]) throws {
        guard body <= bodyBytes else { throw WireError.tooLarge(what: "body", bytes: body, limit: bodyBytes) }
        guard all.count <= tensors else { throw WireError.malformed("\(all.count) tensors; the limit is \(tensors)") }
        let total = all.reduce(0) { $0 + $1.bytes.count }
        guard total <= tensorBytes else {
            throw WireError.tooLarge(what: "tensors", bytes: total, limit: tensorBytes)
        }
    }
}

/// A message as frames: header (JSON), body (JSON), then one raw frame per tensor.
public struct Message: Sendable {
    public var header: Header
    /// JSON; `{}` where a type has nothing to say.
    public var body: Data
    public var tensors: [WireTensor]

    public init(
        _ type: String, from sender: Sender, epoch: Epoch, sequence: UInt64, body: Data = Data("{}".utf8),
        tensors: [WireTensor] = [], ticket: TicketID? = nil
    ) {
        header = Header(
            version: Header.currentVersion, type: type, run: sender.run, sender: sender.name,
            incarnation: sender.incarnation, epoch: epoch, sequence: sequence,
            tensors: tensors.map(Header.Tensor.init), ticket: ticket)
        self.body = body
        self.tensors = tensors
    }

    /// Reads and checks frames that a peer sent.
    ///
    /// - Parameter run: messages of another run are refused; nil accepts any.
    /// - Throws: `WireError` that says what is wrong; nothing of the message may be used then.
    public init(frames: [SharedBytes], run: String?, limits: MessageLimits = MessageLimits()) throws {
        var check = FrameCheck.frames
        try self.init(frames: frames, run: run, limits: limits, check: &check)
    }

    /// The same; `check` is the one that failed where it throws, and `.type`, the next, where it does not.
    public init(frames: [SharedBytes], run: String?, limits: MessageLimits, check: inout FrameCheck) throws {
        check = .frames
        guard frames.count >= 2 else { throw WireError.malformed("\(frames.count) frames; at least 2 are needed") }
        check = .sizes
        guard frames[0].count <= limits.headerBytes else {
            throw WireError.tooLarge(what: "header", bytes: frames[0].count, limit: limits.headerBytes)
        }
        guard frames[1].count <= limits.bodyBytes else {
            throw WireError.tooLarge(what: "body", bytes: frames[1].count, limit: limits.bodyBytes)
        }
        check = .header
        let header: Header
        do {
            header = try Header(frame: frames[0])
        } catch let error as WireError {
            if case .unknownVersion = error { check = .version }
            throw error
        } catch {
            throw WireError.malformed("header is no valid JSON header")
        }
        check = .version
        guard header.version == Header.currentVersion else { throw WireError.unknownVersion(header.version) }
        check = .run
        if let run, header.run != run { throw WireError.wrongRun(header.run, expected: run) }
        check = .tensors
        guard header.tensors.count <= limits.tensors else {
            throw WireError.malformed("\(header.tensors.count) tensors; the limit is \(limits.tensors)")
        }
        guard frames.count == 2 + header.tensors.count else {
            throw WireError.malformed(
                "\(frames.count - 2) tensor frames where the header lists \(header.tensors.count)")
        }
        let total = frames[2...].reduce(0) { $0 + $1.count }
        guard total <= limits.tensorBytes else {
            throw WireError.tooLarge(what: "tensors", bytes: total, limit: limits.tensorBytes)
        }
        tensors = try zip(header.tensors, frames[2...]).map { declared, frame in
            guard declared.bytes == frame.count else {
                throw WireError.sizeMismatch(
                    tensor: declared.name, dtype: declared.dtype, shape: declared.shape, bytes: frame.count)
            }
            return try WireTensor(name: declared.name, dtype: declared.dtype, shape: declared.shape, bytes: frame)
        }
        self.header = header
        body = frames[1].data
        check = .type
    }

    /// The frames to send, in order.
    public func frames() throws -> [SharedBytes] {
        [header.frame(), SharedBytes(body)] + tensors.map(\.bytes)
    }

    /// The body as the type that the message's kind prescribes.
    public func decodeBody<Body: Decodable>(_ type: Body.Type = Body.self) throws -> Body {
        do {
            return try JSONDecoder().decode(type, from: body)
        } catch {
            throw WireError.malformed("body of '\(header.type)' is no valid \(Body.self)")
        }
    }

    /// - Throws: `WireError.missingTensor`.
    public func tensor(_ name: String) throws -> WireTensor {
        guard let found = tensors.first(where: { $0.name == name }) else {
            throw WireError.missingTensor(name, message: header.type)
        }
        return found
    }
}

extension SharedBytes {
    public convenience init(_ data: Data) {
        self.init(count: data.count) { target in _ = data.copyBytes(to: target) }
    }

    /// A copy as Foundation's `Data`, for decoding small JSON.
    public var data: Data { withUnsafeBytes { Data($0) } }
}

extension Encodable {
    /// The canonical JSON of a body: keys sorted, so equal values are equal bytes.
    public func wireJSON() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(self)
    }
}
