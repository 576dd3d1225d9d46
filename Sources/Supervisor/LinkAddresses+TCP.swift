import Basics
import Configuration
import Foundation
import StageKit
import Wire

/// Where a replica runs.
enum ReplicaPlace: Sendable {
    /// On the run's own host, started by its supervisor.
    case here
    /// On a host that joined.
    case otherHost
}

/// The ports of a run that listens, counted from the one of `supervisor.listen`, so that a stage that is started again
/// is found where it was:
///
/// | port | link | bound by |
/// |---|---|---|
/// | 0 | control | `picoflow launch` |
/// | 1 | memory | bank |
/// | 2r, 2r + 1 | samples, mining | compute replica r, from 1 |
extension LinkAddresses {
    /// Nil for a link that stays on the run's host.
    func port(_ link: LinkName, of binder: Replica, after control: UInt16) -> UInt16? {
        switch link {
        case .memory: control + 1
        case .samples: UInt16(exactly: Int(control) + 2 * binder.id)
        case .mining: UInt16(exactly: Int(control) + 2 * binder.id + 1)
        case .evaluation, .upstream: nil
        }
    }

    /// All addresses at which a replica binds a link: for this host, and for others where the run listens.
    func bindings(_ link: LinkName, of binder: Replica) throws -> [Endpoint] {
        let here = try address(link, of: binder)
        guard let listen, let host = listen.host, let control = listen.port,
            let port = port(link, of: binder, after: control)
        else { return [here] }
        return [here, try .tcp(host, port)]
    }

    /// The address at which a link is reached from a place. From another host it is a port only: hosts know the head
    /// by different names, and each uses the one that it dialled.
    func address(_ link: LinkName, of binder: Replica, for place: ReplicaPlace) throws -> Endpoint {
        guard place == .otherHost else { return try address(link, of: binder) }
        guard let control = listen?.port, let port = port(link, of: binder, after: control) else {
            throw WireError.endpoint("\(link.rawValue) of \(binder)", reason: "it cannot be reached from other hosts")
        }
        return try .tcp("*", port)
    }
}

extension Topology {
    /// Where a run's keys are.
    public func keysFolder(inRun directory: String) -> String { supervisor.keys ?? directory + "/keys" }
}

public enum RunKeys {
    /// The folder of a run's keys, whether the run was started already or not.
    public static func folder(ofRun directory: String) throws -> String {
        try topology(ofRun: directory)?.keysFolder(inRun: directory) ?? directory + "/keys"
    }

    /// Checks that a key may be of use to a run: one that was started and does not listen is joined by nobody.
    ///
    /// - Throws: `UserError` that says so.
    public static func checkListens(_ directory: String) throws {
        guard let topology = try topology(ofRun: directory), topology.supervisor.listen == nil else { return }
        throw UserError("\(directory) does not listen, so no key can join it: its topology has no 'supervisor.listen'")
    }

    /// Nil before the run was started.
    private static func topology(ofRun directory: String) throws -> Topology? {
        let saved = directory + "/topology.yaml"
        return FileManager.default.fileExists(atPath: saved) ? try Topology.resolve(path: saved) : nil
    }
}
