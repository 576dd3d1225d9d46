import Basics
import Testing

@testable import Imaging

@Suite struct OrientationTests {
    /// A JPEG with an EXIF segment behind its first marker.
    private func photograph(_ orientation: Int, isLittle: Bool) throws -> SharedBytes {
        func number(_ value: Int, _ bytes: Int) -> [UInt8] {
            let big = (0..<bytes).reversed().map { UInt8(value >> (8 * $0) & 0xff) }
            return isLittle ? big.reversed() : big
        }
        let tiff: [[UInt8]] = [
            Array((isLittle ? "II" : "MM").utf8), number(42, 2), number(8, 4), number(2, 2),
            number(0x0100, 2), number(3, 2), number(1, 4), number(7, 2), [0, 0],
            number(0x0112, 2), number(3, 2), number(1, 4), number(orientation, 2), [0, 0], number(0, 4),
        ]
        let body = Array("Exif\0\0".utf8) + tiff.flatMap { $0 }
        let file = try JPEG.encode(patternImage(24, 16), quality: 95)
        let length = body.count + 2
        return SharedBytes(file[..<2] + [0xff, 0xe1, UInt8(length >> 8), UInt8(length & 0xff)] + body + file[2...])
    }

    @Test(arguments: [true, false]) func tagIsFoundInEitherByteOrder(isLittle: Bool) throws {
        for orientation in Orientation.allCases {
            #expect(
                try Orientation(ofJPEG: photograph(orientation.rawValue, isLittle: isLittle)) == orientation)
        }
        #expect(try Orientation(ofJPEG: photograph(9, isLittle: isLittle)) == .upright)
        #expect(try Orientation(ofJPEG: SharedBytes(JPEG.encode(patternImage(8, 8)))) == .upright)
    }

    @Test func cutAndChangedFilesAreUprightOrSomethingElseButNoTrap() throws {
        let whole = try photograph(6, isLittle: true).array(of: UInt8.self)
        for count in 0..<80 { _ = Orientation(ofJPEG: SharedBytes(Array(whole[..<count]))) }
        for at in 2..<80 {
            for value in [UInt8(0), 0x7f, 0xff] {
                var bytes = whole
                bytes[at] = value
                _ = Orientation(ofJPEG: SharedBytes(bytes))
            }
        }
    }

    /// As EXIF says where the file's first row and column are shown: 6 has the first row at the right.
    @Test func cornersGoWhereEXIFSays() {
        // a b c
        // d e f
        let image = Image(width: 3, height: 2) { target in
            for i in 0..<6 { for channel in 0..<3 { target[3 * i + channel] = UInt8(97 + i) } }
        }
        func shown(_ orientation: Orientation) -> [String] {
            let turned = image.turned(orientation)
            return (0..<turned.height).map { y in
                String((0..<turned.width).map { Character(Unicode.Scalar(turned[$0, y].red)) })
            }
        }
        #expect(shown(.upright) == ["abc", "def"])
        #expect(shown(.mirrored) == ["cba", "fed"])
        #expect(shown(.halfTurn) == ["fed", "cba"])
        #expect(shown(.flipped) == ["def", "abc"])
        #expect(shown(.transposed) == ["ad", "be", "cf"])
        #expect(shown(.clockwise) == ["da", "eb", "fc"])
        #expect(shown(.transverse) == ["fc", "eb", "da"])
        #expect(shown(.counterclockwise) == ["cf", "be", "ad"])
    }
}
