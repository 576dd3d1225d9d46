import Basics
import Foundation
import Yams

extension Topology {
    /// Reads a topology, applies replica counts from the command line, and checks the wiring.
    ///
    /// - Parameters:
    ///   - path: the topology's YAML.
    ///   - replicas: `loader=3`, …, as `--stage` has them; each over the file's count and over earlier ones.
    ///   - recipe: what will be trained; where given, the stages that it needs must be there.
    ///   - programs: where third-party programs are looked up; nil, for a topology that is not started here, looks up none.
    /// - Throws: `UserError`, one line with place and nearest name, for the first thing that is wrong.
    public static func resolve(
        path: String, replicas: [String] = [], recipe: Recipe? = nil, programs: ThirdPartyPrograms? = nil
    ) throws -> Topology {
        try resolve(Document.load(path), path: path, replicas: replicas, recipe: recipe, programs: programs)
    }

    /// Like `resolve(path:replicas:recipe:programs:)` for YAML in memory, `path` naming it in messages.
    public static func resolve(
        yaml: String, path: String, replicas: [String] = [], recipe: Recipe? = nil, programs: ThirdPartyPrograms? = nil
    ) throws -> Topology {
        try resolve(
            Document.parse(yaml, origin: .file(path, line: nil)), path: path, replicas: replicas, recipe: recipe,
            programs: programs)
    }

    /// All that is set, as a topology that resolves to an equal one.
    public func yaml() throws -> String { try Yams.serialize(node: node, width: -1) }

    /// What `yaml()` writes.
    var node: Node {
        let stages = Node(stages.map { (Node($0.name), $0.sectionNode(leavingOutNulls: true)) }, .implicit, .block)
        let scaling = autoscale.isEmpty ? [] : [(Node("autoscale"), autoscaleNode)]
        return Node(
            [(Node("stages"), stages)] + scaling + [
                (Node("supervisor"), supervisor.sectionNode()), (Node("pool"), pool.sectionNode()),
            ])
    }

    private static func resolve(
        _ document: Document, path: String, replicas: [String], recipe: Recipe?, programs: ThirdPartyPrograms?
    ) throws -> Topology {
        var topology = Topology()
        var reader = Reader(document: document, allKeys: keys, otherKeys: ["stages", "autoscale"])
        let own = document.root.filter { !["stages", "autoscale"].contains($0.key.string) }
        try reader.read(Node.Mapping(own.map { ($0.key, $0.value) }), into: &topology)
        guard let stages = document.root.first(where: { $0.key.string == "stages" }) else {
            throw UserError("\(path): 'stages' is missing: it names the stages and how many there are of each")
        }
        guard let mapping = stages.value.mapping else {
            throw UserError(
                "\(document.place(of: stages.key)): 'stages' must be a mapping of name to stage, not \(describe(stages.value))"
            )
        }
        for (name, settings) in mapping {
            topology.stages.append(try stage(name, settings, document, &reader))
        }
        topology.autoscale = try autoscale(document, &reader)
        for text in replicas {
            try topology.setReplicas(text, path: path, &reader)
        }
        for stage in topology.stages where stage.replicas == 0 {
            guard !topology.isJoinable(stage) || topology.supervisor.listen == nil else { continue }
            let place = reader.place(of: ["stages.\(stage.name).replicas"]) ?? .file(path, line: nil)
            throw UserError(
                "\(place): stage '\(stage.name)' needs at least one replica"
                    + (topology.isJoinable(stage) ? ", or 'supervisor.listen' so that others can join" : ""))
        }
        for name in ["supervisor", "pool"] {
            let (heartbeat, silence) =
                name == "pool"
                ? (topology.pool.heartbeat, topology.pool.silence)
                : (topology.supervisor.heartbeat, topology.supervisor.silence)
            guard silence < heartbeat * 2 else { continue }
            let place = reader.place(of: ["\(name).silence", "\(name).heartbeat"]) ?? .file(path, line: nil)
            throw UserError(
                "\(place): '\(name).silence' must be at least two heartbeats (\(flowText(heartbeat.node)) each), not \(flowText(silence.node))"
            )
        }
        let supervisor = topology.supervisor
        guard supervisor.grace >= supervisor.heartbeat * 2 else {
            // The supervisor answers heartbeats; between two of them nothing need be heard of it.
            let place = reader.place(of: ["supervisor.grace", "supervisor.heartbeat"]) ?? .file(path, line: nil)
            throw UserError(
                "\(place): 'supervisor.grace' must be at least two heartbeats (\(flowText(supervisor.heartbeat.node)) each), not \(flowText(supervisor.grace.node))"
            )
        }
        try Wiring(topology: topology, path: path, reader: reader).check(for: recipe)
        try topology.checkAutoscale(path: path, reader)
        if let programs { try topology.find(programs, path: path, reader: reader) }
        return topology
    }

