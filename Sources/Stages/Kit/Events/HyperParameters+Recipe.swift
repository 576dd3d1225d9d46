import Configuration

extension HyperParameters {
    /// A recipe's keys, lists as text; those that are null are left out.
    public init(_ recipe: Recipe, results: [String]) {
        self.init(
            recipe.settings.compactMap { setting in
                Value(setting.value, setting.shape).map { (name: setting.key, value: $0) }
            }, results: results)
    }
}

extension HyperParameters.Value {
    /// - Parameter yaml: one line; quotes of a text are not part of it.
    fileprivate init?(_ yaml: String, _ shape: ValueShape) {
        switch shape {
        case .optional(let inner):
            guard yaml != "null" else { return nil }
            self.init(yaml, inner)
        case .boolean: self = .flag(yaml == "true")
        case .integer, .natural, .number: self = Double(yaml).map { .number($0) } ?? .text(yaml)
        default: self = .text(yaml.hasPrefix("\"") ? String(yaml.dropFirst().dropLast()) : yaml)
        }
    }
}
