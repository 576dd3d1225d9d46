import Basics
import Glibc
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
        let data = try readFile(path)
        // libyaml takes a byte order mark for a column.
        let text = data.starts(with: [0xef, 0xbb, 0xbf]) ? data.dropFirst(3) : data[...]
        guard let text = String(validating: text, as: UTF8.self) else {
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
    static func override(_ text: String) throws -> Document {
        let origin = Place.option("--set " + text.split(whereSeparator: \.isNewline).joined(separator: " "))
        guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
            throw UserError("\(origin): KEY=VALUE was expected")
        }
        let value = try compose(String(text[text.index(after: equals)...]), origin: origin) ?? Node("")
        let keys = text[..<equals].split(separator: ".", maxSplits: 4, omittingEmptySubsequences: false)
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

    /// The bytes of a file of at most 1 MiB; a larger one is no configuration.
    private static func readFile(_ path: String) throws -> [UInt8] {
        guard let file = fopen(path, "rb") else { throw DurableFile.systemError("cannot read", path) }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        guard ferror(file) == 0 else { throw DurableFile.systemError("cannot read", path) }
        guard count < bytes.count else { throw UserError("\(path): larger than 1 MiB, so not a configuration") }
        return Array(bytes[..<count])
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
