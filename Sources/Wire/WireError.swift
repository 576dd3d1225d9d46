import Basics

/// What can be wrong with a peer, a frame or a socket. A bad frame never ends a run: it is counted, logged, dropped.
public enum WireError: Error, Equatable, CustomStringConvertible, Sendable {
    case malformed(String)
    case unknownVersion(Int)
    case wrongRun(String, expected: String)
    case tooLarge(what: String, bytes: Int, limit: Int)
    case sizeMismatch(tensor: String, dtype: WireDType, shape: [Int], bytes: Int)
    case missingTensor(String, message: String)
    case socket(operation: String, endpoint: String, reason: String)
    case endpoint(String, reason: String)
    /// What should be a key is none, or cannot be made.
    case key(String)

    public var description: String {
        switch self {
        case .malformed(let why): "malformed message: \(why)"
        case .unknownVersion(let version):
            "message of protocol version \(version); this build speaks \(Header.currentVersion)"
        case .wrongRun(let run, let expected): "message of run '\(run)'; this is run '\(expected)'"
        case .tooLarge(let what, let bytes, let limit): "\(what) of \(bytes) bytes; the limit is \(limit)"
        case .sizeMismatch(let tensor, let dtype, let shape, let bytes):
            "tensor '\(tensor)' declares \(dtype.rawValue) \(shape) but has \(bytes) bytes"
        case .missingTensor(let name, let message): "message '\(message)' lacks tensor '\(name)'"
        case .socket(let operation, let endpoint, let reason): "cannot \(operation) \(endpoint): \(reason)"
        case .endpoint(let text, let reason): "endpoint '\(text)': \(reason)"
        case .key(let why): why
        }
    }
}
