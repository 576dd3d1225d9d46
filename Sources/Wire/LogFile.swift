import Basics
import Foundation
import Glibc

/// An open file of the log, read by position. The descriptor stays valid when the file's name is removed, so whoever
/// still reads an outdated file may finish.
final class LogFile {
    let path: String
    let descriptor: Int32

    init(reading path: String, writable: Bool = false) throws {
        self.path = path
        descriptor = Glibc.open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC)
        guard descriptor >= 0 else { throw DurableFile.systemError("cannot open", path) }
    }

    init(creating path: String) throws {
        self.path = path
        descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw DurableFile.systemError("cannot create", path) }
    }

    deinit { close(descriptor) }

    func size() throws -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw DurableFile.systemError("cannot size", path) }
        return Int(status.st_size)
    }

    /// Exactly `count` bytes at `offset`.
    func read(_ count: Int, at offset: Int) throws -> SharedBytes {
        try SharedBytes(count: count) { target in
            var done = 0
            while done < count {
                let got = pread(descriptor, target.baseAddress! + done, count - done, off_t(offset + done))
                if got < 0 && errno == EINTR { continue }
                guard got >= 0 else { throw DurableFile.systemError("cannot read", path) }
                guard got > 0 else { throw LogError.storage("\(path) ends at byte \(offset + done)") }
                done += got
            }
        }
    }

    func write(_ pieces: [SharedBytes]) throws {
        for piece in pieces {
            try piece.withUnsafeBytes { try DurableFile.writeAll($0, to: descriptor, path: path) }
        }
    }

    func write(_ data: Data) throws {
        try data.withUnsafeBytes { try DurableFile.writeAll($0, to: descriptor, path: path) }
    }

    func sync() throws {
        guard fdatasync(descriptor) == 0 else { throw DurableFile.systemError("cannot sync", path) }
    }

    /// Cuts the file and writes on from there.
    func truncate(to offset: Int) throws {
        guard ftruncate(descriptor, off_t(offset)) == 0, lseek(descriptor, off_t(offset), SEEK_SET) >= 0 else {
            throw DurableFile.systemError("cannot truncate", path)
        }
    }
}

extension SharedBytes {
    /// A little-endian integer at a byte offset that lies within.
    func integer<Value: FixedWidthInteger>(at offset: Int, as type: Value.Type = Value.self) -> Value {
        withUnsafeBytes { Value(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Value.self)) }
    }

    /// ASCII within the bytes.
    func text(at offset: Int, count: Int) -> String {
        withUnsafeBytes {
            String(decoding: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count]), as: UTF8.self)
        }
    }
}
