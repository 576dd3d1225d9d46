import Basics
import Foundation
import Imaging
import Yams

/// The YAML file of a folder dataset, read strictly: unknown keys and wrong types are errors with their line.
struct FolderDescription {
    struct Split {
        var name: String
        var images: String
        var labels: String?
        /// A file with the names of the split's samples, a line each; all of the folders' where nil.
        var list: String?
        var line: Int
    }

    var classes: [ClassInfo]
    var mapping: LabelMapping
    var splits: [Split]

    init(contentsOf path: String) throws {
        let bytes = try ImageFile.readBytes(path)
        guard bytes.count <= 1 << 20 else { throw UserError("\(path): a description has at most 1 MiB") }
        guard let text = String(bytes: bytes.array(of: UInt8.self), encoding: .utf8) else {
            throw UserError("\(path): is not UTF-8 text")
        }
        try self.init(text: text, path: path)
    }

    init(text: String, path: String) throws {
        let document: Node?
        do {
            document = try Yams.compose(yaml: text)
        } catch {
            let reason = "\(error)".split(separator: "\n").first.map(String.init) ?? "not YAML"
            throw UserError("\(path): \(reason)")
        }
        guard let document else { throw UserError("\(path): is empty; 'classes' and 'splits' are expected") }
        let reader = NodeReader(path: path)
        let top = try reader.mapping(document, "the description", keys: ["classes", "ignore", "labels", "splits"])
        classes = try Self.classes(try reader.required("classes", in: top, of: document), reader)
        mapping = try Self.mapping(top["labels"], ignore: top["ignore"], classes: classes, reader)
        splits = try Self.splits(try reader.required("splits", in: top, of: document), reader)
    }

    private static func classes(_ node: Node, _ reader: NodeReader) throws -> [ClassInfo] {
        let items = try reader.list(node, "classes")
        guard (1...LabelMapping.mostClasses).contains(items.count) else {
            throw reader.error(node, "classes: 1 to \(LabelMapping.mostClasses) are possible, not \(items.count)")
        }
        let colors = Palette.generated(items.count)
        var classes: [ClassInfo] = []
        for (index, item) in items.enumerated() {
            var info = ClassInfo(name: "", color: colors[index])
            if item.scalar != nil {
                info.name = try reader.text(item, "a class")
            } else {
                let keys = try reader.mapping(item, "a class", keys: ["name", "color"])
                info.name = try reader.text(try reader.required("name", in: keys, of: item), "name")
                if let color = keys["color"] {
                    let channels = try reader.list(color, "color").map { try reader.byte($0, "color") }
                    guard channels.count == 3 else {
                        throw reader.error(color, "color: [red, green, blue] is expected")
                    }
                    info.color = RGB8(channels[0], channels[1], channels[2])
                }
            }
            if classes.contains(where: { $0.name == info.name }) || info.name == "ignore" {
                throw reader.error(item, "class name '\(info.name)' is taken")
            }
            classes.append(info)
        }
        return classes
    }

    private static func mapping(
        _ labels: Node?, ignore: Node?, classes: [ClassInfo], _ reader: NodeReader
    ) throws -> LabelMapping {
        var ignored: [UInt8] = [IgnoreLabel.value]
        if let ignore {
            let items = ignore.scalar == nil ? try reader.list(ignore, "ignore") : [ignore]
            ignored = try items.map { try reader.byte($0, "ignore") }
        }
        guard let labels else {
            for value in ignored where value < classes.count {
                throw reader.error(
                    ignore!,
                    "ignore: \(value) is the number of class '\(classes[Int(value)].name)'; "
                        + "where files use other numbers, say so under 'labels'")
            }
            return LabelMapping(classes: classes.count, ignored: ignored)
        }
        var values: [Int: UInt8?] = [:]
        for (key, value) in try reader.entries(labels, "labels") {
            let raw = Int(try reader.byte(key, "labels: a file value"))
            let meaning = try reader.text(value, "labels: a class or 'ignore'")
            let named = classes.firstIndex { $0.name == meaning }
            let placed = Int(meaning).flatMap { classes.indices.contains($0) ? $0 : nil }
            if let named, let placed, named != placed {
                throw reader.error(
                    value,
                    "labels: '\(meaning)' is the name of the class at place \(named) and the place of class "
                        + "'\(classes[placed].name)'; give the classes names that are no numbers")
            }
            if meaning == "ignore" {
                values[raw] = .some(nil)
            } else if let index = named ?? placed {
                values[raw] = .some(UInt8(index))
            } else {
                let near = suggestion(for: meaning, among: classes.map(\.name))
                throw reader.error(value, "labels: there is no class '\(meaning)'\(near)")
            }
        }
        for value in ignored.map(Int.init) {
            // 255 where nothing is written yields to 'labels': masks may have it for a class.
            if let ignore, case .some(.some(let index)) = values[value] {
                throw reader.error(
                    ignore,
                    "ignore: \(value) is class '\(classes[Int(index)].name)' under 'labels'; write '\(value): ignore' there"
                )
            }
            if values[value] == nil { values[value] = .some(nil) }
        }
        return LabelMapping(classes: classes.count, values: values)
    }

    private static func splits(_ node: Node, _ reader: NodeReader) throws -> [Split] {
        let splits = try reader.entries(node, "splits").map { key, value in
            let keys = try reader.mapping(value, "a split", keys: ["images", "labels", "list"])
            return Split(
                name: try reader.text(key, "a split's name"),
                images: try reader.text(try reader.required("images", in: keys, of: value), "images"),
                labels: try keys["labels"].map { try reader.text($0, "labels") },
                list: try keys["list"].map { try reader.text($0, "list") },
                line: key.mark?.line ?? 1)
        }
        guard !splits.isEmpty else { throw reader.error(node, "splits: at least one is expected") }
        return splits
    }
}

/// Typed access to YAML nodes with messages that begin `file:line:`.
private struct NodeReader {
    let path: String

    func error(_ node: Node, _ message: String) -> UserError {
        UserError("\(path):\(node.mark?.line ?? 1): \(message)")
    }

    func entries(_ node: Node, _ what: String) throws -> [(key: Node, value: Node)] {
        guard let mapping = node.mapping else { throw error(node, "\(what): 'key: value' lines are expected") }
        return mapping.map { ($0.key, $0.value) }
    }

    /// The entries by name, all of which must be among `keys`.
    func mapping(_ node: Node, _ what: String, keys: [String]) throws -> [String: Node] {
        var found: [String: Node] = [:]
        for (key, value) in try entries(node, what) {
            let name = try text(key, "a key")
            guard keys.contains(name) else {
                throw error(
                    key,
                    "unknown key '\(name)' (known: \(keys.joined(separator: ", ")))"
                        + suggestion(for: name, among: keys))
            }
            found[name] = value
        }
        return found
    }

    func required(_ key: String, in found: [String: Node], of node: Node) throws -> Node {
        guard let value = found[key] else { throw error(node, "key '\(key)' is missing") }
        return value
    }

    func list(_ node: Node, _ what: String) throws -> [Node] {
        guard let sequence = node.sequence else { throw error(node, "\(what): a list is expected") }
        return Array(sequence)
    }

    func text(_ node: Node, _ what: String) throws -> String {
        guard let scalar = node.scalar, !scalar.string.isEmpty else { throw error(node, "\(what): a text is expected") }
        return scalar.string
    }

    func byte(_ node: Node, _ what: String) throws -> UInt8 {
        let text = node.scalar?.string ?? "?"
        guard let value = UInt8(text) else { throw error(node, "\(what): '\(text)' is not a number from 0 to 255") }
        return value
    }
}
