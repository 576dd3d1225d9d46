import Basics
import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// A file system in memory of a size that can be filled.
public final class SmallDisk {
    public let path: String

    /// Whether the tests may mount one; root may.
    public static let isPossible: Bool = {
        guard let folder = try? TemporaryFolder("disk") else { return false }
        return (try? SmallDisk(at: folder("probe"), mebibytes: 1)) != nil
    }()

    /// - Throws: `UserError` where it cannot be mounted.
    public init(at path: String, mebibytes: Int) throws {
        self.path = path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        guard mount("tmpfs", path, "tmpfs", 0, "size=\(mebibytes)m") == 0 else {
            throw UserError("cannot mount: \(String(cString: strerror(errno)))")
        }
    }

    public func grow(mebibytes: Int) throws {
        guard mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT), "size=\(mebibytes)m") == 0 else {
            throw UserError("cannot remount: \(String(cString: strerror(errno)))")
        }
    }

    /// Leaves no room for a page more.
    public func fill() throws {
        let filler = open(path + "/filler", O_WRONLY | O_CREAT, 0o600)
        defer { close(filler) }
        let page = [UInt8](repeating: 1, count: 4096)
        while write(filler, page, page.count) > 0 {}
        guard errno == ENOSPC else { throw UserError("cannot fill \(path): \(String(cString: strerror(errno)))") }
    }

    deinit { umount2(path, Int32(MNT_DETACH)) }
}
