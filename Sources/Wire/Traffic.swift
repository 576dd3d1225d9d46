/// What went over a socket so far: bytes of all frames, headers and bodies included, ZeroMQ's own framing not.
public struct Traffic: Sendable, Equatable, Codable {
    public var sent = 0
    public var received = 0

    public init(sent: Int = 0, received: Int = 0) {
        self.sent = sent
        self.received = received
    }
}
