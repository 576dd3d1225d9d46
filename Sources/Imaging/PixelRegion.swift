import Basics

/// A rectangle of an image's pixels: what of a file a caller needs.
public struct PixelRegion: Equatable, Sendable {
    public var left: Int
    public var top: Int
    public var width: Int
    public var height: Int

    public init(left: Int, top: Int, width: Int, height: Int) {
        self.left = left
        self.top = top
        self.width = width
        self.height = height
    }

    /// All of an image.
    public init(width: Int, height: Int) { self.init(left: 0, top: 0, width: width, height: height) }

    var right: Int { left + width }
    var bottom: Int { top + height }
}

/// The part of an image that was decoded, and where it lies in the whole.
struct ImagePart {
    let image: Image
    /// Where it begins, in pixels of the decoded image.
    let left: Int
    let top: Int
    /// How much smaller the decoded image is than the file's: 1, 2, 4 or 8 times, sides rounded up.
    let shrink: Int
    /// The file's size.
    let width: Int
    let height: Int

    init(_ image: Image, region: PixelRegion, shrink: Int, width: Int, height: Int) {
        precondition(image.width == region.width && image.height == region.height, "a part of its region's size")
        self.image = image
        left = region.left
        top = region.top
        self.shrink = shrink
        self.width = width
        self.height = height
    }

    /// A whole image.
    init(_ image: Image) {
        self.init(
            image, region: PixelRegion(width: image.width, height: image.height), shrink: 1, width: image.width,
            height: image.height)
    }
}

extension Image {
    /// The pixels of a region within the image.
    func cropped(to region: PixelRegion) -> Image {
        Image(width: region.width, height: region.height) {
            copy(region, of: pixels, rowBytes: width * 3, pixelBytes: 3, to: $0)
        }
    }
}

extension LabelMap {
    /// The numbers of a region within the map.
    public func cropped(to region: PixelRegion) -> LabelMap {
        LabelMap(width: region.width, height: region.height) {
            copy(region, of: values, rowBytes: width, pixelBytes: 1, to: $0)
        }
    }
}

private func copy(
    _ region: PixelRegion, of bytes: SharedBytes, rowBytes: Int, pixelBytes: Int,
    to target: UnsafeMutableRawBufferPointer
) {
    bytes.withUnsafeBytes { source in
        for row in 0..<region.height {
            let from = source.baseAddress! + (region.top + row) * rowBytes + region.left * pixelBytes
            (target.baseAddress! + row * region.width * pixelBytes).copyMemory(
                from: from, byteCount: region.width * pixelBytes)
        }
    }
}
