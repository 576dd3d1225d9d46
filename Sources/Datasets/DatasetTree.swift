import Basics
import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// A dataset's folders and lists as its reader looks at them, and a note of each look.
///
/// The notes say later, without listing anything again, whether a look would still see the same: see `IndexCache`.
final class DatasetTree {
    /// Something that was looked at.
    struct Witness: Codable, Equatable {
        var path: String
        /// Nil where nothing was there.
        var stamp: Stamp?

        var stillHolds: Bool { Stamp(of: path) == stamp }
    }

    /// What changes when a folder's entries or a file's contents do.
    ///
    /// The change time cannot be set, as a modification time is by `tar`. The device's number is left out: it differs among
    /// hosts that mount the same share.
    struct Stamp: Codable, Equatable {
        var inode: UInt64
        var modified: Int64
        var changed: Int64

        init?(of path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            inode = UInt64(status.st_ino)
            modified = Self.nanoseconds(status.st_mtim)
            changed = Self.nanoseconds(status.st_ctim)
        }

        private static func nanoseconds(_ time: timespec) -> Int64 {
            Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
        }
    }

    private(set) var witnesses: [Witness] = []

    /// A look is noted before it is taken: what changes meanwhile is a change since.
    private func look(at path: String) { witnesses.append(Witness(path: path, stamp: Stamp(of: path))) }

    func isFolder(_ path: String) -> Bool {
        look(at: path)
        return Basics.isFolder(path)
    }

    func isFile(_ path: String) -> Bool {
        look(at: path)
        return FileManager.default.fileExists(atPath: path) && !Basics.isFolder(path)
    }

    /// The names of a folder's entries that are not hidden, in no order.
    ///
    /// - Throws: `UserError` where it cannot be listed.
    func names(in folder: String, expecting what: String) throws -> [String] {
        look(at: folder)
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder).filter { !$0.hasPrefix(".") }
        } catch {
            throw UserError("\(folder): cannot be listed: \(systemWords(error)); a folder of \(what) is expected")
        }
    }

    /// A folder's folders, in the order of their names' bytes.
    func folders(in folder: String) throws -> [String] {
        try names(in: folder, expecting: "folders").filter { Basics.isFolder(Folders.join(folder, $0)) }
            .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// The lines of a list of names, without those of blanks alone.
    ///
    /// - Throws: `UserError` where it cannot be read.
    func lines(of path: String) throws -> [String] {
        look(at: path)
        guard let data = FileManager.default.contents(atPath: path) else {
            throw DurableFile.systemError("cannot read", path)
        }
        guard let text = String(data: data, encoding: .utf8) else { throw UserError("\(path): is not a list of names") }
        return text.split(whereSeparator: \.endsLine).map(String.init).filter { !$0.allSatisfy(\.isWhitespace) }
    }
}

extension Character {
    /// Whether lists of names end a line with it; not whatever else Unicode takes for a line's end, as names may have that.
    var endsLine: Bool { ["\n", "\r\n", "\r"].contains(self) }
}
