import Basics

/// Colours for classes, and pictures made with them.
public enum Palette {
    /// The 11 colours that SegNet's authors published for CamVid, in the order of its class numbers.
    public static let camvid = [
        RGB8(128, 128, 128), RGB8(128, 0, 0), RGB8(192, 192, 128), RGB8(128, 64, 128), RGB8(60, 40, 222),
        RGB8(128, 128, 0), RGB8(192, 128, 128), RGB8(64, 64, 128), RGB8(64, 0, 128), RGB8(64, 64, 0), RGB8(0, 128, 192),
    ]

    /// As many different colours as asked for, up to 255, far apart for small counts; never black.
    ///
    /// PASCAL VOC's scheme, which large-vocabulary sets such as ADE20K's tools borrow: the bits of the number, dealt to
    /// red, green and blue from the most significant bit down. Its first colour (black) is left out.
    public static func generated(_ count: Int) -> [RGB8] {
        precondition((0...255).contains(count), "a palette has at most 255 colours, \(count) were asked for")
        return (0..<count).map { index in
            var bits = index + 1
            var channels: [UInt8] = [0, 0, 0]
            for level in 0..<8 {
                for channel in 0..<3 { channels[channel] |= UInt8(bits >> channel & 1) << UInt8(7 - level) }
                bits >>= 3
            }
            return RGB8(channels[0], channels[1], channels[2])
        }
    }
}

extension LabelMap {
    /// The map as a picture; numbers beyond the palette, the ignore label for one, are black.
    public func colored(with palette: [RGB8]) -> Image {
        let table = (0..<256).map { $0 < palette.count ? palette[$0] : RGB8(0, 0, 0) }
        return Image(width: width, height: height) { target in
            values.withUnsafeBytes { source in
                for i in 0..<source.count {
                    let color = table[Int(source[i])]
                    target[3 * i] = color.red
                    target[3 * i + 1] = color.green
                    target[3 * i + 2] = color.blue
                }
            }
        }
    }
}

extension Image {
    /// The image with the classes' colours laid over it; where the number is beyond the palette, the image itself.
    ///
    /// - Parameter opacity: 0 (the image alone) to 1 (the colours alone); it is held within that range.
    /// - Throws: `UserError` where the sizes differ.
    public func overlaid(with labels: LabelMap, palette: [RGB8], opacity: Float = 0.5) throws -> Image {
        guard labels.width == width, labels.height == height else {
            throw UserError(
                "a label map of \(labels.width)x\(labels.height) does not fit an image of \(width)x\(height)")
        }
        let weight = Int((min(max(opacity, 0), 1) * 256).rounded())
        return Image(width: width, height: height) { target in
            pixels.withUnsafeBytes { source in
                labels.values.withUnsafeBytes { classes in
                    for i in 0..<classes.count {
                        let at = 3 * i
                        let value = Int(classes[i])
                        guard value < palette.count else {
                            for c in at..<at + 3 { target[c] = source[c] }
                            continue
                        }
                        let color = palette[value]
                        for (c, over) in [color.red, color.green, color.blue].enumerated() {
                            let mixed = Int(source[at + c]) * (256 - weight) + Int(over) * weight + 128
                            target[at + c] = UInt8(mixed >> 8)
                        }
                    }
                }
            }
        }
    }
}
