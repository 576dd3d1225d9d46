import Basics

extension Header {
    /// Reads frame 0. Unknown keys are passed over, so that a later version may add some; of a key that
    /// stands twice the first counts, as with Foundation.
    ///
    /// - Throws: `WireError.malformed` that names the key, or `WireError.unknownVersion` where the version differs,
    ///   whatever else the header then is.
    public init(frame: SharedBytes) throws {
        self = try frame.withUnsafeBytes { memory in
            var reader = JSONReader(memory)
            return try Header(&reader)
        }
    }

    private init(_ reader: inout JSONReader) throws {
        var version: Int?
        var type: String?
        var run: String?
        var sender: String?
        var incarnation: String?
        var epoch: UInt64?
        var sequence: UInt64?
        var tensors: [Tensor]?
        var ticket: UInt64?
        do {
            try reader.object { reader, key in
                switch key {
                case "version" where version == nil: version = try reader.integer(key)
                case "type" where type == nil: type = try reader.string(key)
                case "run" where run == nil: run = try reader.string(key)
                case "sender" where sender == nil: sender = try reader.string(key)
                case "incarnation" where incarnation == nil: incarnation = try reader.string(key)
                case "epoch" where epoch == nil: epoch = try reader.integer(key)
                case "sequence" where sequence == nil: sequence = try reader.integer(key)
                case "ticket" where ticket == nil: ticket = try reader.integer(key)
                case "tensors" where tensors == nil:
                    var all: [Tensor] = []
                    try reader.array { reader in all.append(try Tensor(&reader)) }
                    tensors = all
                default: try reader.skip()
                }
            }
            try reader.end()
        } catch {
            // What another version means by its keys is not ours to judge.
            if let version, version != Header.currentVersion { throw WireError.unknownVersion(version) }
            throw error
        }
        guard let version else { throw WireError.malformed("header lacks 'version'") }
        guard version == Header.currentVersion else { throw WireError.unknownVersion(version) }
        guard let type else { throw WireError.malformed("header lacks 'type'") }
        guard let run else { throw WireError.malformed("header lacks 'run'") }
        guard let sender else { throw WireError.malformed("header lacks 'sender'") }
        guard let incarnation else { throw WireError.malformed("header lacks 'incarnation'") }
        guard let epoch else { throw WireError.malformed("header lacks 'epoch'") }
        guard let sequence else { throw WireError.malformed("header lacks 'sequence'") }
        guard let tensors else { throw WireError.malformed("header lacks 'tensors'") }
        self.init(
            version: version, type: type, run: run, sender: sender, incarnation: Incarnation(rawValue: incarnation),
            epoch: Epoch(epoch), sequence: sequence, tensors: tensors, ticket: ticket.map { TicketID($0) })
    }
}

extension Header.Tensor {
    fileprivate init(_ reader: inout JSONReader) throws {
        var name: String?
        var dtype: WireDType?
        var shape: [Int]?
        var bytes: Int?
        try reader.object { reader, key in
            switch key {
            case "name" where name == nil: name = try reader.string(key)
            case "dtype" where dtype == nil:
                let text = try reader.string(key)
                guard let known = WireDType(rawValue: text) else {
                    throw WireError.malformed("unknown dtype '\(text)'")
                }
                dtype = known
            case "shape" where shape == nil:
                var all: [Int] = []
                try reader.array { reader in all.append(try reader.integer("shape")) }
                shape = all
            case "bytes" where bytes == nil: bytes = try reader.integer(key)
            default: try reader.skip()
            }
        }
        guard let name, let dtype, let shape, let bytes else {
            throw WireError.malformed("a tensor needs name, dtype, shape and bytes")
        }
        self.init(name: name, dtype: dtype, shape: shape, bytes: bytes)
    }
}

/// Reads JSON (RFC 8259) from memory that a stranger may have written: one value at a time, nothing allocated that
/// is not asked for, nested at most 16 deep.
private struct JSONReader {
    private let memory: UnsafeRawBufferPointer
    private var position = 0
    private var depth = 0

    init(_ memory: UnsafeRawBufferPointer) { self.memory = memory }

    private func malformed(_ what: String) -> WireError {
        .malformed("header is no valid JSON: \(what) at byte \(position)")
    }

    /// The next byte that is no space, not consumed; 0 at the end.
    private mutating func peek() -> UInt8 {
        while position < memory.count {
            switch memory[position] {
            case 0x20, 0x09, 0x0a, 0x0d: position += 1
            case let byte: return byte
            }
        }
        return 0
    }

    private mutating func expect(_ byte: Unicode.Scalar) throws {
        guard peek() == UInt8(ascii: byte) else { throw malformed("expected '\(byte)'") }
        position += 1
    }

    mutating func end() throws {
        _ = peek()
        guard position == memory.count else { throw malformed("something follows") }
    }

    private mutating func enter() throws {
        depth += 1
        guard depth <= 16 else { throw malformed("nested too deeply") }
    }

    mutating func object(_ member: (inout JSONReader, String) throws -> Void) throws {
        try enter()
        defer { depth -= 1 }
        try expect("{")
        if peek() == UInt8(ascii: "}") {
            position += 1
            return
        }
        while true {
            let key = try string("key")
            try expect(":")
            try member(&self, key)
            if peek() == UInt8(ascii: ",") {
                position += 1
                continue
            }
            return try expect("}")
        }
    }