    private static func stage(
        _ key: Node, _ node: Node, _ document: Document, _ reader: inout Reader
    ) throws -> StageSettings {
        let place = document.place(of: key)
        guard let name = key.scalar?.string, isName(name) else {
            throw UserError("\(place): a stage's name is 1 to 32 letters, digits, '-' or '_', not \(describe(key))")
        }
        var stage = StageSettings()
        stage.name = name
        reader.note("stages.\(name)", place)
        // `evaluator:` alone is a stage with nothing special.
        if node.scalar?.isNull != true {
            guard let mapping = node.mapping else {
                throw UserError("\(place): stage '\(name)' must be a mapping of keys to values, not \(describe(node))")
            }
            try reader.read(mapping, into: &stage, prefix: "stages.\(name).")
        }
        if reader.place(of: ["stages.\(name).kind"]) == nil {
            guard let kind = StageKind(rawValue: name) else {
                let kinds = StageKind.allCases.map(\.rawValue)
                let near = nearestName(to: name, among: kinds).map { "; did you mean '\($0)'?" }
                throw UserError(
                    "\(place): stage '\(name)' needs a 'kind'" + (near ?? ": one of \(kinds.joined(separator: ", "))"))
            }
            stage.kind = kind
        }
        return stage
    }

    private mutating func setReplicas(_ text: String, path: String, _ reader: inout Reader) throws {
        let place = Place.option("--stage \(text)")
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, let count = UInt16(parts[1]) else {
            throw UserError("\(place): NAME=COUNT was expected")
        }
        guard let index = stages.firstIndex(where: { $0.name == parts[0] }) else {
            throw UserError(
                "\(place): \(path) has no stage '\(parts[0])'" + suggestion(for: parts[0], among: stages.map(\.name)))
        }
        let stage = stages[index]
        // As where it is scaled while it runs: replicas beyond the named devices take turns, and fewer take the first.
        if stage.device.all.count > 1, count > 0 {
            stages[index].device = DeviceChoice((0..<Int(count)).map { stage.device(ofReplica: $0) })
        }
        stages[index].replicas = Int(count)
        reader.note("stages.\(parts[0]).replicas", place)
    }

    private static func isName(_ text: String) -> Bool {
        (1...32).contains(text.count)
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
    }

    private static let keys = fields.flatMap { $0.describe("", Topology()) }.map(\.path)
}

extension Topology: Configurable {
    static let fields: [Field<Topology>] = [
        .section("supervisor", \.supervisor, summary: "how the run's processes are watched"),
        .section("pool", \.pool, summary: "how consumers watch their workers"),
    ]
}

extension StageKind: ConfigurationValue {}

extension StageSettings: Configurable {
    static let fields: [Field<Self>] = [
        Field("kind", \.kind, hasDefault: false, summary: "what the stage does; its name says it where missing"),
        Field("replicas", \.replicas, .within(0...65535), summary: "how many processes"),
        Field("threads", optional: \.threads, .within(1...1024), summary: "threads of each"),
        Field("device", \.device, summary: "cpu or cuda:N, one or one per replica"),
        Field("exec", optional: \.exec, .each(.notEmpty), summary: "program and arguments of a third-party stage"),
        Field("samples", optional: \.samples, summary: "the stage that serves samples"),
        Field("mining", optional: \.mining, summary: "the stage that mines"),
        Field("memory", optional: \.memory, summary: "the stage that holds the memory"),
    ]
}

extension SupervisorSettings: Configurable {
    static let fields: [Field<Self>] = [
        Field("grace", \.grace, summary: "how long stages work on without their supervisor"),
        Field("heartbeat", \.heartbeat, .positive, summary: "between two signs of life of a stage"),
        Field("silence", \.silence, .positive, summary: "without one for this long, a stage counts as hung"),
        Field(
            "listen", optional: \.listen, .listenAddress,
            summary: "where stages on other hosts join: tcp://*:PORT, or a number of this host for *"),
        Field(
            "keys", optional: \.keys, .notEmpty, summary: "folder of the keys that may join; the run's where missing"),
    ]
}

extension PoolSettings: Configurable {
    static let fields: [Field<Self>] = [
        Field("heartbeat", \.heartbeat, .measurable, summary: "between two signs of life of a worker"),
        Field("silence", \.silence, .positive, summary: "without one for this long, others get its tickets"),
        Field("messageLimit", \.messageLimit, .headerFits, summary: "largest message that a pool accepts"),
    ]
}

extension Check where Value == Duration {
    static var positive: Check { Check(rule: "above 0 s") { $0 > .zero } }
    /// What workers take.
    static var measurable: Check { Check(rule: "at least 10 ms") { $0 >= .milliseconds(10) } }
}

extension Check where Value == String {
    /// The links' ports come after this one, so it must be a number and leave them room.
    static var listenAddress: Check {
        let highest = SupervisorSettings.highestListenPort
        return Check(
            rule: "tcp://HOST:PORT with a port from 1 to \(highest)",
            schema: .keys(["pattern": .string("^tcp://.+:[0-9]+$")])
        ) { text in
            guard text.hasPrefix("tcp://"), let colon = text.lastIndex(of: ":"),
                colon > text.index(text.startIndex, offsetBy: 6),
                let port = UInt16(text[text.index(after: colon)...])
            else { return false }
            return (1...highest).contains(port)
        }
    }
}

extension Check where Value == ByteCount {
    /// Below that not even a header fits.
    static var headerFits: Check { Check(rule: "at least 64 KiB") { $0.bytes >= 64 << 10 } }
}
