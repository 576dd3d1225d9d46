import Basics
import Yams

/// Bounds within which the supervisor chooses a stage's number of replicas by how long compute waits for it.
public struct AutoscaleSettings: Codable, Sendable, Equatable {
    /// The stage's name.
    public var stage = ""
    public var min = 1
    public var max = 1

    public init() {}
}

extension AutoscaleSettings: Configurable {
    static let fields: [Field<Self>] = [
        Field("min", \.min, .within(1...65535), summary: "never fewer replicas"),
        Field("max", \.max, .within(1...65535), hasDefault: false, summary: "never more replicas"),
    ]
}

extension Topology {
    /// Reads `autoscale: {STAGE: {min: 1, max: 8}}`.
    static func autoscale(_ document: Document, _ reader: inout Reader) throws -> [AutoscaleSettings] {
        guard let entry = document.root.first(where: { $0.key.string == "autoscale" }),
            entry.value.scalar?.isNull != true
        else { return [] }
        guard let mapping = entry.value.mapping else {
            throw UserError(
                "\(document.place(of: entry.key)): 'autoscale' must be a mapping of stage to {min, max}, not \(describe(entry.value))"
            )
        }
        return try mapping.map { key, value in
            let place = document.place(of: key)
            guard let name = key.scalar?.string, let bounds = value.mapping else {
                throw UserError("\(place): 'autoscale' takes stages, each with {min: COUNT, max: COUNT}")
            }
            var settings = AutoscaleSettings()
            settings.stage = name
            reader.note("autoscale.\(name)", place)
            try reader.read(bounds, into: &settings, prefix: "autoscale.\(name).")
            guard reader.place(of: ["autoscale.\(name).max"]) != nil else {
                throw UserError("\(place): 'autoscale.\(name)' lacks 'max'")
            }
            return settings
        }
    }

    /// Compute's waits are the only signal there is: they say something of the stages that serve it directly.
    func checkAutoscale(path: String, _ reader: Reader) throws {
        for settings in autoscale {
            let key = "autoscale.\(settings.stage)"
            func error(_ keys: [String], _ message: String) -> UserError {
                UserError("\(reader.place(of: keys) ?? .file(path, line: nil)): \(message)")
            }
            guard let stage = stage(named: settings.stage) else {
                let hint = suggestion(for: settings.stage, among: stages.map(\.name))
                throw error([key], "'autoscale' names the stage '\(settings.stage)', but there is no such stage\(hint)")
            }
            let served = stages.filter { $0.kind == .compute }.flatMap { [$0.samples, $0.mining] }
            guard served.contains(stage.name) else {
                throw error(
                    [key],
                    "stage '\(stage.name)' cannot be autoscaled: only how long compute waits for its 'samples' and its 'mining' is measured"
                )
            }
            guard stage.samples == nil else {
                throw error(
                    [key],
                    "stage '\(stage.name)' cannot be autoscaled: it stands in between, and its suppliers know the replicas of the start"
                )
            }
            guard settings.min <= settings.max else {
                throw error(
                    ["\(key).min", "\(key).max"],
                    "'\(key).min' must be at most 'max', which is \(settings.max), not \(settings.min)")
            }
            guard (settings.min...settings.max).contains(stage.replicas) else {
                let replicas = "stages.\(stage.name).replicas"
                throw error(
                    [reader.place(of: [replicas]) == nil ? key : replicas],
                    "stage '\(stage.name)' starts with \(stage.replicas) replica\(stage.replicas == 1 ? "" : "s"), outside its autoscale bounds \(settings.min) to \(settings.max)"
                )
            }
        }
    }

    var autoscaleNode: Node {
        Node(autoscale.map { (Node($0.stage), $0.sectionNode()) }, .implicit, .block)
    }
}
