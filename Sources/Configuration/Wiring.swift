import Basics

/// Checks that every stage is wired to stages that serve what it takes, before any process starts.
struct Wiring {
    let topology: Topology
    let path: String
    let reader: Reader

    /// A kind of link: the key that names it, how a message says it, and the kind of stage at its other end.
    private struct Link: Sendable {
        let key: String
        let phrase: String
        let target: StageKind
        let member: @Sendable (StageSettings) -> String?

        static let samples = Link(key: "samples", phrase: "takes samples from", target: .loader) { $0.samples }
        static let mining = Link(key: "mining", phrase: "has its mining done by", target: .miner) { $0.mining }
        static let memory = Link(key: "memory", phrase: "has its memory in", target: .bank) { $0.memory }
        static let all = [samples, mining, memory]
    }

    func check(for recipe: Recipe?) throws {
        for stage in topology.stages { try check(stage) }
        for stage in topology.stages { try checkCycle(stage) }
        let compute = try one(.compute)
        for kind in [StageKind.bank, .evaluator] where topology.stages.filter({ $0.kind == kind }).count > 1 {
            _ = try one(kind)
        }
        try checkMemory(of: compute)
        if let recipe, recipe.contrast.enabled { try checkContrast(compute) }
        if let recipe { try checkRanks(compute, recipe) }
        try checkUse()
    }

    private func check(_ stage: StageSettings) throws {
        if stage.kind.isSingle, stage.replicas > 1 {
            throw error(
                stage, "replicas",
                "stage '\(stage.name)' is of kind \(stage.kind.rawValue) and runs once, not \(stage.replicas) times")
        }
        let devices = stage.device.all.count
        if devices > 1, devices != stage.replicas {
            throw error(
                stage, "device",
                "stage '\(stage.name)' names \(devices) devices for \(stage.replicas) replicas; name one, or one for each"
            )
        }
        let computes = stage.kind == .compute || stage.kind == .evaluator
        if !computes, stage.exec == nil, let device = stage.device.all.first(where: { $0 != .cpu }) {
            throw error(
                stage, "device",
                "stage '\(stage.name)' names \(device), but \(stage.kind.executable) works on the processor; leave 'device' out, or name a program of your own by 'exec'"
            )
        }
        for link in Link.all {
            let isAllowed = links(of: stage.kind).contains { $0.key == link.key }
            if let name = link.member(stage) {
                guard isAllowed else {
                    throw error(
                        stage, link.key,
                        "stage '\(stage.name)' is of kind \(stage.kind.rawValue) and has no '\(link.key)'")
                }
                try check(stage, link, name)
            } else if isAllowed, isRequired(link, of: stage.kind) {
                throw error(
                    stage, nil,
                    "stage '\(stage.name)' lacks '\(link.key)', the \(link.target.rawValue) stage that it is wired to")
            }
        }
    }

    private func check(_ stage: StageSettings, _ link: Link, _ name: String) throws {
        guard let target = topology.stage(named: name) else {
            let fitting = topology.stages.filter { $0.kind == link.target }.map(\.name)
            let near =
                nearestName(to: name, among: fitting) ?? nearestName(to: name, among: topology.stages.map(\.name))
            let tail = near.map { "; did you mean '\($0)'?" } ?? ", but there is no such stage"
            throw error(stage, link.key, "stage '\(stage.name)' \(link.phrase) '\(name)'\(tail)")
        }
        guard target.kind == link.target else {
            throw error(
                stage, link.key,
                "stage '\(stage.name)' \(link.phrase) '\(name)', which is of kind \(target.kind.rawValue), not \(link.target.rawValue)"
            )
        }
    }

    private func links(of kind: StageKind) -> [Link] {
        switch kind {
        case .compute: Link.all
        case .miner: [.memory]
        case .loader: [.samples]
        case .bank, .evaluator: []
        }
    }

    /// Compute trains by cross-entropy alone without miner and bank.
    private func isRequired(_ link: Link, of kind: StageKind) -> Bool {
        kind == .miner || kind == .compute && link.key == "samples"
    }

