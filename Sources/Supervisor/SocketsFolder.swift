import Basics
import Foundation
import StageKit
import Wire

/// The folder of a run's unix-domain sockets: private to the user, short of path, and gone with the run.
///
/// It lies under `$XDG_RUNTIME_DIR` or `/tmp`, not in the run directory: a socket's path has at most 107 bytes, and file
/// shares refuse sockets. Its name is the run directory's hash, so a run has one folder, which a crash may leave
/// behind and the next start cleans.
struct SocketsFolder {
    let path: String

    /// - Parameters:
    ///   - run: absolute path of the run directory.
    ///   - suffix: tells apart what runs beside the run's own supervisor, an evaluation for instance.
    init(run: String, suffix: String = "", environment: [String: String] = ProcessInfo.processInfo.environment) {
        let hash = SHA256.hex(run + suffix).prefix(16)
        let name = "picoflow-\(getuid())-\(hash)"
        let runtime = environment["XDG_RUNTIME_DIR"] ?? ""
        // Some systems have deep runtime folders.
        let length = runtime.utf8.count + 1 + name.utf8.count + LinkAddresses.longestName
        let fits = runtime.hasPrefix("/") && length <= 107
        path = (fits && access(runtime, W_OK) == 0 ? runtime : "/tmp") + "/" + name
    }

    /// Makes the folder, empty and mode 0700. What a dead run left in it is removed.
    ///
    /// - Parameter keeping: stages of the run live and meet in it; it is left as it is.
    /// - Throws: `UserError` where something else is in its place, or somebody else's folder.
    func make(keeping: Bool = false) throws {
        if mkdir(path, 0o700) != 0 {
            guard errno == EEXIST else { throw DurableFile.systemError("cannot make folder", path) }
            var status = stat()
            guard lstat(path, &status) == 0 else { throw DurableFile.systemError("cannot look at", path) }
            guard status.st_mode & S_IFMT == S_IFDIR, status.st_uid == getuid() else {
                throw UserError("\(path) is in the way: it is no folder of yours; remove it or set XDG_RUNTIME_DIR")
            }
            guard chmod(path, 0o700) == 0 else { throw DurableFile.systemError("cannot make private", path) }
            if keeping { return }
            for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] { unlink(path + "/" + name) }
        }
    }

    func remove() {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] { unlink(path + "/" + name) }
        rmdir(path)
    }

    var control: Endpoint { get throws { try Endpoint("ipc://\(path)/control") } }

    var addresses: LinkAddresses { LinkAddresses(folder: path) }
}
