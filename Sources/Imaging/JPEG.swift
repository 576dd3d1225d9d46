import Basics
import CTurboJPEG

/// JPEG through libjpeg-turbo.
///
/// The exact integer transforms are chosen both ways, so that the same file gives the same pixels with and without
/// SIMD, on every machine.
public enum JPEG {
    /// Decodes to RGB; a grey JPEG becomes RGB, and so does one in printing colours (CMYK), as Pillow converts it.
    ///
    /// libjpeg goes on after many faults and invents the rest of the picture; here every fault in the data is an error.
    ///
    /// - Parameter name: what messages call the data, normally its path.
    /// - Throws: `UserError` for data that is no JPEG, is corrupt, cut short or too large.
    public static func decode(_ file: SharedBytes, name: String, limits: ImageLimits = .standard) throws -> Image {
        guard let decoder = tjInitDecompress() else { throw UserError("\(name): no memory for a JPEG decoder") }
        defer { tjDestroy(decoder) }
        return try file.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), !bytes.isEmpty else {
                throw UserError("\(name): is empty")
            }
            var width: Int32 = 0
            var height: Int32 = 0
            var subsampling: Int32 = 0
            var space: Int32 = 0
            let header = tjDecompressHeader3(decoder, base, UInt(bytes.count), &width, &height, &subsampling, &space)
            if header != 0, let fault = fault(of: decoder) { throw UserError("\(name): corrupt JPEG: \(fault)") }
            guard width > 0, height > 0 else { throw UserError("\(name): corrupt JPEG: no image is in it") }
            try limits.check(width: Int(width), height: Int(height), name: name)
            func decompress(into target: UnsafeMutableRawBufferPointer, _ format: TJPF) throws {
                let status = tjDecompress2(
                    decoder, base, UInt(bytes.count), target.baseAddress!.assumingMemoryBound(to: UInt8.self),
                    width, 0, height, Int32(format.rawValue), TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS)
                if status != 0, let fault = fault(of: decoder) {
                    throw UserError("\(name): corrupt or truncated JPEG: \(fault)")
                }
            }
            return try Image(width: Int(width), height: Int(height)) { target in
                guard space == Int32(TJCS_CMYK.rawValue) || space == Int32(TJCS_YCCK.rawValue) else {
                    return try decompress(into: target, TJPF_RGB)
                }
                let inks = UnsafeMutableRawBufferPointer.allocate(
                    byteCount: Int(width) * Int(height) * 4, alignment: 64)
                defer { inks.deallocate() }
                try decompress(into: inks, TJPF_CMYK)
                fillRGB(target, from: inks)
            }
        }
    }

    /// Colours from inks: an ink's paper shows where neither it nor black covers it.
    ///
    /// The numbers say how much paper shows, 255 for all of it: Adobe's convention, which all CMYK JPEGs in use follow and
    /// which Pillow takes for granted too. The division by 255 rounds.
    private static func fillRGB(_ target: UnsafeMutableRawBufferPointer, from inks: UnsafeMutableRawBufferPointer) {
        for pixel in 0..<inks.count / 4 {
            let black = Int(inks[4 * pixel + 3])
            for channel in 0..<3 {
                // Pillow rounds what the ink takes away, not what is left.
                let covered = (255 - Int(inks[4 * pixel + channel])) * black + 128
                target[3 * pixel + channel] = UInt8(black - (covered + covered >> 8) >> 8)
            }
        }
    }

    /// Encodes as baseline JPEG without chroma subsampling, which would smear colours across class borders.
    ///
    /// - Parameter quality: 1 to 100.
    public static func encode(_ image: Image, quality: Int = 95) throws -> [UInt8] {
        guard (1...100).contains(quality) else { throw UserError("JPEG quality \(quality) is not between 1 and 100") }
        guard image.width <= 65_500, image.height <= 65_500 else {
            throw UserError("a JPEG cannot hold \(image.width)x\(image.height) pixels (65,500 per side at most)")
        }
        guard let encoder = tjInitCompress() else { throw UserError("no memory for a JPEG encoder") }
        defer { tjDestroy(encoder) }
        var output: UnsafeMutablePointer<UInt8>?
        var size: UInt = 0
        defer { tjFree(output) }
        let status = image.pixels.withUnsafeBytes { pixels in
            tjCompress2(
                encoder, pixels.baseAddress!.assumingMemoryBound(to: UInt8.self), Int32(image.width), 0,
                Int32(image.height), Int32(TJPF_RGB.rawValue), &output, &size, Int32(TJSAMP_444.rawValue),
                Int32(quality), TJFLAG_ACCURATEDCT)
        }
        guard status == 0, let output else { throw UserError("cannot encode a JPEG: \(message(of: encoder))") }
        return Array(UnsafeBufferPointer(start: output, count: Int(size)))
    }

    /// What is wrong with the data, or nil where the library only remarked on metadata.
    ///
    /// Warnings about the data all begin with one of these words (jerror.h: "Corrupt JPEG data: …", "Premature end of
    /// JPEG file", "Inconsistent progression sequence …", "Invalid …"); the others are about Adobe and ICC markers,
    /// which come before the data, and only the last warning is kept, so a fault is never hidden behind one of them.
    private static func fault(of handle: tjhandle) -> String? {
        let text = message(of: handle)
        guard tjGetErrorCode(handle) == Int32(TJERR_WARNING.rawValue) else { return text }
        let aboutData = ["Corrupt", "Premature", "Inconsistent", "Invalid"]
        return aboutData.contains { text.hasPrefix($0) } ? text : nil
    }

    private static func message(of handle: tjhandle) -> String {
        tjGetErrorStr2(handle).map { String(cString: $0) } ?? "unknown error"
    }
}
