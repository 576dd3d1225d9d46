import Basics
import CTurboJPEG
import Configuration
import Foundation
import Imaging
import Testing

@testable import Datasets

/// A folder of its own for a test, removed with the last reference.
final class Scratch {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("datasets-\(UUID().uuidString)").path

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func folder(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: path + "/" + name, withIntermediateDirectories: true)
    }

    func file(_ name: String, _ bytes: [UInt8]) throws {
        try folder((name as NSString).deletingLastPathComponent)
        try ImageFile.write(bytes, to: path + "/" + name)
    }

    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: path + "/" + name) }

    func bytes(_ name: String) throws -> [UInt8] { try ImageFile.readBytes(path + "/" + name).array() }

    /// A CamVid tree of two training and one validation image, 8x6.
    static func camvid() throws -> Scratch {
        let scratch = try Scratch()
        for (split, names) in [("train", ["b", "a"]), ("val", ["c"])] {
            for name in names {
                try scratch.file("\(split)/\(name).jpg", JPEG.encode(image(8, 6)))
                try scratch.file("\(split)annot/\(name).png", PNG.encode(labels(8, 6) { x, _ in UInt8(x) }))
            }
        }
        return scratch
    }

    var settings: DatasetSettings {
        var settings = DatasetSettings()
        settings.root = path
        return settings
    }
}

func image(_ width: Int, _ height: Int) -> Image {
    Image(width: width, height: height) { for i in 0..<$0.count { $0[i] = UInt8(i % 251) } }
}

func labels(_ width: Int, _ height: Int, _ value: (Int, Int) -> UInt8) -> LabelMap {
    LabelMap(width: width, height: height) { for i in 0..<$0.count { $0[i] = value(i % width, i / width) } }
}

/// A JPEG with one channel only, of one brightness.
func greyJPEG(_ width: Int, _ height: Int, value: UInt8 = 90) throws -> [UInt8] {
    let encoder = try #require(tjInitCompress())
    defer { tjDestroy(encoder) }
    var output: UnsafeMutablePointer<UInt8>?
    var size: UInt = 0
    defer { tjFree(output) }
    let pixels = [UInt8](repeating: value, count: width * height)
    try #require(
        tjCompress2(
            encoder, pixels, Int32(width), 0, Int32(height), Int32(TJPF_GRAY.rawValue), &output, &size,
            Int32(TJSAMP_GRAY.rawValue), 95, 0) == 0)
    return Array(UnsafeBufferPointer(start: output, count: Int(size)))
}

/// The message of the error that `body` throws; empty where it throws none.
func message(_ body: () throws -> Void) -> String {
    do {
        try body()
        return ""
    } catch {
        return "\(error)"
    }
}

/// The repository's neighbour folder that holds the large test data.
func shared(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("shared/" + name).path
}
