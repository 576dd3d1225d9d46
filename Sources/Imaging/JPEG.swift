import Basics
import CJPEG
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
        let size = try size(file, name: name, limits: limits)
        return try decode(
            file, region: PixelRegion(width: size.width, height: size.height), shrink: 1, name: name)
    }

    /// The image's width and height, from its header.
    ///
    /// - Throws: as `decode`.
    static func size(
        _ file: SharedBytes, name: String, limits: ImageLimits
    ) throws -> (width: Int, height: Int) {
        var header = cj_header()
        try calling(file, name: name, trouble: "corrupt JPEG") { bytes, message in
            cj_read_header(bytes.baseAddress, bytes.count, &header, message)
        }
        guard header.width > 0, header.height > 0 else {
            throw UserError("\(name): corrupt JPEG: no image is in it")
        }
        try limits.check(width: Int(header.width), height: Int(header.height), name: name)
        return (Int(header.width), Int(header.height))
    }

    /// Decodes a part of the image as it is when shrunk 1, 2, 4 or 8 times (sides rounded up): the pixels that the whole
    /// would have there.
    ///
    /// Faults below the part go unnoticed, but for a file that lacks its end.
    ///
    /// - Parameter region: within the shrunk image.
    public static func decode(_ file: SharedBytes, region: PixelRegion, shrink: Int, name: String) throws -> Image {
        if hasEnd(file) { return try pixels(of: file, region, shrink: shrink, name: name) }
        // Read to its end for the faults that are in it.
        let size = try size(file, name: name, limits: .standard)
        let all = PixelRegion(width: (size.width + shrink - 1) / shrink, height: (size.height + shrink - 1) / shrink)
        return try pixels(of: file, all, shrink: shrink, name: name).cropped(to: region)
    }

    /// Whether the last bytes are the marker of a JPEG's end; cameras may write more behind it.
    private static func hasEnd(_ file: SharedBytes) -> Bool {
        file.withUnsafeBytes { $0.count >= 2 && $0[$0.count - 2] == 0xff && $0[$0.count - 1] == 0xd9 }
    }

    private static func pixels(
        of file: SharedBytes, _ region: PixelRegion, shrink: Int, name: String
    ) throws -> Image {
        let asked = cj_region(
            shrink: Int32(shrink), top: Int32(region.top), height: Int32(region.height), left: Int32(region.left),
            width: Int32(region.width))
        return try Image(width: region.width, height: region.height) { target in
            try calling(file, name: name, trouble: "corrupt or truncated JPEG") { bytes, message in
                cj_decode(
                    bytes.baseAddress, bytes.count, asked, target.baseAddress!.assumingMemoryBound(to: UInt8.self),
                    region.width * 3, { JPEG.isFault($0) }, message)
            }
        }
    }

    private static func calling(
        _ file: SharedBytes, name: String, trouble: String,
        _ body: (UnsafeBufferPointer<UInt8>, UnsafeMutablePointer<CChar>) -> Int32
    ) throws {
        try file.withUnsafeBytes { raw in
            guard !raw.isEmpty else { throw UserError("\(name): is empty") }
            try withUnsafeTemporaryAllocation(of: CChar.self, capacity: CJ_MESSAGE) { message in
                message[0] = 0
                guard body(raw.assumingMemoryBound(to: UInt8.self), message.baseAddress!) != 0 else { return }
                throw UserError("\(name): \(trouble): \(String(cString: message.baseAddress!))")
            }
        }
    }

    /// Whether a warning is about the data and not about metadata.
    ///
    /// Warnings about the data all begin with one of these words (jerror.h: "Corrupt JPEG data: …", "Premature end of
    /// JPEG file", "Inconsistent progression sequence …"). The others are about Adobe and ICC markers, or "Invalid SOS
    /// parameters for sequential JPEG", which Samsung's cameras write and no sequential decoder uses.
    private static func isFault(_ remark: UnsafePointer<CChar>?) -> Int32 {
        guard let remark else { return 0 }
        let text = String(cString: remark)
        // "Corrupt JPEG data: 2 extraneous bytes before marker 0xdb": between segments, where no pixel needs them. Before a restart
        // marker or the end (0xd0 to 0xd9) they are mostly all that damaged pixels show.
        if text.contains(" extraneous bytes before marker 0x"), !("0xd0"..."0xd9").contains(text.suffix(4)) { return 0 }
        return ["Corrupt", "Premature", "Inconsistent"].contains { text.hasPrefix($0) } ? 1 : 0
    }

    /// How many pixels share one sample of colour, as libjpeg-turbo numbers the kinds.
    public enum ChromaSubsampling: Int32, CaseIterable, Sendable {
        /// None: it would smear colours across class borders.
        case none = 0
        /// Two beside each other; most cameras that do not write `square`.
        case wide = 1
        /// Two by two: most photographs.
        case square = 2
        /// Two above each other: a photograph of `wide` that was turned without loss.
        case tall = 4
    }

    /// Encodes as baseline JPEG.
    ///
    /// - Parameter quality: 1 to 100.
    public static func encode(
        _ image: Image, quality: Int = 95, subsampling: ChromaSubsampling = .none
    ) throws -> [UInt8] {
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
                Int32(image.height), Int32(TJPF_RGB.rawValue), &output, &size, subsampling.rawValue,
                Int32(quality), TJFLAG_ACCURATEDCT)
        }
        guard status == 0, let output else {
            let reason = tjGetErrorStr2(encoder).map { String(cString: $0) } ?? "unknown error"
            throw UserError("cannot encode a JPEG: \(reason)")
        }
        return Array(UnsafeBufferPointer(start: output, count: Int(size)))
    }
}
