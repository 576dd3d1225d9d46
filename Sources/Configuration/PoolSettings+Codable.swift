/// As JSON, which stages in other languages read: `{"heartbeatMilliseconds":1000,"messageLimitBytes":…,"silenceMilliseconds":…}`.
extension PoolSettings {
    private enum CodingKeys: String, CodingKey { case heartbeatMilliseconds, silenceMilliseconds, messageLimitBytes }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        heartbeat = .milliseconds(try values.decode(Int.self, forKey: .heartbeatMilliseconds))
        silence = .milliseconds(try values.decode(Int.self, forKey: .silenceMilliseconds))
        messageLimit = ByteCount(bytes: try values.decode(Int.self, forKey: .messageLimitBytes))
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(Int(heartbeat / .milliseconds(1)), forKey: .heartbeatMilliseconds)
        try values.encode(Int(silence / .milliseconds(1)), forKey: .silenceMilliseconds)
        try values.encode(messageLimit.bytes, forKey: .messageLimitBytes)
    }
}
