import Basics
import Yams

/// Applies documents to a struct, one after the other, and remembers where each key was last written.
struct Reader {
    private(set) var document: Document
    /// Every key there is, dotted: where an unknown key is sought beyond its own section.
    private let allKeys: [String]
    /// Keys that stand at the top besides the table's (`parts`), for suggestions.
    private let otherKeys: [String]
    private var written: [String: (order: Int, place: Place)] = [:]
    private var writes = 0

    init(document: Document, allKeys: [String], otherKeys: [String] = []) {
        self.document = document
        self.allKeys = allKeys
        self.otherKeys = otherKeys
    }

    /// Goes on with another document, which overrides what the earlier ones said.
    mutating func proceed(to document: Document) { self.document = document }

    mutating func note(_ key: String, _ place: Place) {
        writes += 1
        written[key] = (writes, place)
    }

    /// Where one of these keys was written last; nil where all have their defaults.
    func place(of keys: [String]) -> Place? {
        keys.compactMap { written[$0] }.max { $0.order < $1.order }?.place
    }

    /// The keys written so far, each with its place.
    var places: [String: Place] { written.mapValues(\.place) }

    /// Sets the members of `root` that the mapping names.
    ///
    /// - Throws: `UserError` for the first key that is unknown, ill-typed or out of range.
    mutating func read<Root: Configurable>(_ mapping: Node.Mapping, into root: inout Root, prefix: String = "") throws {
        for (key, value) in mapping {
            let place = document.place(of: key)
            guard let name = key.scalar?.string else {
                throw UserError("\(place): a key must be text, not \(describe(key))")
            }
            guard let field = Root.fields.first(where: { $0.key == name }) else {
                throw UserError(
                    "\(place): unknown key '\(prefix)\(oneLine(name))'" + hint(name, Root.fields.map(\.key), prefix))
            }
            try field.read(value, prefix + name, place, &self, &root)
        }
    }

    /// The same key elsewhere beats a similar one here, which beats a similar one elsewhere (short names are
    /// similar to too many).
    private func hint(_ name: String, _ siblings: [String], _ prefix: String) -> String {
        let last = { (path: String) in path.split(separator: ".").last.map(String.init) ?? path }
        let here = siblings + (prefix.isEmpty ? otherKeys : [])
        let found =
            allKeys.first { last($0) == name }
            ?? nearestName(to: name, among: here).map { prefix + $0 }
            ?? nearestName(to: name, among: name.count < 5 ? [] : allKeys.map(last)).flatMap { near in
                allKeys.first { last($0) == near }
            }
        if let found { return "; did you mean '\(found)'?" }
        return "; the keys here are \(here.joined(separator: ", "))"
    }
}
