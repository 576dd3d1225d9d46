import Basics
import Foundation
import Wire

/// The folder that says who a run is on TCP and who may join it: `keys/` in the run directory, or wherever
/// `supervisor.keys` says, so that a cluster can carry the keys there.
///
/// ```
/// server.key   the run's own key pair, mode 0600
/// allowed      a line per client: its public key and a name
/// ```
public struct KeysFolder: Sendable {
    public let path: String
    private var serverPath: String { path + "/server.key" }
    private var allowedPath: String { path + "/allowed" }

    /// One line of `allowed`.
    public struct Client: Sendable, Equatable {
        public var key: CurveKey
        public var name: String
    }

    private struct Pair: Codable {
        var `public`: CurveKey
        var secret: CurveKey
    }

    public init(_ path: String) { self.path = path }

    /// Makes what is missing: the folder (mode 0700), the run's key pair, an empty list.
    public func prepare() throws {
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw DurableFile.systemError("cannot make folder", path) }
        if access(serverPath, F_OK) != 0 {
            let pair = try CurveKeyPair.generate()
            let text = try Pair(public: pair.publicKey, secret: pair.secretKey).prettyJSON()
            try DurableFile.write(text + "\n", to: serverPath, mode: 0o600)
        }
        if access(allowedPath, F_OK) != 0 { try write([]) }
    }

    /// - Throws: `UserError` that names the file where it is missing or no key pair.
    public func serverKeys() throws -> CurveKeyPair {
        guard let data = FileManager.default.contents(atPath: serverPath) else {
            throw UserError("cannot read \(serverPath); 'picoflow launch' makes it where 'supervisor.listen' is set")
        }
        guard let pair = try? JSONDecoder().decode(Pair.self, from: data),
            let keys = try? CurveKeyPair(secretKey: pair.secret), keys.publicKey == pair.public
        else { throw UserError("\(serverPath) holds no key pair; remove it to have a new one made") }
        return keys
    }

    /// The clients in the file's order.
    ///
    /// - Throws: `UserError` with file and line for what is no key and name.
    public func clients() throws -> [Client] {
        guard let data = FileManager.default.contents(atPath: allowedPath) else {
            throw UserError("cannot read \(allowedPath); 'picoflow keys new NAME' makes it")
        }
        let lines = String(decoding: data, as: UTF8.self).split(
            omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        return try lines.enumerated().compactMap { index, line in
            let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
            // '#' is a character of Z85 too, but no key is one character or has blanks in it.
            guard let first = words.first, first != "#" else { return nil }
            guard words.count == 2, let key = try? CurveKey(words[0]) else {
                throw UserError("\(allowedPath):\(index + 1): a public key and a name were expected")
            }
            return Client(key: key, name: words[1])
        }
    }

    public func allowedKeys() throws -> Set<CurveKey> { Set(try clients().map(\.key)) }

    /// Lets a key in. One that is there under this name already stays.
    ///
    /// - Throws: `UserError` where the name is another key's, or no name.
    public func allow(_ key: CurveKey, name: String) throws {
        guard Self.isName(name) else {
            throw UserError("'\(name)' cannot name a key: 1 to 64 letters, digits, '-', '_' or '.' were expected")
        }
        try change { clients in
            if let known = clients.first(where: { $0.name == name }), known.key != key {
                throw UserError(
                    "\(allowedPath) has another key named '\(name)'; revoke that one, or choose another name")
            }
            if let known = clients.first(where: { $0.key == key }), known.name != name {
                throw UserError("\(allowedPath) has this key already, as '\(known.name)'")
            }
            if !clients.contains(where: { $0.key == key }) { clients.append(Client(key: key, name: name)) }
        }
    }

    /// - Throws: `UserError` where there is none of this name.
    public func revoke(_ name: String) throws {
        try change { clients in
            guard let index = clients.firstIndex(where: { $0.name == name }) else {
                throw UserError(
                    "\(allowedPath) has no key named '\(name)'" + suggestion(for: name, among: clients.map(\.name)))
            }
            clients.remove(at: index)
        }
    }

    /// One change at a time, by whichever process.
    private func change(_ body: (inout [Client]) throws -> Void) throws {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 || errno != ENOENT else {
            throw UserError("there are no keys in \(path); 'picoflow keys new NAME' makes the first")
        }
        guard descriptor >= 0 else { throw DurableFile.systemError("cannot open folder", path) }
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX) != 0 && errno == EINTR {}
        var clients = try clients()
        try body(&clients)
        try write(clients)
    }

    private func write(_ clients: [Client]) throws {
        let lines = clients.map { "\($0.key) \($0.name)\n" }
        try DurableFile.write(
            "# Keys that may join this run: public key, name. 'picoflow keys' changes it.\n" + lines.joined(),
            to: allowedPath, mode: 0o600)
    }

    private static func isName(_ text: String) -> Bool {
        (1...64).contains(text.count)
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
    }
}

/// What a host needs to join a run, as `picoflow keys new` writes it: who it is, and whom it takes for the run.
public struct ClientKeyFile: Codable, Sendable, Equatable {
    public var name: String
    /// The run's name; nil where the keys were made before the run had one.
    public var run: String?
    /// The run's public key.
    public var server: CurveKey
    public var `public`: CurveKey
    public var secret: CurveKey

    public init(name: String, run: String?, server: CurveKey, keys: CurveKeyPair) {
        self.name = name
        self.run = run
        self.server = server
        self.public = keys.publicKey
        secret = keys.secretKey
    }

    /// - Throws: `UserError` that names the file where it is missing or no client's key.
    public init(contentsOf path: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw DurableFile.systemError("cannot read key file", path)
        }
        guard let file = try? JSONDecoder().decode(ClientKeyFile.self, from: data), (try? file.security) != nil else {
            throw UserError("\(path) is no client key; 'picoflow keys new NAME' makes one")
        }
        self = file
    }

    /// Writes the file, readable by its owner only.
    ///
    /// - Throws: `UserError` where there is one: a key that is lost cannot be made again.
    public func write(to path: String) throws {
        guard access(path, F_OK) != 0 else { throw UserError("\(path) exists; name another file by --out") }
        try DurableFile.write(prettyJSON() + "\n", to: path, mode: 0o600)
    }

    /// - Throws: `WireError.key` where the two keys are no pair.
    public var security: ClientSecurity {
        get throws {
            let keys = try CurveKeyPair(secretKey: secret)
            guard keys.publicKey == self.public else { throw WireError.key("'public' does not belong to 'secret'") }
            return ClientSecurity(keys: keys, server: server)
        }
    }
}
