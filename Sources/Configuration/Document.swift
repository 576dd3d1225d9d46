import Basics
import Foundation
import Yams

/// One YAML file, or one `--set`, as the mapping it must be; the nodes know their lines.
struct Document {
    /// The file's path or the option's text, as messages name it.
    let origin: Place
    let root: Node.Mapping

    /// Reads a file.
    ///
    /// - Throws: `UserError` with file and line where the file cannot be read, is no YAML, has a key twice or is no mapping.
    static func load(_ path: String) throws -> Document {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw UserError("\(path): cannot read it: \(reason(of: error))")
        }
        guard let text = String(data: data, encoding: .utf8) else {
            throw UserError("\(path): not a text file in UTF-8")
        }
        return try parse(text, origin: .file(path, line: nil))
    }

    static func parse(_ text: String, origin: Place) throws -> Document {
        guard let node = try compose(text, origin: origin) else {
            throw UserError("\(origin): empty; a mapping of keys to values was expected")
        }
        guard let root = node.mapping else {
            throw UserError("\(origin.at(node.mark)): a mapping of keys to values was expected, not \(describe(node))")
        }
        return Document(origin: origin, root: root)
    }

    /// The document that `KEY=VALUE` stands for: `schedule.batch=4` becomes `{schedule: {batch: 4}}`.
    static func override(_ text: String, option: String = "--set") throws -> Document {
        let origin = Place.option("\(option) \(text)")
        guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
            throw UserError("\(origin): KEY=VALUE was expected")
        }
        let value = try compose(String(text[text.index(after: equals)...]), origin: origin) ?? Node("")
        let keys = text[..<equals].split(separator: ".", omittingEmptySubsequences: false)
        let node = keys.reversed().reduce(value) { inner, key in Node([(Node(String(key)), inner)]) }
        return Document(origin: origin, root: node.mapping ?? [:])
    }

    /// The place of a node of this document.
    func place(of node: Node) -> Place { origin.at(node.mark) }

    private static func compose(_ text: String, origin: Place) throws -> Node? {
        do {
            return try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw UserError(message(for: error, origin: origin))
        }
    }

    private static func message(for error: YamlError, origin: Place) -> String {
        switch error {
        case .scanner(let context, let problem, let mark, _),
            .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let context = context.map { "\($0.text) " } ?? ""
            return "\(origin.at(mark)): not YAML: \(context)\(problem)"
        case .duplicatedKeysInMapping(let keys, let context):
            return "\(origin.at(context.mark)): key '\(keys.first ?? "")' stands more than once in its mapping"
        case .reader(let problem, _, _, _):
            return "\(origin): not YAML: \(problem)"
        default:
            return "\(origin): not YAML: \(oneLine("\(error)"))"
        }
    }

    private static func reason(of error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        if let posix = underlying, posix.domain == NSPOSIXErrorDomain {
            return String(cString: strerror(Int32(posix.code)))
        }
        return oneLine(error.localizedDescription)
    }
}

extension Place {
    /// The line of `mark` in this file; an option has no lines.
    func at(_ mark: Mark?) -> Place {
        if case .file(let path, _) = self { return .file(path, line: mark?.line) }
        return self
    }
}

/// How messages quote a value: `'semi'`, `[6, twelve]`, `a mapping`, `nothing`. Always one short line.
func describe(_ node: Node) -> String {
    switch node {
    case .scalar(let scalar):
        return scalar.isNull ? "nothing" : "'\(oneLine(scalar.string))'"
    case .sequence(let sequence):
        let items = sequence.prefix(8).map { $0.scalar.map { oneLine($0.string) } ?? "…" }
        return "[" + items.joined(separator: ", ") + (sequence.count > 8 ? ", …]" : "]")
    case .mapping:
        return "a mapping"
    case .alias:
        return "an alias"
    }
}

func oneLine(_ text: String) -> String {
    let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
    return line.count > 60 ? line.prefix(59) + "…" : line
}
