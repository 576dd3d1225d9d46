import Basics
import CZlib

/// A matrix of whole numbers from 0 to 65,535, rows from top to bottom: a label map whose numbers may exceed a byte.
public struct IntegerMatrix: Sendable, Equatable {
    public let width: Int
    public let height: Int
    /// `height * width` numbers.
    public let values: [UInt16]

    /// - Precondition: there are `width * height` values.
    public init(width: Int, height: Int, values: [UInt16]) {
        precondition(values.count == width * height, "\(values.count) values for \(width)x\(height)")
        self.width = width
        self.height = height
        self.values = values
    }
}

/// MATLAB's files (`.mat`), in which some datasets keep their label maps: the matrices of whole numbers in them.
///
/// Level 5 only, the format of MATLAB 5 to 7 ("MAT-File Format", The MathWorks), whose variables are compressed by zlib or not.
/// Version 7.3 is HDF5. (matio, which reads both, hands out the beginning of a file that was cut short as if it were all.)
public enum MATLABFile {
    /// The matrix that a file holds under a name, turned from MATLAB's order, column after column, into rows.
    ///
    /// - Throws: `UserError` that begins with `path`: missing, of another format, damaged or cut short, without such a matrix,
    ///   with numbers that are fractions or outside 0 to 65,535, or larger than `limits`.
    public static func readMatrix(_ path: String, named name: String, limits: ImageLimits = .standard) throws
        -> IntegerMatrix
    {
        let bytes: [UInt8] = try ImageFile.readBytes(path, limits: limits).array()
        let isLittle = try byteOrder(of: bytes, path)
        do {
            var elements = MATLABElements(bytes[128...], isLittle: isLittle)
            while let element = try elements.next() {
                var content: [UInt8]?
                switch element.type {
                case .compressed: content = try inflated(element.data, isLittle: isLittle, named: name, limits: limits)
                case .matrix where try MATLABMatrix(element.data, isLittle: isLittle).name == name:
                    content = Array(element.data)
                default: continue
                }
                guard let content else { continue }
                return try MATLABMatrix(content[...], isLittle: isLittle).values(path, limits: limits)
            }
        } catch is MATLABDamage {
            throw UserError("\(path): damaged or truncated MATLAB file")
        }
        throw UserError("\(path): holds no matrix '\(name)'")
    }

    /// Whether numbers begin with their low byte.
    private static func byteOrder(of bytes: [UInt8], _ path: String) throws -> Bool {
        // 116 bytes of text, 8 of an offset, 2 of version, 2 of byte order ("MI" as a number).
        guard bytes.count >= 128 else { throw UserError("\(path): is no MATLAB file") }
        let isLittle = bytes[126..<128] == [0x49, 0x4d]
        guard isLittle || bytes[126..<128] == [0x4d, 0x49] else { throw UserError("\(path): is no MATLAB file") }
        switch isLittle ? bytes[125] : bytes[124] {
        case 1: return isLittle
        case 2: throw UserError("\(path): is a MATLAB 7.3 file; save it with '-v7', or take the set's newer release")
        default: throw UserError("\(path): is a MATLAB file of an unknown version")
        }
    }

    /// The contents of a compressed matrix of a name; nil, after its first bytes, for another one.
    private static func inflated(
        _ data: ArraySlice<UInt8>, isLittle: Bool, named name: String, limits: ImageLimits
    ) throws -> [UInt8]? {
        try data.withUnsafeBytes { source in
            var stream = z_stream()
            stream.next_in = UnsafeMutablePointer(mutating: source.baseAddress?.assumingMemoryBound(to: UInt8.self))
            stream.avail_in = UInt32(source.count)
            guard inflateInit_(&stream, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
                throw MATLABDamage()
            }
            defer { inflateEnd(&stream) }
            /// The next bytes; fewer only where the data end, which `isEnd` then says.
            var isEnd = false
            func more(_ count: Int) throws -> [UInt8] {
                guard count > 0 else { return [] }
                return try [UInt8](unsafeUninitializedCapacity: count) { target, filled in
                    stream.next_out = target.baseAddress
                    stream.avail_out = UInt32(count)
                    let status = inflate(&stream, Z_NO_FLUSH)
                    isEnd = status == Z_STREAM_END
                    filled = count - Int(stream.avail_out)
                    // Z_BUF_ERROR: nothing more to read, or nothing more to write.
                    guard [Z_OK, Z_STREAM_END, Z_BUF_ERROR].contains(status) else { throw MATLABDamage() }
                }
            }
            let tag = MATLABElements(try more(8)[...], isLittle: isLittle)
            guard let size = tag.wholeSize(of: .matrix), size <= limits.fileBytes else { throw MATLABDamage() }
            // Flags, dimensions and a name are far shorter.
            let start = try more(min(size, 512))
            guard try MATLABMatrix(start[...], isLittle: isLittle).name == name else { return nil }
            let content = try start + more(size - start.count)
            // The end is where the checksum has been compared.
            if !isEnd { _ = try more(1) }
            guard content.count == size, isEnd else { throw MATLABDamage() }
            return content
        }
    }
}
