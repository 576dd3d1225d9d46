import Basics
import CPNG

#if canImport(Glibc)
    import Glibc
#endif

/// PNG through libspng and ISA-L: images to RGB, label maps to their raw numbers.
public enum PNG {
    /// Decodes any PNG to RGB: grey and palette are expanded, 16 bits reduced to 8, alpha and gamma ignored.
    ///
    /// - Parameter name: what messages call the data, normally its path.
    /// - Throws: `UserError` for data that is no PNG, is corrupt, cut short or too large.
    public static func decodeImage(_ file: SharedBytes, name: String, limits: ImageLimits = .standard) throws -> Image {
        try withDecoder(file, name: name, limits: limits) { decoder, header in
            try Image(width: Int(header.width), height: Int(header.height)) { target in
                try decodeAll(file, decoder, header, into: target, format: SPNG_FMT_RGB8, name: name)
            }
        }
    }

    /// Whether a file is a PNG of 16 bits a channel, of which decoding keeps the upper eight.
    public static func isDeep(_ file: SharedBytes) -> Bool {
        // The depth stands behind the signature, a chunk's head, width and height.
        file.withUnsafeBytes { $0.count > 24 && $0.starts(with: [0x89, 0x50, 0x4e, 0x47]) && $0[24] == 16 }
    }

    /// What to do about images of 16 bits.
    public static let depthAdvice =
        "only the upper 8 of 16 bits are used: where the values fill less than that, stretch the images to 8 bits first"

    /// Decodes a label map: grey values unscaled at 1, 2, 4 or 8 bits, or the *indices* of a palette image.
    ///
    /// - Throws: `UserError` also for 16-bit and for colour PNGs, which are no maps of class numbers.
    public static func decodeLabels(
        _ file: SharedBytes, name: String, limits: ImageLimits = .standard
    ) throws -> LabelMap {
        try withDecoder(file, name: name, limits: limits) { decoder, header in
            switch UInt32(header.color_type) {
            case SPNG_COLOR_TYPE_GRAYSCALE.rawValue, SPNG_COLOR_TYPE_INDEXED.rawValue: break
            case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA.rawValue:
                throw UserError(
                    "\(name): has an alpha channel; a label map is a grey or palette PNG without one, with one class number per pixel"
                )
            default:
                throw UserError(
                    "\(name): is a colour PNG; a label map is a grey or palette PNG with one class number per pixel")
            }
            guard header.bit_depth <= 8 else {
                throw UserError("\(name): is a 16-bit PNG; a label map has at most 8 bits per pixel")
            }
            let width = Int(header.width)
            let height = Int(header.height)
            let depth = Int(header.bit_depth)
            return try LabelMap(width: width, height: height) { target in
                if depth == 8 {
                    return try decodeAll(file, decoder, header, into: target, format: SPNG_FMT_PNG, name: name)
                }
                let rowBytes = (width * depth + 7) / 8
                let packed = UnsafeMutableRawBufferPointer.allocate(byteCount: rowBytes * height, alignment: 16)
                defer { packed.deallocate() }
                // The library adds interlaced pixels to what is there.
                packed.initializeMemory(as: UInt8.self, repeating: 0)
                try decodeAll(file, decoder, header, into: packed, format: SPNG_FMT_PNG, name: name)
                let mask = UInt8(1 << depth - 1)
                for y in 0..<height {
                    for x in 0..<width {
                        let bit = x * depth  // most significant bits first
                        let shift = 8 - depth - bit % 8
                        target[y * width + x] = packed[y * rowBytes + bit / 8] >> UInt8(shift) & mask
                    }
                }
            }
        }
    }

    /// Decodes a part of an image to RGB: the pixels that the whole would have there.
    ///
    /// Faults below the part go unnoticed, but for a file that lacks its end.
    static func decodeImage(
        _ file: SharedBytes, region: PixelRegion, name: String, limits: ImageLimits
    ) throws -> Image {
        try withDecoder(file, name: name, limits: limits) { decoder, header in
            guard header.interlace_method == 0, hasEnd(file) else {
                return try decodeImage(file, name: name, limits: limits).cropped(to: region)
            }
            return try Image(width: region.width, height: region.height) { target in
                try withInflated(file, decoder, header, rows: region.bottom, name: name) {
                    try decodeRows($0, header, region, into: target, format: SPNG_FMT_RGB8, name: name)
                }
            }
        }
    }

