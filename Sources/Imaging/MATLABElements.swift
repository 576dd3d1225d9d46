import Basics

/// What stands in a MATLAB file is not what its tags say.
struct MATLABDamage: Error {}

/// The data elements of a MATLAB file or of a matrix in it, one after the other: a type, a size, the data.
struct MATLABElements {
    enum Kind: UInt32 {
        case int8 = 1
        case uint8, int16, uint16, int32, uint32, single
        case double = 9
        case int64 = 12
        case uint64, matrix, compressed
        /// Text, which is no matrix of numbers.
        case utf8, utf16, utf32
    }

    private let bytes: ArraySlice<UInt8>
    private let isLittle: Bool
    private var at: Int

    init(_ bytes: ArraySlice<UInt8>, isLittle: Bool) {
        self.bytes = bytes
        self.isLittle = isLittle
        at = bytes.startIndex
    }

    /// - Returns: nil at the end.
    /// - Throws: `MATLABDamage` where the data are shorter than their tag says, or of an unknown type.
    mutating func next() throws -> (type: Kind, data: ArraySlice<UInt8>)? {
        if at == bytes.endIndex { return nil }
        guard bytes.endIndex - at >= 8 else { throw MATLABDamage() }
        let word = number(at, 4)
        // Data of up to four bytes may stand in the tag itself, whose first word then has their size in its upper half.
        let isSmall = word >> 16 != 0
        let size = isSmall ? Int(word >> 16) : Int(number(at + 4, 4))
        let start = at + (isSmall ? 4 : 8)
        guard let type = Kind(rawValue: UInt32(isSmall ? word & 0xffff : word)), !isSmall || size <= 4,
            size <= bytes.endIndex - start
        else { throw MATLABDamage() }
        // All but compressed ones are filled up to whole eights; at the very end, some writers leave that out.
        let padded = isSmall ? 4 : type == .compressed ? size : (size + 7) / 8 * 8
        at = min(start + padded, bytes.endIndex)
        return (type, bytes[start..<start + size])
    }

    /// The size that the tag at the beginning says; nil where it is another type's, or incomplete.
    func wholeSize(of type: Kind) -> Int? {
        guard bytes.count == 8, number(at, 4) == UInt64(type.rawValue) else { return nil }
        return Int(number(at + 4, 4))
    }

    /// A number of some bytes in the file's order.
    func number(_ position: Int, _ size: Int) -> UInt64 {
        (0..<size).reduce(0) { $0 << 8 | UInt64(bytes[position + (isLittle ? size - 1 - $1 : $1)]) }
    }
}

/// A matrix's head: what it is, how large, what it is called; and then its numbers.
struct MATLABMatrix {
    let name: String
    private let isNumeric: Bool
    private let dimensions: [Int]
    private var rest: MATLABElements
    private let isLittle: Bool

    /// - Parameter content: of the element; what is behind the name may be missing.
    init(_ content: ArraySlice<UInt8>, isLittle: Bool) throws {
        self.isLittle = isLittle
        rest = MATLABElements(content, isLittle: isLittle)
        guard let flags = try rest.next(), flags.type == .uint32, flags.data.count == 8,
            let sizes = try rest.next(), sizes.type == .int32, sizes.data.count % 4 == 0,
            let name = try rest.next(), name.type == .int8
        else { throw MATLABDamage() }
        let word = MATLABElements(flags.data, isLittle: isLittle).number(flags.data.startIndex, 4)
        // The classes from 6 (double) to 15 (uint64) are numbers; bit 11 says that they are complex.
        isNumeric = (6...15).contains(word & 0xff) && word & 0x800 == 0
        let reader = MATLABElements(sizes.data, isLittle: isLittle)
        dimensions = stride(from: sizes.data.startIndex, to: sizes.data.endIndex, by: 4).map {
            Int(Int32(truncatingIfNeeded: reader.number($0, 4)))
        }
        self.name = String(decoding: name.data, as: UTF8.self)
    }

    /// The numbers, row after row.
    ///
    /// - Throws: `UserError` that begins with `path`, or `MATLABDamage`.
    func values(_ path: String, limits: ImageLimits) throws -> IntegerMatrix {
        guard isNumeric, dimensions.count == 2 else { throw UserError("\(path): '\(name)' is no matrix of numbers") }
        let (rows, columns) = (dimensions[0], dimensions[1])
        try limits.check(width: columns, height: rows, name: path)
        var rest = rest
        guard let numbers = try rest.next() else { throw MATLABDamage() }
        let read = try Self.reader(of: numbers.type)
        guard numbers.data.count == rows * columns * read.size else { throw MATLABDamage() }
        let reader = MATLABElements(numbers.data, isLittle: isLittle)
        var values = [UInt16](repeating: 0, count: rows * columns)
        var position = numbers.data.startIndex
        for column in 0..<columns {
            for row in 0..<rows {
                guard let value = read.convert(reader.number(position, read.size)) else {
                    throw UserError("\(path): '\(name)' has a value that is no whole number from 0 to 65535")
                }
                values[row * columns + column] = value
                position += read.size
            }
        }
        return IntegerMatrix(width: columns, height: rows, values: values)
    }

    /// MATLAB stores a matrix in the smallest type that holds its numbers, whatever its class is.
    private static func reader(of type: MATLABElements.Kind) throws -> (size: Int, convert: (UInt64) -> UInt16?) {
        switch type {
        case .int8: (1, { UInt16(exactly: Int8(truncatingIfNeeded: $0)) })
        case .uint8: (1, { UInt16(exactly: $0) })
        case .int16: (2, { UInt16(exactly: Int16(truncatingIfNeeded: $0)) })
        case .uint16: (2, { UInt16(exactly: $0) })
        case .int32: (4, { UInt16(exactly: Int32(truncatingIfNeeded: $0)) })
        case .uint32: (4, { UInt16(exactly: $0) })
        case .int64: (8, { UInt16(exactly: Int64(bitPattern: $0)) })
        case .uint64: (8, { UInt16(exactly: $0) })
        case .single: (4, { UInt16(exactly: Float(bitPattern: UInt32(truncatingIfNeeded: $0))) })
        case .double: (8, { UInt16(exactly: Double(bitPattern: $0)) })
        case .matrix, .compressed, .utf8, .utf16, .utf32: throw MATLABDamage()
        }
    }
}
