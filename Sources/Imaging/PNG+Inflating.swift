import Basics
import CISAL
import CPNG

/// libspng inflates by zlib, which is nearly all that a PNG costs; ISA-L takes less than half as long. So the pixels are
/// inflated beforehand and handed to libspng uncompressed.
extension PNG {
    /// Calls `body` with a decoder of the image's upper rows: one of inflated pixels, or else `decoder`, the file's own.
    static func withInflated<R>(
        _ file: SharedBytes, _ decoder: OpaquePointer, _ header: spng_ihdr, rows: Int, name: String,
        _ body: (OpaquePointer) throws -> R
    ) throws -> R {
        guard let stored = file.withUnsafeBytes({ stored($0, header, rows: rows) }) else { return try body(decoder) }
        return try withContext(stored, flags: SPNG_CTX_IGNORE_ADLER32.rawValue, name: name) { decoder in
            // They were checked, and are not written.
            try check(spng_set_crc_action(decoder, Int32(SPNG_CRC_USE.rawValue), Int32(SPNG_CRC_USE.rawValue)), name)
            return try body(decoder)
        }
    }

    /// The PNG with its upper rows stored instead of compressed, without checksums and what follows the pixels.
    ///
    /// - Returns: nil where anything about the file is unusual or wrong: libspng then reads it as it is and says what.
    static func stored(_ file: UnsafeRawBufferPointer, _ header: spng_ihdr, rows: Int) -> SharedBytes? {
        guard header.interlace_method == 0, let chunks = PixelChunks(file),
            let channels = [0: 1, 2: 3, 3: 1, 4: 2, 6: 4][Int(header.color_type)]
        else { return nil }
        let raw = rows * (1 + (Int(header.width) * channels * Int(header.bit_depth) + 7) / 8)
        let blocks = (raw + StoredBlock.most - 1) / StoredBlock.most
        // A zlib header, blocks, and a checksum.
        let data = 2 + blocks * StoredBlock.header + raw + 4
        guard rows > 0, data < Int(Int32.max) else { return nil }
        let isAll = rows == Int(header.height)
        let head = chunks.head.reduce(8) { $0 + $1.count }
        let count = head + 12 + data + 12
        // Bytes are inflated to the buffer's end and moved down to their blocks, which never overtakes what is to be moved.
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count + 1, alignment: 64)
        let result = SharedBytes(adopting: buffer.baseAddress!, count: count) { $0.deallocate() }
        let source = buffer.baseAddress! + count - raw
        var isSound = false
        var isWhole = false
        // A byte more tells a stream that is too long.
        let written = ci_inflate(
            chunks.parts, chunks.sizes, chunks.parts.count, source.assumingMemoryBound(to: UInt8.self),
            raw + (isAll ? 1 : 0), &isSound, &isWhole)
        guard isSound, written == raw, isWhole || !isAll else { return nil }

        var writer = ByteWriter(buffer)
        writer.copy(UnsafeRawBufferPointer(rebasing: file[..<8]))
        for chunk in chunks.head { writer.copy(UnsafeRawBufferPointer(rebasing: file[chunk])) }
        buffer.storeBytes(of: UInt32(rows).bigEndian, toByteOffset: PixelChunks.heightOffset, as: UInt32.self)
        writer.write(UInt32(data).bigEndian)
        writer.write(PixelChunks.data.bigEndian)
        writer.write(UInt16(0x7801).bigEndian)
        for start in stride(from: 0, to: raw, by: StoredBlock.most) {
            let length = min(StoredBlock.most, raw - start)
            writer.write(UInt8(start + length == raw ? 1 : 0))
            writer.write(UInt16(length).littleEndian)
            writer.write((~UInt16(length)).littleEndian)
            writer.copy(UnsafeRawBufferPointer(start: source + start, count: length))
        }
        writer.write(UInt32(0))  // of the stream
        writer.write(UInt32(0))  // of the chunk
        writer.write(UInt32(0))
        writer.write(PixelChunks.end.bigEndian)
        writer.write(UInt32(0xae42_6082).bigEndian)
        return result
    }
}

/// A block of deflate that is stored: its most bytes, and of what stands before them.
private enum StoredBlock {
    static let most = 65_535
    static let header = 5
}

/// Where a sound PNG's pixels lie.
private struct PixelChunks {
    static let data: UInt32 = 0x4944_4154  // IDAT
    static let end: UInt32 = 0x4945_4e44  // IEND
    /// In the file: after the signature, a chunk's head and the width.
    static let heightOffset = 20

    /// The chunks before them that pixels depend on, header and palette. Text, profiles and thumbnails may be of any size.
    private(set) var head: [Range<Int>] = []
    private(set) var parts: [UnsafePointer<UInt8>] = []
    private(set) var sizes: [Int] = []

    /// - Returns: nil where a chunk is cut short, does not match its checksum, or stands in the wrong place.
    init?(_ file: UnsafeRawBufferPointer) {
        let bytes = file.assumingMemoryBound(to: UInt8.self).baseAddress!
        func number(_ offset: Int) -> UInt32 {
            UInt32(bigEndian: file.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
        var at = 8
        var last: UInt32 = 0
        while last != Self.end {
            guard at + 12 <= file.count else { return nil }
            let length = Int(number(at))
            let type = number(at + 4)
            guard length <= file.count - at - 12,
                crc32_gzip_refl(0, bytes + at + 4, UInt64(4 + length)) == number(at + 8 + length)
            else { return nil }
            if type == Self.data {
                if !parts.isEmpty, last != Self.data { return nil }
                parts.append(bytes + at + 8)
                sizes.append(length)
            }
            // A critical chunk's name begins with a capital.
            if parts.isEmpty, type >> 24 & 0x20 == 0 { head.append(at..<at + 12 + length) }
            last = type
            at += 12 + length
        }
        guard at == file.count, !parts.isEmpty else { return nil }
    }
}

/// Writes one thing after the other.
private struct ByteWriter {
    private let buffer: UnsafeMutableRawBufferPointer
    private var offset = 0

    init(_ buffer: UnsafeMutableRawBufferPointer) { self.buffer = buffer }

    mutating func write<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number) { copy($0) }
    }

    /// The source may lie further on in the same buffer.
    mutating func copy(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        (buffer.baseAddress! + offset).copyMemory(from: base, byteCount: bytes.count)
        offset += bytes.count
    }
}
