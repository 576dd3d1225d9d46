/// A key as a terminal sends it in raw mode.
enum TerminalKey: Equatable {
    case character(Character)
    case enter, escape, backspace, up, down
    /// Ctrl-C and Ctrl-Z, which are only bytes in raw mode.
    case interrupt, suspend

    /// The keys in what one read gave; escape sequences that mean nothing here are passed over.
    static func parse(_ bytes: [UInt8]) -> [TerminalKey] {
        var keys: [TerminalKey] = []
        var rest = String(decoding: bytes, as: UTF8.self).unicodeScalars[...]
        while let scalar = rest.popFirst() {
            switch scalar.value {
            case 3, 4: keys.append(.interrupt)
            case 26: keys.append(.suspend)
            case 10, 13: keys.append(.enter)
            case 8, 127: keys.append(.backspace)
            case 27:
                // CSI and SS3 sequences end with a byte from @ on; an escape alone is the key.
                guard let opener = rest.first, opener == "[" || opener == "O" else {
                    keys.append(.escape)
                    continue
                }
                rest.removeFirst()
                var last: Unicode.Scalar?
                while let next = rest.popFirst() {
                    last = next
                    if (0x40...0x7e).contains(next.value) { break }
                }
                if last == "A" { keys.append(.up) }
                if last == "B" { keys.append(.down) }
            case 0..<32: break
            default: keys.append(.character(Character(scalar)))
            }
        }
        return keys
    }
}
