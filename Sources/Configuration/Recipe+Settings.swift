extension Recipe {
    /// A key and what this recipe has for it.
    public struct Setting: Sendable, Equatable {
        /// Dotted: `schedule.iterations`.
        public var key: String
        public var shape: ValueShape
        /// As YAML.
        public var value: String
        /// Whether it is the value that the key has where no recipe says anything.
        public var isDefault: Bool
    }

    /// Every key with its value, in the order of `yaml()`.
    public var settings: [Setting] {
        zip(Recipe.fields.flatMap { $0.describe("", self) }, Recipe.keys).map { own, standard in
            Setting(
                key: own.path, shape: own.shape, value: own.defaultValue,
                isDefault: own.defaultValue == standard.defaultValue)
        }
    }
}
