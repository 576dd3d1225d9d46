import Basics

/// Which way up a photograph is shown: EXIF's tag 0x0112 (CIPA DC-008, "Orientation").
public enum Orientation: Int, Sendable, CaseIterable {
    case upright = 1
    case mirrored = 2
    case halfTurn = 3
    case flipped = 4
    case transposed = 5
    /// To be turned clockwise by a quarter.
    case clockwise = 6
    case transverse = 7
    case counterclockwise = 8

    /// What to do about a training photograph that is not upright, as a clause.
    public static let advice =
        "training takes pixels as they are stored, not as EXIF turns them: draw label maps on those, or turn the files ('exiftran -ai')"

    /// What a JPEG file says; upright where it says nothing that can be read.
    public init(ofJPEG bytes: SharedBytes) {
        self = bytes.withUnsafeBytes { Self.find($0) }.flatMap(Orientation.init) ?? .upright
    }

    private static func find(_ file: UnsafeRawBufferPointer) -> Int? {
        guard file.count > 4, file[0] == 0xff, file[1] == 0xd8 else { return nil }
        var at = 2
        // Segments up to the first scan; a photograph's EXIF is among the first.
        while at + 4 <= file.count, file[at] == 0xff, file[at + 1] != 0xda {
            let length = Int(file[at + 2]) << 8 | Int(file[at + 3])
            guard length >= 2, at + 2 + length <= file.count else { return nil }
            let body = UnsafeRawBufferPointer(rebasing: file[at + 4..<at + 2 + length])
            if file[at + 1] == 0xe1, body.starts(with: "Exif\0\0".utf8) {
                return tag(UnsafeRawBufferPointer(rebasing: body[6...]))
            }
            at += 2 + length
        }
        return nil
    }

    /// The tag in a TIFF's first directory.
    private static func tag(_ tiff: UnsafeRawBufferPointer) -> Int? {
        guard tiff.count >= 8 else { return nil }
        let isLittle = tiff[0] == UInt8(ascii: "I")
        func number(_ offset: Int, _ bytes: Int) -> Int? {
            guard offset >= 0, offset + bytes <= tiff.count else { return nil }
            let digits = tiff[offset..<offset + bytes]
            return (isLittle ? Array(digits.reversed()) : Array(digits)).reduce(0) { $0 << 8 | Int($1) }
        }
        guard let start = number(4, 4), let count = number(start, 2) else { return nil }
        for entry in 0..<count {
            let at = start + 2 + 12 * entry
            guard let name = number(at, 2) else { return nil }
            if name == 0x0112 { return number(at + 8, 2) }
        }
        return nil
    }

    /// Whether width and height change places.
    var swapsSides: Bool { rawValue >= Orientation.transposed.rawValue }
}

extension Image {
    /// The image as a viewer shows it that heeds the file's orientation.
    public func turned(_ orientation: Orientation) -> Image {
        guard orientation != .upright else { return self }
        let (shownWidth, shownHeight) = orientation.swapsSides ? (height, width) : (width, height)
        return pixels.withUnsafeBytes { source in
            Image(width: shownWidth, height: shownHeight) { target in
                for y in 0..<shownHeight {
                    for x in 0..<shownWidth {
                        let (column, row) =
                            switch orientation {
                            case .upright: (x, y)
                            case .mirrored: (width - 1 - x, y)
                            case .halfTurn: (width - 1 - x, height - 1 - y)
                            case .flipped: (x, height - 1 - y)
                            case .transposed: (y, x)
                            case .clockwise: (y, height - 1 - x)
                            case .transverse: (width - 1 - y, height - 1 - x)
                            case .counterclockwise: (width - 1 - y, x)
                            }
                        let (from, to) = ((row * width + column) * 3, (y * shownWidth + x) * 3)
                        for channel in 0..<3 { target[to + channel] = source[from + channel] }
                    }
                }
            }
        }
    }
}
