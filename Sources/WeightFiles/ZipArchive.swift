import Basics
import CZip

/// The records of a ZIP archive in memory, through libzip.
///
/// Only stored records are read: `torch.save` compresses nothing, and what is not compressed cannot be larger than the
/// file that holds it.
final class ZipArchive {
    private let archive: OpaquePointer
    /// libzip reads from this memory.
    private let bytes: SharedBytes
    private var records: [String: Record] = [:]
    /// In the order of the directory.
    private(set) var names: [String] = []

    private struct Record {
        var index: UInt64
        var size: Int
        var isStored: Bool
    }

    /// Reads the directory; no record is read yet.
    ///
    /// - Throws: `UserError` without the file's name: no archive, damaged, or two records of one name.
    init(_ bytes: SharedBytes) throws {
        self.bytes = bytes
        var error = zip_error_t()
        zip_error_init(&error)
        defer { zip_error_fini(&error) }
        // The memory outlives this call: `bytes` is kept.
        let base = bytes.withUnsafeBytes { $0.baseAddress }
        guard let source = zip_source_buffer_create(base, UInt64(bytes.count), 0, &error) else {
            throw UserError("\(String(cString: zip_error_strerror(&error)))")
        }
        guard let archive = zip_open_from_source(source, Int32(ZIP_RDONLY), &error) else {
            zip_source_free(source)
            throw UserError(
                "its ZIP directory cannot be read (\(String(cString: zip_error_strerror(&error)))): damaged or truncated?"
            )
        }
        self.archive = archive
        for index in 0..<UInt64(max(0, zip_get_num_entries(archive, 0))) {
            var status = zip_stat_t()
            guard zip_stat_index(archive, index, 0, &status) == 0, let name = status.name.map({ String(cString: $0) })
            else { throw UserError("record \(index) of its ZIP directory cannot be read: damaged?") }
            let wanted = UInt64(ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD)
            let isStored =
                status.valid & wanted == wanted && Int32(status.comp_method) == ZIP_CM_STORE
                && Int32(status.encryption_method) == ZIP_EM_NONE
            guard !isStored || status.size <= UInt64(bytes.count) else {
                throw UserError("its record '\(name)' claims \(status.size) bytes, the whole file has \(bytes.count)")
            }
            let record = Record(index: index, size: isStored ? Int(status.size) : 0, isStored: isStored)
            guard records.updateValue(record, forKey: name) == nil else {
                throw UserError("it has two records called '\(name)'")
            }
            names.append(name)
        }
    }

    deinit { zip_discard(archive) }

    /// The bytes of a record; nil where there is none of this name.
    ///
    /// - Throws: `UserError` for one that is compressed.
    func size(of name: String) throws -> Int? { try stored(name)?.size }

    private func stored(_ name: String) throws -> Record? {
        guard let record = records[name] else { return nil }
        guard record.isStored else {
            throw UserError("its record '\(name)' is compressed or encrypted, which torch.save never does")
        }
        return record
    }

    /// Copies a record out, and compares its checksum.
    ///
    /// - Throws: `UserError` without the file's name, for a missing or damaged record.
    func read(_ name: String) throws -> SharedBytes {
        guard let record = try stored(name) else { throw UserError("it has no record '\(name)'") }
        let size = record.size
        func damaged(_ reason: UnsafePointer<CChar>?) -> UserError {
            let reason = reason.map { " (\(String(cString: $0)))" } ?? ""
            return UserError("its record '\(name)' is damaged\(reason)")
        }
        guard let file = zip_fopen_index(archive, record.index, 0) else { throw damaged(zip_strerror(archive)) }
        defer { zip_fclose(file) }
        return try SharedBytes(count: size) { target in
            var done = 0
            while done < size {
                let count = zip_fread(file, target.baseAddress! + done, UInt64(size - done))
                guard count > 0 else { throw damaged(zip_file_strerror(file)) }
                done += Int(count)
            }
            // The checksum is compared where the end is read.
            var beyond: UInt8 = 0
            guard zip_fread(file, &beyond, 1) == 0 else { throw damaged(zip_file_strerror(file)) }
        }
    }
}
