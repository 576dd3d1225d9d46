import Basics
import Foundation
import Testing

@testable import Imaging

@Suite struct ImageFileTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("imaging-\(UUID().uuidString)")
        .path

    init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }

    @Test func theFirstBytesDecideNotTheName() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let image = patternImage(9, 5)
        try ImageFile.write(PNG.encode(image), to: folder + "/a.jpg")
        #expect(try ImageFile.readImage(folder + "/a.jpg") == image)
        try ImageFile.write(JPEG.encode(image), to: folder + "/label.png")
        #expect(
            message { _ = try ImageFile.readLabels(folder + "/label.png") }.contains(
                "is a JPEG, which blurs class numbers"))
    }

    @Test func unreadableFilesAreNamed() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/x.png"
        #expect(message { _ = try ImageFile.readImage(path) } == "cannot open \(path): No such file or directory")
        try ImageFile.write([], to: path)
        #expect(message { _ = try ImageFile.readImage(path) } == "\(path): is empty")
        try ImageFile.write(Array("<html>".utf8), to: path)
        #expect(message { _ = try ImageFile.readImage(path) } == "\(path): is neither a JPEG nor a PNG file")
        #expect(message { _ = try ImageFile.readImage(folder) } == "\(folder): is not a file")
        var limits = ImageLimits()
        limits.fileBytes = 5
        #expect(message { _ = try ImageFile.readImage(path, limits: limits) }.contains("6 bytes"))
    }

    @Test func bytesMustFitTheSize() {
        #expect(throws: UserError.self) {
            try Image(width: 2, height: 2, pixels: SharedBytes([UInt8](repeating: 0, count: 11)))
        }
        #expect(throws: UserError.self) { try Image(width: .max, height: 3, pixels: SharedBytes([0 as UInt8])) }
        #expect(throws: UserError.self) { try LabelMap(width: 0, height: 0, values: SharedBytes([UInt8]())) }
    }
}
