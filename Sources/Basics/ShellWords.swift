import Foundation

/// Splits a command line into words as a shell does, without expanding anything: blanks separate, quotes keep together,
/// a backslash takes the next character as it is (within double quotes before `"` and `\` only).
///
/// - Throws: `UserError` for a quote that is not closed or a backslash at the end.
public func shellWords(_ text: String) throws -> [String] {
    var words: [String] = []
    var word: String?
    var quote: Character?
    var characters = text[...]
    while let character = characters.popFirst() {
        switch (character, quote) {
        case ("\\", nil), ("\\", "\""):
            guard let next = characters.popFirst() else {
                throw UserError("'\(text)' ends with a backslash; write \\\\ for one")
            }
            if quote != nil, next != "\"", next != "\\" { word = (word ?? "") + "\\" }
            word = (word ?? "") + String(next)
        case (let mark, let open?) where mark == open: quote = nil
        case ("'", nil), ("\"", nil):
            quote = character
            // Quotes around nothing are a word, too.
            word = word ?? ""
        case (let blank, nil) where blank.isWhitespace:
            if let finished = word { words.append(finished) }
            word = nil
        default: word = (word ?? "") + String(character)
        }
    }
    guard quote == nil else { throw UserError("'\(text)' has a quote that is not closed") }
    if let word { words.append(word) }
    return words
}

/// A word as a shell reads it back.
public func shellWord(_ text: String) -> String {
    let isPlain = !text.isEmpty && text.allSatisfy { $0.isLetter || $0.isNumber || "/._-".contains($0) }
    return isPlain ? text : "'" + text.replacingOccurrences(of: "'", with: "'\\''") + "'"
}
