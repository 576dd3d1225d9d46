import Foundation

#if canImport(Glibc)
    import Glibc
#endif

extension SharedBytes {
    /// A file's bytes, mapped into memory: what is not read is not loaded.
    ///
    /// The file must not be shortened while it is mapped.
    ///
    /// - Throws: `UserError` that names the path: missing, unreadable, no regular file.
    public convenience init(mapping path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw DurableFile.systemError("cannot open", path) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw DurableFile.systemError("cannot look at", path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw UserError("\(path) is no regular file") }
        let size = Int(status.st_size)
        // Nothing can be mapped of an empty file.
        guard size > 0 else {
            self.init([UInt8]())
            return
        }
        guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
            throw DurableFile.systemError("cannot map", path)
        }
        self.init(adopting: base, count: size) { munmap($0, size) }
    }
}