    /// Samples come from files in the end; a stage between loader and compute changes them on their way.
    private func checkCycle(_ stage: StageSettings) throws {
        guard stage.kind == .loader, stage.samples != nil else { return }
        guard stage.exec != nil else {
            throw error(
                stage, "samples",
                "stage '\(stage.name)' reads its samples from files and takes none from '\(stage.samples ?? "")'; "
                    + "a stage in between names its program by 'exec'")
        }
        var path = [stage.name]
        var next = stage.samples
        while let name = next, !path.contains(name) {
            path.append(name)
            next = topology.stage(named: name)?.samples
        }
        // Reported at the stage that the circle leads back to, not at one that only runs into it.
        guard next == stage.name else { return }
        throw error(
            stage, "samples",
            path.count == 1
                ? "stage '\(stage.name)' takes samples from itself"
                : "stage '\(stage.name)' takes samples in a circle: \((path + [stage.name]).joined(separator: " from "))"
        )
    }

    /// The only stage of a kind.
    private func one(_ kind: StageKind) throws -> StageSettings {
        let stages = topology.stages.filter { $0.kind == kind }
        guard let first = stages.first else {
            throw UserError("\(path): there is no stage of kind \(kind.rawValue)")
        }
        if stages.count > 1 {
            throw error(
                stages[1], nil,
                "stage '\(stages[1].name)' is of kind \(kind.rawValue) like '\(first.name)'; there can be one only")
        }
        return first
    }

    /// A miner that follows another memory than compute writes would wait for ever.
    private func checkMemory(of compute: StageSettings) throws {
        guard let name = compute.mining, let miner = topology.stage(named: name) else { return }
        guard let memory = compute.memory else {
            throw error(
                compute, "mining", "stage '\(compute.name)' has 'mining' but no 'memory' that '\(name)' could mine")
        }
        guard miner.memory == memory else {
            throw error(
                miner, "memory",
                "stage '\(name)' has its memory in '\(miner.memory ?? "")', but '\(compute.name)', whose mining it does, in '\(memory)'"
            )
        }
    }

    private func checkContrast(_ compute: StageSettings) throws {
        for link in [Link.mining, .memory] where link.member(compute) == nil {
            let candidate = topology.stages.first { $0.kind == link.target }
            let remedy =
                candidate.map { "add '\(link.key): \($0.name)'" }
                ?? "add a stage of kind \(link.target.rawValue) and '\(link.key)' naming it"
            throw error(
                compute, nil,
                "stage '\(compute.name)' lacks '\(link.key)', which the recipe's contrast needs; \(remedy)")
        }
    }

    /// Every rank trains on as many images of a mini-batch.
    private func checkRanks(_ compute: StageSettings, _ recipe: Recipe) throws {
        let batch = recipe.schedule.batch
        guard batch % compute.replicas != 0 else { return }
        let fitting = (1...batch).filter { batch % $0 == 0 }.map(String.init)
        throw error(
            compute, "replicas",
            "stage '\(compute.name)' has \(compute.replicas) replicas, among which the recipe's schedule.batch \(batch) cannot be shared out evenly; \(fitting.joined(separator: ", ")) would do"
        )
    }

    /// A stage that nobody is wired to would idle unnoticed; evaluators are the command line's.
    private func checkUse() throws {
        let used = topology.stages.flatMap { [$0.samples, $0.mining, $0.memory] }.compactMap { $0 }
        for stage in topology.stages where ![.compute, .evaluator].contains(stage.kind) && !used.contains(stage.name) {
            throw error(stage, nil, "stage '\(stage.name)' serves nobody; no other stage names it")
        }
    }

    /// At the key, or at the stage where the key is missing.
    private func error(_ stage: StageSettings, _ key: String?, _ message: String) -> UserError {
        let place =
            key.flatMap { reader.place(of: ["stages.\(stage.name).\($0)"]) }
            ?? reader.place(of: ["stages.\(stage.name)"])
        return UserError("\(place ?? .file(path, line: nil)): \(message)")
    }
}
