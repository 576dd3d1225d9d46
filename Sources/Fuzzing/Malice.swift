/// The ways in which a message, or a connection, can be bad.
public enum Malice: String, CaseIterable, Sendable {
    // Messages.
    case tooFewFrames, tooManyFrames, largeHeader, largeBody
    case brokenHeader, nestedHeader, missingKey, wrongValue, strangeText
    case wrongVersion, wrongRun, wrongType
    case lyingTensors, manyTensors
    case brokenBody, nestedBody, wrongBody
    case wrongEpoch, unknownTicket, wrongSequence
    /// A good message of somebody else, or one of a good form that has no place here.
    case replay
    case noise
    // Connections.
    case rawBytes, silence, halfGreeting, brokenHandshake, hugeFrame, halfMessage, strangeIdentity

    public var isConnection: Bool {
        switch self {
        case .rawBytes, .silence, .halfGreeting, .brokenHandshake, .hugeFrame, .halfMessage, .strangeIdentity: true
        default: false
        }
    }

    static let messages = allCases.filter { !$0.isConnection }
    static let connections = allCases.filter(\.isConnection)
}

/// What kind of peer binds a socket, and so which messages it expects.
public enum LinkKind: String, Sendable {
    case control, pool, log

    /// By the name of the socket in a run's folder: `samples.compute-1`.
    init?(socket name: String) {
        switch name.prefix(while: { $0 != "." && $0 != "-" }) {
        case "control": self = .control
        case "samples", "mining", "evaluation": self = .pool
        case "memory": self = .log
        default: return nil
        }
    }

    /// Types that the binding side receives, each with a body of its form that changes nothing: a credit of 0, an epoch
    /// of nobody, a process that nobody started.
    var received: [(type: String, body: String)] {
        switch self {
        case .pool:
            [
                ("ready", #"{"credit":0,"executing":[],"session":1}"#), ("start", "{}"), ("result", "{}"),
                ("failed", #"{"error":"a.jpg is truncated"}"#), ("heartbeat", #"{"executing":[1,2]}"#), ("drain", "{}"),
                ("bye", "{}"),
            ]
        case .log:
            [
                ("log.open", #"{"request":1,"sequence":18446744073709551615}"#),
                ("log.append", #"{"payload":"{}","sequence":1}"#),
                ("log.checkpoint", #"{"folder":"/nowhere","request":1,"sequence":1}"#),
                ("log.retain", #"{"request":1,"sequence":1}"#), ("log.follow", #"{"newest":0,"request":1}"#),
                ("log.part", #"{"index":0,"request":1,"sequence":0}"#),
                ("log.records", #"{"count":1,"from":1,"request":1}"#), ("log.ping", #"{"ping":1}"#),
            ]
        case .control:
            [
                (
                    "hello",
                    #"{"fingerprint":{"hash":"00","versions":{}},"host":"nowhere","id":1,"kind":"loader","pid":1,"stage":"loader"}"#
                ), ("heartbeat", #"{"metrics":{},"state":"running"}"#),
                ("event", #"{"kind":"note","message":"hello"}"#), ("bye", #"{"reason":"finished"}"#),
                ("status-request", "{}"),
            ]
        }
    }

    /// Types of other links and of the other direction.
    var foreign: [String] {
        let all: [String] =
            switch self {
            case .pool:
                ["welcome", "ticket", "reset", "again", "refused", "log.append", "status-request", "hello"]
            case .log:
                [
                    "log.opened", "log.acknowledged", "log.record", "log.snapshot", "log.pong", "log.refused", "ready",
                    "bye",
                ]
            case .control: ["configuration", "command", "refused", "reply", "ready", "log.ping", "ticket"]
            }
        return all + ["", "Ready", "nonsense", "\\u0000", String(repeating: "x", count: 3000)]
    }
}
