import Basics
import CPNG
import Foundation
import Testing

@testable import Imaging

/// An image with a bit of everything: gradients and noise from a keyed stream.
func patternImage(_ width: Int, _ height: Int, seed: UInt64 = 1) -> Image {
    var random = KeyedRandom(seed: seed, purpose: "test pattern")
    return Image(width: width, height: height) { target in
        for y in 0..<height {
            for x in 0..<width {
                let at = (y * width + x) * 3
                target[at] = UInt8((x * 5 + y) % 256)
                target[at + 1] = UInt8(random.below(256))
                target[at + 2] = UInt8((y * 7 + random.below(40)) % 256)
            }
        }
    }
}

func patternLabels(_ width: Int, _ height: Int, below limit: Int, seed: UInt64 = 1) -> LabelMap {
    var random = KeyedRandom(seed: seed, purpose: "test labels")
    return LabelMap(width: width, height: height) { target in
        for i in 0..<target.count { target[i] = UInt8(random.below(limit)) }
    }
}

/// PNG bytes of any kind, straight from the library: what our encoder does not write, others do.
func rawPNG(
    _ rows: [UInt8], width: Int, height: Int, depth: Int, type: spng_color_type, palette: [RGB8] = [],
    interlaced: Bool = false
) throws -> SharedBytes {
    let encoder = try #require(spng_ctx_new(Int32(SPNG_CTX_ENCODER.rawValue)))
    defer { spng_ctx_free(encoder) }
    spng_set_option(encoder, SPNG_ENCODE_TO_BUFFER, 1)
    var header = spng_ihdr(
        width: UInt32(width), height: UInt32(height), bit_depth: UInt8(depth), color_type: UInt8(type.rawValue),
        compression_method: 0, filter_method: 0, interlace_method: interlaced ? 1 : 0)
    spng_set_ihdr(encoder, &header)
    if !palette.isEmpty {
        var entries = spng_plte()
        entries.n_entries = UInt32(palette.count)
        withUnsafeMutableBytes(of: &entries.entries) { raw in
            for (i, color) in palette.enumerated() {
                raw[i * 4] = color.red
                raw[i * 4 + 1] = color.green
                raw[i * 4 + 2] = color.blue
            }
        }
        spng_set_plte(encoder, &entries)
    }
    let status = rows.withUnsafeBytes {
        spng_encode_image(
            encoder, $0.baseAddress, $0.count, Int32(SPNG_FMT_PNG.rawValue), Int32(SPNG_ENCODE_FINALIZE.rawValue))
    }
    guard status == 0 else { throw UserError("spng: \(String(cString: spng_strerror(status)))") }
    var size = 0
    var problem: Int32 = 0
    let output = try #require(spng_get_png_buffer(encoder, &size, &problem))
    defer { free(output) }
    return SharedBytes(Array(UnsafeRawBufferPointer(start: output, count: size)))
}

func prefix(_ bytes: [UInt8], _ count: Int) -> SharedBytes { SharedBytes(Array(bytes[..<count])) }

/// The message of the error that `body` throws; empty where it throws none.
func message(_ body: () throws -> Void) -> String {
    do {
        try body()
        return ""
    } catch {
        return "\(error)"
    }
}
