/// What a stage executable does. There is one executable per kind, `picoflow-KIND`.
public enum StageKind: String, Codable, CaseIterable, Hashable, Sendable {
    case loader, compute, bank, miner, evaluator

    /// The executable's file name; it lies beside `picoflow`.
    public var executable: String { "picoflow-\(rawValue)" }
}
