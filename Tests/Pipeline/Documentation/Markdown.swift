import Foundation

/// A command that a page of documentation tells its reader to type.
struct DocumentedCommand: Equatable, CustomStringConvertible {
    /// The page's path from the repository's root.
    var page: String
    /// The line that it begins in, from 1.
    var line: Int
    /// On one line, without its comment.
    var text: String

    var description: String { "\(page):\(line): \(text)" }
}

/// What a page of documentation says that can be checked.
struct Markdown {
    /// Of all blocks marked `sh`, in their order.
    private(set) var commands: [DocumentedCommand] = []
    /// Code between backquotes, outside of blocks, with its line.
    private(set) var spans: [(line: Int, text: String)] = []
    /// Targets of links and pictures, with their line.
    private(set) var links: [(line: Int, target: String)] = []

    /// - Throws: `Trouble` that names the line: of a block that is never closed, or of commands that stand where no test finds
    ///   them, in a block that is marked otherwise or not at all.
    init(_ text: String, page: String) throws {
        var fence: (language: Substring, line: Int)?
        var begun: DocumentedCommand?
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let number = index + 1
            if line.hasPrefix("```") {
                fence = fence == nil ? (line.dropFirst(3), number) : nil
                continue
            }
            guard let fence else {
                if line.hasPrefix("    "), Self.isCommand(line) { throw Self.hidden(page, number) }
                readProse(line, number)
                continue
            }
            guard fence.language == "sh" else {
                if Self.isCommand(line) { throw Self.hidden(page, number) }
                continue
            }
            var part = Self.withoutComment(line).trimmingCharacters(in: .whitespaces)
            let goesOn = part.hasSuffix("\\")
            if goesOn { part = part.dropLast().trimmingCharacters(in: .whitespaces) }
            if begun == nil, part.isEmpty { continue }
            var command = begun ?? DocumentedCommand(page: page, line: number, text: "")
            command.text += command.text.isEmpty ? part : " " + part
            begun = goesOn ? command : nil
            if !goesOn { commands.append(command) }
        }
        if let fence { throw Trouble("\(page):\(fence.line): this block is never closed") }
        if let begun { throw Trouble("\(begun): goes on behind its block") }
    }

    private static func hidden(_ page: String, _ line: Int) -> Trouble {
        Trouble("\(page):\(line): a command outside of a block marked 'sh' is not tested")
    }

    /// Whether a line of a block is one to be typed.
    private static func isCommand(_ line: Substring) -> Bool {
        let words = line.split(separator: " ")
        guard let first = words.first else { return false }
        // In a drawing 'picoflow' is a name.
        let isOurs = first == "picoflow" && words.dropFirst().first?.allSatisfy { $0.isLowercase || $0 == "-" } == true
        return isOurs || first.hasPrefix("tools/") || first == "python3" || first == "$"
    }

    /// A comment begins with a `#` behind white space that no quotes hold.
    private static func withoutComment(_ line: Substring) -> String {
        var quote: Character?
        var previous: Character = " "
        var kept = ""
        for character in line {
            if let open = quote {
                if character == open { quote = nil }
            } else if character == "'" || character == "\"" {
                quote = character
            } else if character == "#", previous.isWhitespace {
                break
            }
            kept.append(character)
            previous = character
        }
        return kept
    }

    private mutating func readProse(_ line: Substring, _ number: Int) {
        let parts = line.split(separator: "`", omittingEmptySubsequences: false)
        for index in stride(from: 1, to: parts.count - 1, by: 2) { spans.append((number, String(parts[index]))) }
        // [text](target), also around a picture.
        for part in line.components(separatedBy: "](").dropFirst() {
            if let end = part.firstIndex(of: ")") { links.append((number, String(part[..<end]))) }
        }
    }
}
