import CZlib
import Foundation

/// Writes a MATLAB file of level 5 with some text before a matrix, as the files that datasets come in have it.
///
/// - Parameters:
///   - stored: the number of the type that the values are stored in: 4 for 16 bits without sign.
///   - isCompressed: as MATLAB has written its files since version 7.
///   - value: of each row and column.
public func writeMATLAB<Value: BitwiseCopyable>(
    _ path: String, matrix name: String, rows: Int, columns: Int, storedAs stored: UInt32 = 4,
    isCompressed: Bool = true, _ value: (_ row: Int, _ column: Int) -> Value
) throws {
    func word(_ value: Int) -> [UInt8] { withUnsafeBytes(of: UInt32(value).littleEndian) { Array($0) } }
    func element(_ type: Int, _ data: [UInt8]) -> [UInt8] {
        word(type) + word(data.count) + data + [UInt8](repeating: 0, count: (8 - data.count % 8) % 8)
    }
    func matrix(_ name: String, _ kind: Int, _ rows: Int, _ columns: Int, _ stored: Int, _ data: [UInt8]) -> [UInt8] {
        let head = element(6, word(kind) + word(0)) + element(5, word(rows) + word(columns))
        let whole = element(14, head + element(1, Array(name.utf8)) + element(stored, data))
        guard isCompressed else { return whole }
        var size = compressBound(UInt(whole.count))
        var packed = [UInt8](repeating: 0, count: Int(size))
        precondition(compress2(&packed, &size, whole, UInt(whole.count), 6) == Z_OK)
        return word(15) + word(Int(size)) + packed[..<Int(size)]
    }
    let values = (0..<rows * columns).flatMap { index in
        withUnsafeBytes(of: value(index % rows, index / rows)) { Array($0) }
    }
    let header = Array("MATLAB 5.0 MAT-file".utf8) + [UInt8](repeating: 32, count: 97)
    let bytes =
        header + [UInt8](repeating: 0, count: 8) + [0, 1, 0x49, 0x4d]
        + matrix("captions", 4, 1, 5, 16, Array("a cat".utf8))
        + matrix(name, 11, rows, columns, Int(stored), values)
    try Data(bytes).write(to: URL(fileURLWithPath: path))
}
