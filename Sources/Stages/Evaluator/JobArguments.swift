import Basics
import Tensors

/// `--name value` pairs and other words, as `picoflow` passes them on.
struct JobArguments {
    private var values: [String: [String]] = [:]
    /// The words that belong to no option; all behind `--` are such.
    private(set) var rest: [String] = []

    init(_ arguments: [String], options: [String]) throws {
        var words = arguments[...]
        while let word = words.popFirst() {
            if word == "--" {
                rest += words
                return
            }
            guard word.hasPrefix("--") else {
                rest.append(word)
                continue
            }
            guard options.contains(word) else {
                throw UserError("unknown option '\(word)'\(suggestion(for: word, among: options))")
            }
            guard let value = words.popFirst() else { throw UserError("\(word) needs a value") }
            values[word, default: []].append(value)
        }
    }

    /// The last value, where an option is repeated.
    subscript(name: String) -> String? { values[name]?.last }

    /// All values of an option that may be repeated, in their order.
    func all(_ name: String) -> [String] { values[name] ?? [] }

    func required(_ name: String) throws -> String {
        guard let value = self[name] else { throw UserError("\(name) is missing") }
        return value
    }

    /// An image's size in pixels; nil where the option is not given.
    ///
    /// - Throws: `UserError` for what is no `HEIGHTxWIDTH` whose sides are within the range.
    func size(_ name: String, sides range: ClosedRange<Int>) throws -> Size2D? {
        guard let text = self[name] else { return nil }
        let sides = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard sides.count == 2, let height = sides[0], let width = sides[1], range.contains(height),
            range.contains(width)
        else {
            throw UserError(
                "\(name) '\(text)' is no HEIGHTxWIDTH in pixels, each from \(range.lowerBound) to \(range.upperBound), for instance 360x480"
            )
        }
        return Size2D(height, width)
    }
}
