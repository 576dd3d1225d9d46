import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// Files that are either whole or not there: written aside, synced, renamed.
public enum DurableFile {
    /// Replaces the file at `path` by `bytes`; after a crash it holds the old or the new bytes, never a mixture.
    ///
    /// - Throws: `UserError` that names the path and the system's reason, for instance a full disk.
    public static func write(_ bytes: UnsafeRawBufferPointer, to path: String, mode: mode_t = 0o644) throws {
        try write(to: path, mode: mode) { put in try put(bytes) }
    }

    /// The same with a text's UTF-8.
    public static func write(_ text: String, to path: String, mode: mode_t = 0o644) throws {
        var text = text
        try text.withUTF8 { try write(UnsafeRawBufferPointer($0), to: path, mode: mode) }
    }

    /// The same with what `body` puts there, piece after piece: the whole need not be in memory.
    ///
    /// - Throws: also what `body` throws; nothing is left aside.
    public static func write(
        to path: String, mode: mode_t = 0o644, _ body: (_ put: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        try exchange(path) { aside in
            let descriptor = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
            guard descriptor >= 0 else { throw systemError("cannot create", aside) }
            defer { close(descriptor) }
            try body { try writeAll($0, to: descriptor, path: aside) }
            // On this descriptor: a file share tells the writer alone, and once, what it could not keep.
            guard fsync(descriptor) == 0 else { throw systemError("cannot sync", aside) }
        }
    }

    /// Replaces the file at `path` by one that `body` makes itself, at the path aside that it is given; after a crash it is
    /// the old or the new one.
    ///
    /// - Throws: `UserError` that names the path, and what `body` throws; nothing is left aside.
    public static func replace(_ path: String, by body: (_ aside: String) throws -> Void) throws {
        try exchange(path) { aside in
            try body(aside)
            let descriptor = open(aside, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw systemError("cannot open", aside) }
            defer { close(descriptor) }
            guard fsync(descriptor) == 0 else { throw systemError("cannot sync", aside) }
        }
    }

    /// Puts what `body` makes and syncs aside into the place of the file at `path`.
    private static func exchange(_ path: String, by body: (_ aside: String) throws -> Void) throws {
        let aside = path + ".partial"
        do {
            try body(aside)
            guard rename(aside, path) == 0 else { throw systemError("cannot rename \(aside) to", path) }
            // Where both are names of one file already, renaming leaves both.
            unlink(aside)
        } catch {
            unlink(aside)
            throw error
        }
        try syncFolder(of: path)
    }

    /// The file that a path leads to, through symbolic links where there is one: two paths of one file are equal so.
    public static func real(_ path: String) -> String {
        guard let found = realpath(path, nil) else { return absolutePath(path) }
        defer { free(found) }
        return String(cString: found)
    }

    /// Writes every byte to an open descriptor, however many calls that takes.
    public static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String) throws {
        var rest = bytes
        while !rest.isEmpty {
            let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if written < 0 {
                if errno == EINTR { continue }
                throw systemError("cannot write", path)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[written...])
        }
    }

    /// Writes at the end of an open file all of the bytes or, where an error is thrown, none: half a line would make the next
    /// one unreadable.
    public static func append(_ bytes: Data, to descriptor: Int32, path: String) throws {
        // What others appended is before this.
        let end = lseek(descriptor, 0, SEEK_END)
        do {
            try bytes.withUnsafeBytes { try writeAll($0, to: descriptor, path: path) }
        } catch {
            ftruncate(descriptor, end)
            throw error
        }
    }

    /// Makes a folder, and those that it is in, where they are not there.
    ///
    /// - Throws: `UserError` that names it.
    public static func makeFolder(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            // Somebody else may have made it meanwhile.
            if isFolder(path) { return }
            // Foundation's words hide the reason; the system says it of the outermost folder that is missing.
            var missing = path
            while case let parent = (missing as NSString).deletingLastPathComponent, !parent.isEmpty,
                !FileManager.default.fileExists(atPath: parent)
            {
                missing = parent
            }
            guard mkdir(missing, 0o777) != 0 else { return try makeFolder(path) }
            throw systemError("cannot make folder", path)
        }
    }

    /// Makes a rename or a new file in the folder that holds `path` survive a power cut.
    public static func syncFolder(of path: String) throws {
        let folder = (path as NSString).deletingLastPathComponent
        let descriptor = open(folder.isEmpty ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw systemError("cannot open folder", folder) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw systemError("cannot sync folder", folder) }
    }

    /// An error of the last system call, in the system's own words.
    public static func systemError(_ what: String, _ path: String) -> UserError {
        UserError("\(what) \(path): \(String(cString: strerror(errno)))")
    }
}
