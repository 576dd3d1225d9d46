import Basics
import Foundation
import TestSupport
import Testing

@testable import Imaging

@Suite struct MATLABFileTests {
    private let folder: TemporaryFolder
    private let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder("m.mat")
    }

    private func read(_ name: String = "S") throws -> IntegerMatrix { try MATLABFile.readMatrix(path, named: name) }
    private func write(_ bytes: some Sequence<UInt8>) throws {
        try Data(Array(bytes)).write(to: URL(fileURLWithPath: path))
    }

    /// A file by what is behind the text of its header.
    private func write(base64: String) throws {
        try write([UInt8](repeating: 32, count: 116) + #require(Data(base64Encoded: base64)))
    }

    /// `scipy.io.savemat(…, do_compression=True)` of SciPy 1.17 with cells of text around a 2x3 matrix of uint16.
    @Test func scipysCompressedFileIsRead() throws {
        try write(
            base64: """
                AAAAAAAAAAAAAUlNDwAAAEsAAAB4nONjYGDYAMRsQMwBxIwMEMCKxGeC0iB+cmJBSWZ+XjEfkG2BpI8Fiz5WJPMEoPxEheTE\
                EiBNjH4ONP0gfn6eQqJCbmIJADRjCckPAAAANQAAAHic42NgYHAAYjYg5gBibgYIYIXymYCYGYgZgTAYSLMAMQ9YxQtmRoaX\
                zEwM//+DeABJywS3DwAAADMAAAB4nONjYGDIAGI2IOYAYkYGCGBF4sMwSCwvMTe1GEjzAbEBkj4WPPpAQADIqgDSANPMA5g=
                """)
        #expect(try read() == IntegerMatrix(width: 3, height: 2, values: [0, 1, 2, 1000, 1001, 65_535]))
    }

    /// The same writer's, not compressed, of [[0, 1, 2], [3, 4, 5]] as doubles.
    @Test func scipysDoublesAreRead() throws {
        try write(
            base64: """
                AAAAAAAAAAAAAUlNDgAAAGAAAAAGAAAACAAAAAYAAAAAAAAABQAAAAgAAAACAAAAAwAAAAEAAQBTAAAACQAAADAAAAAAAAAA\
                AAAAAAAAAAAAAAhAAAAAAAAA8D8AAAAAAAAQQAAAAAAAAABAAAAAAAAAFEA=
                """)
        #expect(try read() == IntegerMatrix(width: 3, height: 2, values: [0, 1, 2, 3, 4, 5]))
    }

    @Test(arguments: [true, false]) func columnsBecomeRows(isCompressed: Bool) throws {
        try writeMATLAB(path, matrix: "S", rows: 2, columns: 3, isCompressed: isCompressed) { UInt16($0 * 1000 + $1) }
        #expect(try read() == IntegerMatrix(width: 3, height: 2, values: [0, 1, 2, 1000, 1001, 1002]))
    }

    @Test func everyTypeOfNumberIsRead() throws {
        func check<Value: BitwiseCopyable>(_ stored: UInt32, _ convert: (Int) -> Value) throws {
            try writeMATLAB(path, matrix: "S", rows: 2, columns: 2, storedAs: stored) { convert($0 + 10 * $1) }
            #expect(try read().values == [0, 10, 1, 11], "\(Value.self)")
        }
        try check(1) { Int8($0) }
        try check(2) { UInt8($0) }
        try check(3) { Int16($0) }
        try check(5) { Int32($0) }
        try check(6) { UInt32($0) }
        try check(7) { Float($0) }
        try check(9) { Double($0) }
        try check(12) { Int64($0) }
        try check(13) { UInt64($0) }
    }

    @Test func numbersThatAreNoLabelsAreErrors() throws {
        for wrong in [0.5, -1, 65_536, .nan] {
            try writeMATLAB(path, matrix: "S", rows: 1, columns: 2, storedAs: 9) { $1 == 1 ? wrong : 3 }
            #expect(message { _ = try read() } == "\(path): 'S' has a value that is no whole number from 0 to 65535")
        }
    }

    @Test func whatIsNotThereOrNoMatrixIsNamed() throws {
        #expect(message { _ = try read() } == "cannot open \(path): No such file or directory")
        try writeMATLAB(path, matrix: "S", rows: 2, columns: 2) { _, _ in UInt16(1) }
        #expect(message { _ = try read("LabelMap") } == "\(path): holds no matrix 'LabelMap'")
        #expect(message { _ = try read("captions") } == "\(path): 'captions' is no matrix of numbers")
        try write("<html>".utf8)
        #expect(message { _ = try read() } == "\(path): is no MATLAB file")
        var header = [UInt8](repeating: 32, count: 200)
        header.replaceSubrange(124..<128, with: [0, 2, 0x49, 0x4d])
        try write(header)
        #expect(message { _ = try read() }.hasPrefix("\(path): is a MATLAB 7.3 file"))
    }

    @Test func tooLargeIsRefusedBeforeItIsTurned() throws {
        try writeMATLAB(path, matrix: "S", rows: 40, columns: 2) { _, _ in UInt16(1) }
        var limits = ImageLimits()
        limits.side = 30
        #expect(message { _ = try MATLABFile.readMatrix(path, named: "S", limits: limits) }.contains("2x40 pixels"))
    }

    @Test(arguments: [true, false]) func everyTruncationIsAnError(isCompressed: Bool) throws {
        try writeMATLAB(path, matrix: "S", rows: 30, columns: 20, isCompressed: isCompressed) { UInt16($0 * $1) }
        let sound = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
        // What fills the last element up is no loss.
        for cut in stride(from: 0, to: sound.count - 8, by: 3) {
            try write(sound.prefix(cut))
            #expect(throws: UserError.self, "cut at \(cut)") { try read() }
        }
    }

    @Test func damageToACompressedMatrixIsAnErrorAndNeverATrap() throws {
        try writeMATLAB(path, matrix: "S", rows: 30, columns: 20) { UInt16($0 * $1) }
        let whole = try read()
        let sound = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
        var random = KeyedRandom(seed: 11, purpose: "matlab")
        var refused = 0
        for _ in 0..<500 {
            var broken = sound
            // Behind the header's text, which says nothing.
            for _ in 0..<2 { broken[124 + random.below(broken.count - 124)] ^= UInt8(1 + random.below(255)) }
            try write(broken)
            do {
                // The text before the matrix is not looked at beyond its name.
                #expect(try read() == whole)
            } catch {
                refused += 1
                #expect(!"\(error)".contains("\n"))
            }
        }
        #expect(refused > 400)
    }
}
