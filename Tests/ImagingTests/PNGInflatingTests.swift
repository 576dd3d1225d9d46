import Basics
import CISAL
import CPNG
import Testing

@testable import Imaging

/// Pixels that are inflated before libspng sees them, against libspng alone.
@Suite struct PNGInflatingTests {
    private static func number(_ value: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt32(value).bigEndian) { Array($0) }
    }

    private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
        let body = Array(type.utf8) + data
        return number(data.count) + body + number(Int(crc32_gzip_refl(0, body, UInt64(body.count))))
    }

    /// The chunks of a file, by type.
    private static func chunks(_ file: [UInt8]) -> [(type: String, data: [UInt8])] {
        var found: [(String, [UInt8])] = []
        var at = 8
        while at + 12 <= file.count {
            let length = file[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
            found.append(
                (String(decoding: file[at + 4..<at + 8], as: UTF8.self), Array(file[at + 8..<at + 8 + length])))
            at += 12 + length
        }
        return found
    }

    /// The file with its compressed data cut into pieces, and its header changed.
    private static func rewritten(
        _ file: [UInt8], pieces: Int = .max, height: Int? = nil, data change: ([UInt8]) -> [UInt8] = { $0 }
    ) -> [UInt8] {
        chunks(file).reduce(into: Array(file[..<8])) { bytes, part in
            switch part.type {
            case "IHDR":
                var header = part.data
                if let height { header.replaceSubrange(4..<8, with: number(height)) }
                bytes += chunk("IHDR", header)
            case "IDAT":
                let data = change(part.data)
                for start in stride(from: 0, to: data.count, by: min(pieces, data.count)) {
                    bytes += chunk("IDAT", Array(data[start..<min(start + min(pieces, data.count), data.count)]))
                    if pieces < data.count { bytes += chunk("IDAT", []) }
                }
            default: bytes += chunk(part.type, part.data)
            }
        }
    }

    private static func stored(_ file: [UInt8], rows: Int) -> SharedBytes? {
        let data = chunks(file)[0].data
        let header = spng_ihdr(
            width: data[..<4].reduce(0) { $0 << 8 | UInt32($1) },
            height: data[4..<8].reduce(0) { $0 << 8 | UInt32($1) },
            bit_depth: data[8], color_type: data[9], compression_method: 0, filter_method: 0,
            interlace_method: data[12])
        return file.withUnsafeBytes { PNG.stored($0, header, rows: rows) }
    }

    /// Rows of more than one stored block, of less than one, and of bits; data in one chunk and in many, empty ones among them.
    @Test(arguments: [Int.max, 4096, 7])
    func storedPixelsAreThoseOfTheFile(pieces: Int) throws {
        let image = patternImage(301, 203)
        let file = Self.rewritten(try PNG.encode(image), pieces: pieces)
        #expect(try PNG.decodeImage(SharedBytes(file), name: "all") == image)
        for rows in [1, 100, 203] {
            let upper = PixelRegion(left: 0, top: 0, width: 301, height: rows)
            let stored = try #require(Self.stored(file, rows: rows))
            #expect(stored.count > rows * 301 * 3)
            // It has no checksums, so only a decoder that is told so reads it.
            let decoder = try #require(spng_ctx_new(Int32(SPNG_CTX_IGNORE_ADLER32.rawValue)))
            defer { spng_ctx_free(decoder) }
            var pixels = [UInt8](repeating: 0, count: rows * 301 * 3)
            let status = stored.withUnsafeBytes { bytes in
                spng_set_png_buffer(decoder, bytes.baseAddress, bytes.count)
                spng_set_crc_action(decoder, Int32(SPNG_CRC_USE.rawValue), Int32(SPNG_CRC_USE.rawValue))
                return spng_decode_image(decoder, &pixels, pixels.count, Int32(SPNG_FMT_RGB8.rawValue), 0)
            }
            #expect(status == 0)
            #expect(image.cropped(to: upper).pixels.array() == pixels)
        }
        let labels = patternLabels(33, 21, below: 256)
        let grey = Self.rewritten(try PNG.encode(labels), pieces: pieces)
        #expect(Self.stored(grey, rows: 21) != nil)
        #expect(try PNG.decodeLabels(SharedBytes(grey), name: "grey") == labels)
        let bits = try rawPNG(
            [0b0110_0000, 0b1010_0000], width: 3, height: 2, depth: 1, type: SPNG_COLOR_TYPE_INDEXED,
            palette: [RGB8(1, 2, 3), RGB8(200, 201, 202)])
        let cut = Self.rewritten(bits.array(), pieces: pieces)
        #expect(Self.stored(cut, rows: 2) != nil)
        #expect(try PNG.decodeImage(SharedBytes(cut), name: "bits")[1, 0] == RGB8(200, 201, 202))
    }

    /// Photoshop's XMP, for one, may be several MiB long.
    @Test func textOfAnySizeBeforeThePixelsIsPassedOver() throws {
        let image = patternImage(31, 23)
        let file = try PNG.encode(image)
        let text = Self.chunk("tEXt", Array("a".utf8) + [0] + [UInt8](repeating: 65, count: 6 << 20))
        let bytes = Array(file[..<33]) + text + Array(file[33...])
        #expect(try PNG.decodeImage(SharedBytes(bytes), name: "long") == image)
        let row = PixelRegion(left: 3, top: 2, width: 5, height: 1)
        #expect(
            try PNG.decodeImage(SharedBytes(bytes), region: row, name: "long", limits: .standard)
                == image.cropped(to: row))
    }

    /// The limit of a chunk is for texts and profiles.
    @Test func storedPixelsMayBeMoreThanAChunkMayHave() throws {
        let image = patternImage(1201, 403)
        let file = try PNG.encode(image)
        #expect(try #require(Self.stored(file, rows: 403)).count > 1 << 20)
        #expect(try PNG.decodeImage(SharedBytes(file), name: "large") == image)
    }

    @Test func whatIsUnusualOrWrongIsLeftToTheLibrary() throws {
        let file = try PNG.encode(patternImage(40, 30))
        #expect(Self.stored(file, rows: 30) != nil)
        let interlaced = try rawPNG(
            [0, 100, 255, 7], width: 2, height: 2, depth: 8, type: SPNG_COLOR_TYPE_GRAYSCALE, interlaced: true)
        #expect(Self.stored(interlaced.array(), rows: 2) == nil)
        #expect(Self.stored(file + [0], rows: 30) == nil, "something follows the end")

        // Rows that the data does not hold, or more than the header says; a checksum that is wrong; data that is none.
        let wrong = [
            Self.rewritten(file, height: 31), Self.rewritten(file, height: 29),
            Self.rewritten(file) { $0.dropLast() + [$0.last! ^ 1] }, Self.rewritten(file) { $0.dropLast(40) },
            Self.rewritten(file) { $0[..<9] + [0xff] + $0[10...] },
        ]
        for (index, bytes) in wrong.enumerated() {
            let height = index == 0 ? 31 : index == 1 ? 29 : 30
            #expect(Self.stored(bytes, rows: height) == nil, "\(index)")
            // 29 rows are there to be shown; the library minds no more than that.
            if index != 1 {
                #expect(throws: UserError.self, "\(index)") { try PNG.decodeImage(SharedBytes(bytes), name: "a") }
            }
        }
    }
}
