import Configuration

/// Whether networks can be built: what `picoflow` asks `picoflow-evaluator networks`, which links libtorch, on its standard input,
/// as a JSON list.
public struct NetworkQuestion: Codable, Sendable, Hashable {
    public var model: ModelSettings
    public var classes: Int
    /// Whether it gets a projection head.
    public var projecting: Bool

    public init(model: ModelSettings, classes: Int, projecting: Bool) {
        self.model = model
        self.classes = classes
        self.projecting = projecting
    }
}

/// The answer to each question, in their order, as a JSON list on standard output.
public struct NetworkAnswer: Codable, Sendable, Equatable {
    /// Trained values without the projection head's; nil where it cannot be built.
    public var parameters: Int?
    /// Why not.
    public var error: String?

    public init(parameters: Int? = nil, error: String? = nil) {
        self.parameters = parameters
        self.error = error
    }
}