    mutating func array(_ element: (inout JSONReader) throws -> Void) throws {
        try enter()
        defer { depth -= 1 }
        try expect("[")
        if peek() == UInt8(ascii: "]") {
            position += 1
            return
        }
        while true {
            try element(&self)
            if peek() == UInt8(ascii: ",") {
                position += 1
                continue
            }
            return try expect("]")
        }
    }

    /// A whole number that fits; `1.0` and `1e3` are none here.
    mutating func integer<Number: FixedWidthInteger>(_ key: String) throws -> Number {
        let negative = peek() == UInt8(ascii: "-")
        if negative { position += 1 }
        let start = position
        var value: Number = 0
        while position < memory.count, case let digit = memory[position] &- 0x30, digit < 10 {
            let (product, overflowed) = value.multipliedReportingOverflow(by: 10)
            let (sum, over) =
                negative
                ? product.subtractingReportingOverflow(Number(digit)) : product.addingReportingOverflow(Number(digit))
            guard !overflowed, !over else { throw malformed("'\(key)' is out of range") }
            value = sum
            position += 1
        }
        guard position > start else { throw malformed("'\(key)' is no whole number") }
        guard position - start == 1 || memory[start] != 0x30 else { throw malformed("'\(key)' begins with 0") }
        if position < memory.count,
            [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(memory[position])
        {
            throw malformed("'\(key)' is no whole number")
        }
        return value
    }

    mutating func string(_ key: String) throws -> String {
        guard peek() == UInt8(ascii: "\"") else { throw malformed("'\(key)' is no string") }
        position += 1
        let start = position
        while position < memory.count {
            let byte = memory[position]
            if byte == UInt8(ascii: "\"") {
                let text = String(validating: memory[start..<position], as: UTF8.self)
                guard let text else { throw malformed("'\(key)' is no UTF-8") }
                position += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(key, from: start) }
            guard byte >= 0x20 else { throw malformed("control byte in '\(key)'") }
            position += 1
        }
        throw malformed("'\(key)' does not end")
    }

    /// The rest of a string whose first backslash stands at `position`.
    private mutating func escapedString(_ key: String, from start: Int) throws -> String {
        var bytes = Array(memory[start..<position])
        while position < memory.count {
            let byte = memory[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: bytes, as: UTF8.self) else {
                    throw malformed("'\(key)' is no UTF-8")
                }
                return text
            case UInt8(ascii: "\\"):
                guard position < memory.count else { break }
                let escaped = memory[position]
                position += 1
                switch escaped {
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(escaped)
                case UInt8(ascii: "b"): bytes.append(0x08)
                case UInt8(ascii: "f"): bytes.append(0x0c)
                case UInt8(ascii: "n"): bytes.append(0x0a)
                case UInt8(ascii: "r"): bytes.append(0x0d)
                case UInt8(ascii: "t"): bytes.append(0x09)
                case UInt8(ascii: "u"):
                    var code = UInt32(try hexadecimal())
                    if (0xd800..<0xdc00).contains(code) {
                        guard position + 1 < memory.count, memory[position] == UInt8(ascii: "\\"),
                            memory[position + 1] == UInt8(ascii: "u")
                        else { throw malformed("half a surrogate pair in '\(key)'") }
                        position += 2
                        let low = UInt32(try hexadecimal())
                        guard (0xdc00..<0xe000).contains(low) else {
                            throw malformed("half a surrogate pair in '\(key)'")
                        }
                        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
                    }
                    guard let scalar = Unicode.Scalar(code) else {
                        throw malformed("half a surrogate pair in '\(key)'")
                    }
                    bytes.append(contentsOf: UTF8.encode(scalar)!)
                default: throw malformed("unknown escape in '\(key)'")
                }
            case 0..<0x20: throw malformed("control byte in '\(key)'")
            default: bytes.append(byte)
            }
        }
        throw malformed("'\(key)' does not end")
    }

    private mutating func hexadecimal() throws -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard position < memory.count, let digit = Character(Unicode.Scalar(memory[position])).hexDigitValue,
                memory[position] < 0x80
            else { throw malformed("four hexadecimal digits expected") }
            value = value << 4 | UInt16(digit)
            position += 1
        }
        return value
    }

    /// Passes over a value of any kind.
    mutating func skip() throws {
        switch peek() {
        case UInt8(ascii: "{"): try object { reader, _ in try reader.skip() }
        case UInt8(ascii: "["): try array { reader in try reader.skip() }
        case UInt8(ascii: "\""): _ = try string("value")
        case UInt8(ascii: "t"): try word("true")
        case UInt8(ascii: "f"): try word("false")
        case UInt8(ascii: "n"): try word("null")
        default: try skipNumber()
        }
    }

    private mutating func word(_ text: StaticString) throws {
        let matches = text.withUTF8Buffer { text in
            position + text.count <= memory.count && memory[position..<position + text.count].elementsEqual(text)
        }
        guard matches else { throw malformed("unknown word") }
        position += text.utf8CodeUnitCount
    }

    private mutating func skipNumber() throws {
        let start = position
        while position < memory.count {
            switch memory[position] {
            case 0x30...0x39, UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"),
                UInt8(ascii: "E"):
                position += 1
                continue
            default: break
            }
            break
        }
        let text = String(decoding: memory[start..<position], as: UTF8.self)
        guard Double(text) != nil else { throw malformed("no value") }
    }
}
