import Basics

/// One tensor as a safetensors header describes it.
struct SafetensorsEntry: Equatable {
    var dtype = ""
    var shape: [Int] = []
    /// Relative to the first byte after the header.
    var begin = 0
    var end = 0
}

/// The JSON at the start of a safetensors file.
///
/// A parser of our own, because what must be refused is what general ones accept: duplicate keys, numbers that are no
/// sizes, text that is no UTF-8, trailing bytes. The format knows only this grammar: an object of entries, each with
/// `dtype`, `shape` and `data_offsets`, and one `__metadata__` object of strings.
struct SafetensorsHeader {
    private(set) var entries: [(name: String, entry: SafetensorsEntry)] = []
    private(set) var metadata: [String: String] = [:]

    private var text: [UInt8]
    private var position = 0

    /// - Throws: `UserError` with what is wrong, without the file's name.
    init(parsing bytes: UnsafeRawBufferPointer) throws {
        text = Array(bytes)
        var names: Set<String> = []
        try object { parser, key in
            guard names.insert(key).inserted else { throw UserError("the header has '\(key)' twice") }
            if key == "__metadata__" {
                try parser.object { parser, key in
                    guard parser.metadata.updateValue(try parser.string(), forKey: key) == nil else {
                        throw UserError("the header's metadata has '\(key)' twice")
                    }
                }
            } else {
                parser.entries.append((key, try parser.entry(key)))
            }
        }
        skipSpace()
        // Writers pad with spaces to align the data; nothing else may follow.
        guard position == text.count else { throw malformed("the end") }
        text = []
    }

    private mutating func entry(_ name: String) throws -> SafetensorsEntry {
        var entry = SafetensorsEntry()
        var seen: Set<String> = []
        try object { parser, field in
            guard seen.insert(field).inserted else { throw UserError("the header's '\(name)' has '\(field)' twice") }
            switch field {
            case "dtype": entry.dtype = try parser.string()
            case "shape": entry.shape = try parser.sizes()
            case "data_offsets":
                let offsets = try parser.sizes()
                guard offsets.count == 2 else {
                    throw UserError("the header's '\(name)' has \(offsets.count) data offsets, not 2")
                }
                (entry.begin, entry.end) = (offsets[0], offsets[1])
            default: throw UserError("the header's '\(name)' has the unknown field '\(field)'")
            }
        }
        for field in ["dtype", "shape", "data_offsets"] where !seen.contains(field) {
            throw UserError("the header's '\(name)' has no '\(field)'")
        }
        return entry
    }

    // MARK: JSON

    private func malformed(_ expected: String) -> UserError {
        UserError("the header is no valid JSON at its byte \(position): \(expected) was expected")
    }

    private mutating func skipSpace() {
        while position < text.count, [0x20, 0x09, 0x0a, 0x0d].contains(text[position]) { position += 1 }
    }

    /// Skips space, then takes `byte` if it is next.
    private mutating func take(_ byte: Character) -> Bool {
        skipSpace()
        guard position < text.count, text[position] == byte.asciiValue else { return false }
        position += 1
        return true
    }

    private mutating func object(_ member: (inout SafetensorsHeader, String) throws -> Void) throws {
        guard take("{") else { throw malformed("'{'") }
        if take("}") { return }
        repeat {
            let key = try string()
            guard take(":") else { throw malformed("':'") }
            try member(&self, key)
        } while take(",")
        guard take("}") else { throw malformed("'}'") }
    }

    private mutating func sizes() throws -> [Int] {
        guard take("[") else { throw malformed("'['") }
        if take("]") { return [] }
        var values: [Int] = []
        repeat {
            skipSpace()
            let start = position
            while position < text.count, (0x30...0x39).contains(text[position]) { position += 1 }
            let digits = String(decoding: text[start..<position], as: UTF8.self)
            guard let value = Int(digits), digits == "0" || !digits.hasPrefix("0") else {
                position = start
                throw malformed("a size of at most 63 bits")
            }
            values.append(value)
        } while take(",")
        guard take("]") else { throw malformed("']'") }
        return values
    }

    private mutating func string() throws -> String {
        guard take("\"") else { throw malformed("a string") }
        var bytes: [UInt8] = []
        while position < text.count {
            let byte = text[position]
            position += 1
            switch byte {
            case 0x22:
                // Checks UTF-8 too: a decoder that repairs would let two broken names become one.
                guard let string = String(validating: bytes, as: UTF8.self) else {
                    throw UserError("the header has a string that is no UTF-8, before its byte \(position)")
                }
                return string
            case 0x5c: bytes.append(contentsOf: try escape().utf8)
            case 0..<0x20: throw malformed("no control character")
            default: bytes.append(byte)
            }
        }
        throw malformed("the end of a string")
    }

    private mutating func escape() throws -> String {
        guard position < text.count else { throw malformed("the rest of an escape") }
        let byte = text[position]
        position += 1
        switch Character(Unicode.Scalar(byte)) {
        case "\"": return "\""
        case "\\": return "\\"
        case "/": return "/"
        case "b": return "\u{8}"
        case "f": return "\u{c}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "u":
            let first = try codeUnit()
            guard UTF16.isLeadSurrogate(first) else {
                guard let scalar = Unicode.Scalar(first) else { throw malformed("a whole surrogate pair") }
                return String(Character(scalar))
            }
            guard position + 1 < text.count, text[position] == 0x5c, text[position + 1] == 0x75 else {
                throw malformed("a whole surrogate pair")
            }
            position += 2
            let second = try codeUnit()
            guard UTF16.isTrailSurrogate(second) else { throw malformed("a whole surrogate pair") }
            return String(decoding: [first, second], as: UTF16.self)
        default: throw malformed("a known escape")
        }
    }

    private mutating func codeUnit() throws -> UInt16 {
        guard position + 4 <= text.count else { throw malformed("four hexadecimal digits") }
        var value: UInt16 = 0
        for byte in text[position..<position + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw malformed("four hexadecimal digits")
            }
            value = value << 4 | UInt16(digit)
        }
        position += 4
        return value
    }
}