    /// The same of a label map.
    static func decodeLabels(
        _ file: SharedBytes, region: PixelRegion, name: String, limits: ImageLimits
    ) throws -> LabelMap {
        try withDecoder(file, name: name, limits: limits) { decoder, header in
            let isBytes = [SPNG_COLOR_TYPE_GRAYSCALE.rawValue, SPNG_COLOR_TYPE_INDEXED.rawValue].contains(
                UInt32(header.color_type))
            guard isBytes, header.bit_depth == 8, header.interlace_method == 0, hasEnd(file) else {
                return try decodeLabels(file, name: name, limits: limits).cropped(to: region)
            }
            return try LabelMap(width: region.width, height: region.height) { target in
                try withInflated(file, decoder, header, rows: region.bottom, name: name) {
                    try decodeRows($0, header, region, into: target, format: SPNG_FMT_PNG, name: name)
                }
            }
        }
    }

    /// Width and height, from the header.
    static func size(
        _ file: SharedBytes, name: String, limits: ImageLimits
    ) throws -> (width: Int, height: Int) {
        try withDecoder(file, name: name, limits: limits) { _, header in (Int(header.width), Int(header.height)) }
    }

    /// Rows are inflated up to the region's last one.
    private static func decodeRows(
        _ decoder: OpaquePointer, _ header: spng_ihdr, _ region: PixelRegion,
        into target: UnsafeMutableRawBufferPointer, format: spng_format, name: String
    ) throws {
        try check(
            spng_decode_image(decoder, nil, 0, Int32(format.rawValue), Int32(SPNG_DECODE_PROGRESSIVE.rawValue)), name)
        let pixel = format == SPNG_FMT_RGB8 ? 3 : 1
        let line = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(header.width) * pixel, alignment: 16)
        defer { line.deallocate() }
        let rowBytes = region.width * pixel
        for row in 0..<region.bottom {
            let status = spng_decode_row(decoder, line.baseAddress, line.count)
            if status != Int32(SPNG_EOI.rawValue) { try check(status, name) }
            guard row >= region.top else { continue }
            (target.baseAddress! + (row - region.top) * rowBytes).copyMemory(
                from: line.baseAddress! + region.left * pixel, byteCount: rowBytes)
        }
    }

    /// Whether the last chunk is a PNG's end.
    private static func hasEnd(_ file: SharedBytes) -> Bool {
        let end: [UInt8] = [0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82]
        return file.withUnsafeBytes { $0.count >= end.count && $0.suffix(end.count).elementsEqual(end) }
    }

    /// Encodes an RGB image.
    public static func encode(_ image: Image) throws -> [UInt8] {
        try encode(
            image.pixels, width: image.width, height: image.height, type: SPNG_COLOR_TYPE_TRUECOLOR, palette: nil)
    }

    /// Encodes a label map as 8-bit grey, the usual form in datasets.
    public static func encode(_ labels: LabelMap) throws -> [UInt8] {
        try encode(
            labels.values, width: labels.width, height: labels.height, type: SPNG_COLOR_TYPE_GRAYSCALE, palette: nil)
    }

    /// Encodes a label map with a palette, which viewers show in colours and `decodeLabels` reads as numbers.
    ///
    /// Numbers beyond the palette, the ignore label for one, become black.
    public static func encode(_ labels: LabelMap, palette: [RGB8]) throws -> [UInt8] {
        try encode(
            labels.values, width: labels.width, height: labels.height, type: SPNG_COLOR_TYPE_INDEXED, palette: palette)
    }

    private static func withDecoder<R>(
        _ file: SharedBytes, name: String, limits: ImageLimits, _ body: (OpaquePointer, spng_ihdr) throws -> R
    ) throws -> R {
        try withContext(file, flags: 0, name: name) { decoder in
            var header = spng_ihdr()
            try check(spng_get_ihdr(decoder, &header), name)
            try limits.check(width: Int(header.width), height: Int(header.height), name: name)
            return try body(decoder, header)
        }
    }

    /// Calls `body` with libspng at the beginning of a file.
    static func withContext<R>(
        _ file: SharedBytes, flags: UInt32, name: String, _ body: (OpaquePointer) throws -> R
    ) throws -> R {
        guard let decoder = spng_ctx_new(Int32(flags)) else { throw UserError("\(name): no memory for a PNG decoder") }
        defer { spng_ctx_free(decoder) }
        return try file.withUnsafeBytes { bytes in
            try check(spng_set_png_buffer(decoder, bytes.baseAddress, bytes.count), name)
            // Text and profiles are of no use here: 1 MiB per chunk, 4 MiB in all.
            try check(spng_set_chunk_limits(decoder, 1 << 20, 4 << 20), name)
            return try body(decoder)
        }
    }

    private static func decodeAll(
        _ file: SharedBytes, _ decoder: OpaquePointer, _ header: spng_ihdr,
        into target: UnsafeMutableRawBufferPointer, format: spng_format, name: String
    ) throws {
        var needed = 0
        try check(spng_decoded_image_size(decoder, Int32(format.rawValue), &needed), name)
        guard needed == target.count else {
            throw UserError("\(name): corrupt PNG: \(needed) bytes of pixels instead of \(target.count)")
        }
        try withInflated(file, decoder, header, rows: Int(header.height), name: name) { decoder in
            try check(spng_decode_image(decoder, target.baseAddress, target.count, Int32(format.rawValue), 0), name)
            // The rest up to the end mark: a file cut behind its pixels is cut short, too.
            try check(spng_decode_chunks(decoder), name)
        }
    }

    private static func encode(
        _ bytes: SharedBytes, width: Int, height: Int, type: spng_color_type, palette: [RGB8]?
    ) throws -> [UInt8] {
        guard let encoder = spng_ctx_new(Int32(SPNG_CTX_ENCODER.rawValue)) else {
            throw UserError("no memory for a PNG encoder")
        }
        defer { spng_ctx_free(encoder) }
        let name = "PNG encoder"
        try check(spng_set_option(encoder, SPNG_ENCODE_TO_BUFFER, 1), name)
        var header = spng_ihdr()
        header.width = UInt32(width)
        header.height = UInt32(height)
        header.bit_depth = 8
        header.color_type = UInt8(type.rawValue)
        try check(spng_set_ihdr(encoder, &header), name)
        if let palette {
            var entries = spng_plte()
            entries.n_entries = 256
            withUnsafeMutableBytes(of: &entries.entries) { raw in
                raw.initializeMemory(as: UInt8.self, repeating: 0)
                for (i, color) in palette.prefix(256).enumerated() {
                    raw[i * 4] = color.red
                    raw[i * 4 + 1] = color.green
                    raw[i * 4 + 2] = color.blue
                }
            }
            try check(spng_set_plte(encoder, &entries), name)
        }
        try bytes.withUnsafeBytes {
            try check(
                spng_encode_image(
                    encoder, $0.baseAddress, $0.count, Int32(SPNG_FMT_PNG.rawValue),
                    Int32(SPNG_ENCODE_FINALIZE.rawValue)), name)
        }
        var size = 0
        var status: Int32 = 0
        guard let output = spng_get_png_buffer(encoder, &size, &status) else {
            throw UserError("cannot encode a PNG: \(String(cString: spng_strerror(status)))")
        }
        defer { free(output) }
        return Array(UnsafeRawBufferPointer(start: output, count: size))
    }

    static func check(_ status: Int32, _ name: String) throws {
        guard status != 0 else { return }
        let cutShort = status == Int32(SPNG_IO_EOF.rawValue) || status == Int32(SPNG_EIDAT_TOO_SHORT.rawValue)
        let reason = cutShort ? "the file ends too early" : String(cString: spng_strerror(status))
        throw UserError("\(name): corrupt or truncated PNG: \(reason)")
    }
}
