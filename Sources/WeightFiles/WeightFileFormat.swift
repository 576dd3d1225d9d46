import Basics

/// What a file of weights is, by its first bytes.
public enum WeightFileFormat: Sendable {
    case safetensors
    /// `torch.save`'s since PyTorch 1.6.
    case torch

    /// - Throws: `UserError` without the file's name, that says what the file is instead and what to do.
    public init(of bytes: SharedBytes) throws {
        self = try bytes.withUnsafeBytes { try Self.recognized($0) }
    }

    private static func recognized(_ bytes: UnsafeRawBufferPointer) throws -> WeightFileFormat {
        guard !bytes.isEmpty else { throw UserError("it is empty") }
        if begins(bytes, [0x50, 0x4b, 0x03, 0x04]) { return .torch }
        // The header's length, and its first brace.
        if bytes.count > 8, bytes[8] == UInt8(ascii: "{") { return .safetensors }
        let known: [(start: [UInt8], what: String)] = [
            (
                // The magic number that the format began with, as a pickled integer.
                [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19],
                "it was saved by PyTorch before 1.6, in a format that is not read here; "
                    + "save it again in a current Python: torch.save(torch.load(FILE, weights_only=True), OTHER)"
            ),
            (
                [0x80],
                "it is a bare pickle, which can be read by executing it only; save tensors by torch.save or safetensors"
            ),
            (
                Array("version https://git-lfs".utf8),
                "it is a pointer of Git LFS, not the file itself: run 'git lfs pull'"
            ),
            ([0x1f, 0x8b], "it is compressed by gzip: unpack it"),
            (Array("BZh".utf8), "it is compressed by bzip2: unpack it"),
            ([0xfd, 0x37, 0x7a, 0x58, 0x5a], "it is compressed by xz: unpack it"),
            ([0x28, 0xb5, 0x2f, 0xfd], "it is compressed by zstd: unpack it"),
            ([0x89, 0x48, 0x44, 0x46], "it is an HDF5 file, as Keras has them, not PyTorch's"),
            ([0x93] + Array("NUMPY".utf8), "it is an array of numpy, not named tensors"),
        ]
        if let entry = known.first(where: { begins(bytes, $0.start) }) { throw UserError(entry.what) }
        if looksLikeMarkup(bytes) {
            throw UserError("it is a web page, not weights: the download gave its page; fetch the file itself")
        }
        throw UserError("it is neither a safetensors file nor one of torch.save")
    }

    private static func begins(_ bytes: UnsafeRawBufferPointer, _ start: [UInt8]) -> Bool { bytes.starts(with: start) }

    /// `<!DOCTYPE html`, `<html` or `<?xml` behind white space and a byte order mark.
    private static func looksLikeMarkup(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let start = String(decoding: bytes.prefix(512), as: UTF8.self).lowercased()
        let text = start.drop { $0.isWhitespace || $0 == "\u{feff}" }
        return ["<!doctype html", "<html", "<head", "<?xml"].contains { text.hasPrefix($0) }
    }
}
