import Basics

#if canImport(Glibc)
    import Glibc
#endif

/// What a decoder accepts; beyond it a file is refused by its header, before memory is taken.
public struct ImageLimits: Sendable {
    /// Most pixels per side. 16,384 is beyond every published segmentation dataset's.
    public var side = 16_384
    /// Most pixels in all: 64 Mi, 192 MiB decoded.
    public var pixels = 64 << 20
    /// Longest file in bytes.
    public var fileBytes = 256 << 20

    public init() {}

    public static let standard = ImageLimits()

    /// - Throws: `UserError` that names the file, its size and the limit.
    func check(width: Int, height: Int, name: String) throws {
        guard width > 0, height > 0 else {
            throw UserError("\(name): has no pixels (\(width)x\(height))")
        }
        guard width <= side, height <= side, width * height <= pixels else {
            throw UserError(
                "\(name): \(width)x\(height) pixels; images up to \(side) per side and \(pixels) pixels are read")
        }
    }
}

/// Reads and writes image files; what a file is, its first bytes say, not its name.
public enum ImageFile {
    /// Decodes a JPEG or PNG file to RGB; grey and palette images become RGB, alpha is dropped, EXIF rotation ignored.
    ///
    /// - Throws: `UserError` that begins with `path`: missing, unreadable, too large, corrupt, cut short, another format.
    public static func readImage(_ path: String, limits: ImageLimits = .standard) throws -> Image {
        try decode(readBytes(path, limits: limits), name: path, limits: limits)
    }

    /// The same, turned as a JPEG's EXIF says: a photograph by itself, of which no label map exists that might not be.
    public static func readPhotograph(_ path: String, limits: ImageLimits = .standard) throws -> Image {
        let bytes = try readBytes(path, limits: limits)
        let image = try decode(bytes, name: path, limits: limits)
        return signature(of: bytes) == .jpeg ? image.turned(Orientation(ofJPEG: bytes)) : image
    }

    /// An image from a file's bytes, as `readImage`; `name` begins every message.
    public static func decode(_ bytes: SharedBytes, name: String, limits: ImageLimits = .standard) throws -> Image {
        switch signature(of: bytes) {
        case .jpeg: try JPEG.decode(bytes, name: name, limits: limits)
        case .png: try PNG.decodeImage(bytes, name: name, limits: limits)
        case nil: throw UserError("\(name): is neither a JPEG nor a PNG file")
        }
    }

    /// Decodes a label map from a grey or palette PNG: the numbers as they stand in the file, palette indices included.
    ///
    /// - Throws: `UserError` that begins with `path`.
    public static func readLabels(_ path: String, limits: ImageLimits = .standard) throws -> LabelMap {
        try decodeLabels(readBytes(path, limits: limits), name: path, limits: limits)
    }

    /// A part of a label map.
    ///
    /// - Parameters:
    ///   - width, height: of the image that it belongs to, called `image` in messages.
    /// - Throws: as `readLabels`, also where the map's size is another one.
    public static func readLabels(
        _ path: String, region: PixelRegion, width: Int, height: Int, of image: String,
        limits: ImageLimits = .standard
    ) throws -> LabelMap {
        let bytes = try readBytes(path, limits: limits)
        guard signature(of: bytes) == .png else { return try decodeLabels(bytes, name: path, limits: limits) }
        let size = try PNG.size(bytes, name: path, limits: limits)
        try checkSizes(label: size, path, image: (width, height), image)
        return try PNG.decodeLabels(bytes, region: region, name: path, limits: limits)
    }

    /// - Throws: `UserError` where a label map's size is not its image's.
    public static func checkSizes(
        label: (width: Int, height: Int), _ labelName: String, image: (width: Int, height: Int), _ imageName: String
    ) throws {
        guard label == image else {
            throw UserError(
                "\(labelName): the label map is \(label.width)x\(label.height) but its image \(imageName) is "
                    + "\(image.width)x\(image.height)")
        }
    }

    private static func decodeLabels(_ bytes: SharedBytes, name: String, limits: ImageLimits) throws -> LabelMap {
        switch signature(of: bytes) {
        case .png: return try PNG.decodeLabels(bytes, name: name, limits: limits)
        case .jpeg:
            throw UserError("\(name): is a JPEG, which blurs class numbers; label maps are grey or palette PNGs")
        case nil: throw UserError("\(name): is not a PNG file; label maps are grey or palette PNGs")
        }
    }

    /// An image file's width and height, from its header.
    static func size(
        _ bytes: SharedBytes, name: String, limits: ImageLimits = .standard
    ) throws -> (width: Int, height: Int) {
        switch signature(of: bytes) {
        case .jpeg: try JPEG.size(bytes, name: name, limits: limits)
        case .png: try PNG.size(bytes, name: name, limits: limits)
        case nil: throw UserError("\(name): is neither a JPEG nor a PNG file")
        }
    }

    /// Whether a file's decoder can shrink the image while it transforms it, 2, 4 or 8 times.
    static func canShrink(_ bytes: SharedBytes) -> Bool { signature(of: bytes) == .jpeg }

    /// Decodes a part of an image.
    ///
    /// - Parameter region: in pixels of the image shrunk by `shrink`, which is 1 where `canShrink` says no.
    static func decode(
        _ bytes: SharedBytes, region: PixelRegion, shrink: Int, name: String, limits: ImageLimits = .standard
    ) throws -> Image {
        switch signature(of: bytes) {
        case .jpeg: try JPEG.decode(bytes, region: region, shrink: shrink, name: name)
        case .png: try PNG.decodeImage(bytes, region: region, name: name, limits: limits)
        case nil: throw UserError("\(name): is neither a JPEG nor a PNG file")
        }
    }

    /// A whole file.
    ///
    /// - Throws: `UserError` in the system's words, or one that names the limit.
    public static func readBytes(_ path: String, limits: ImageLimits = .standard) throws -> SharedBytes {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw DurableFile.systemError("cannot open", path) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw DurableFile.systemError("cannot read", path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw UserError("\(path): is not a file") }
        let count = Int(status.st_size)
        guard count > 0 else { throw UserError("\(path): is empty") }
        guard count <= limits.fileBytes else {
            throw UserError("\(path): \(count) bytes; files up to \(limits.fileBytes) bytes are read")
        }
        return try SharedBytes(count: count) { target in
            var filled = 0
            while filled < count {
                let got = read(descriptor, target.baseAddress! + filled, count - filled)
                if got < 0 {
                    if errno == EINTR { continue }
                    throw DurableFile.systemError("cannot read", path)
                }
                guard got > 0 else { throw UserError("\(path): became shorter while it was read") }
                filled += got
            }
        }
    }

    /// Writes an encoder's bytes; for many small files, so without a sync of each (`DurableFile` is for state).
    public static func write(_ bytes: [UInt8], to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw DurableFile.systemError("cannot create", path) }
        defer { close(descriptor) }
        try bytes.withUnsafeBytes { try DurableFile.writeAll($0, to: descriptor, path: path) }
    }

    private enum Format { case jpeg, png }

    private static func signature(of bytes: SharedBytes) -> Format? {
        bytes.withUnsafeBytes { head in
            if head.count >= 3, head[0] == 0xff, head[1] == 0xd8, head[2] == 0xff { return .jpeg }
            if head.count >= 8, head[0] == 0x89, head[1] == 0x50, head[2] == 0x4e, head[3] == 0x47 { return .png }
            return nil
        }
    }
}
