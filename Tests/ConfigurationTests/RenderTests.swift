import Foundation
import TestSupport
import Testing
import Yams

@testable import Configuration

@Suite struct RenderTests {
    private let stages = """
        stages:
          loader: {replicas: 20, threads: 2}
          compute: {samples: loader, mining: miner, memory: bank, threads: 8, device: "cuda:0"}
          bank:
          miner: {memory: bank, replicas: 3}
          evaluator: {replicas: 2, threads: 6}

        """

    /// - Parameters:
    ///   - listen: with it, loaders and miners are on other hosts.
    ///   - keys: folder of several runs' keys.
    private func plan(
        listen: String? = "tcp://*:5810", keys: String? = nil, more: String = "", replicas: [String] = [],
        model: String = "{}", name: String = "pico-1"
    ) throws -> RenderPlan {
        let recipe = try Recipe.resolve(yaml: "dataset: {root: /sets/my scenes}\nmodel: \(model)\n", path: "r.yaml")
        let listening = [listen.map { "listen: \"\($0)\"" }, keys.map { "keys: \($0)" }].compactMap(\.self)
        let yaml = stages + (listening.isEmpty ? "" : "supervisor: {\(listening.joined(separator: ", "))}\n") + more
        return try RenderPlan(
            topology: Topology.resolve(yaml: yaml, path: "t.yaml", replicas: replicas, recipe: recipe), recipe: recipe,
            topologyPath: "t.yaml", recipePath: "r.yaml", overrides: ["dataset.root=/sets/my scenes"],
            replicas: replicas, name: name)
    }

    @Test func countsOfTheCommandLineReachTheHead() throws {
        let plan = try plan(replicas: ["evaluator=3", "loader=9"])
        let words = plan.launch(run: "runs/x", topology: "t.yaml", recipe: "r.yaml")
        #expect(plan.groups.first?.replicas == 9)
        #expect(words.new.suffix(6) == ["--stage", "evaluator=3", "--stage", "loader=0", "--stage", "miner=0"])
        #expect(!words.resume.contains("evaluator=3"))
    }

    @Test func stageThatIsAutoscaledCannotLeave() throws {
        let more = "autoscale: {loader: {max: 64}}\n"
        #expect(
            message { try plan(more: more) }
                == "t.yaml: stage 'loader' runs on hosts that join (supervisor.listen), as many as the job asks for; leave out 'autoscale.loader'"
        )
        #expect(throws: Never.self) { try plan(listen: nil, more: more) }
    }

    @Test func keysOfSeveralRunsAreAskedForInTheirFolder() throws {
        let plan = try plan(keys: "my keys")
        let slurm = try #require(plan.slurm().first).text
        #expect(slurm.contains("picoflow keys new slurm-pico-1 --keys 'my keys' --out \"$key\""))
        #expect(slurm.contains("--stage loader=$count --run \"$PICOFLOW_NAME\" \\"))
        let ssh = try #require(plan.ssh().first).text
        #expect(
            ssh.contains(#"picoflow keys new ssh-pico-1 --keys '\''my keys'\'' --out "$key""#)
                && ssh.contains("key=$run.key;"))
        #expect(ssh.contains("${stages[*]} --run $(printf %q \"${run##*/}\")\""))
    }

    @Test func podsHaveTheirPretrainedWeightsAmongTheData() throws {
        #expect(
            message { try plan(model: "{pretrained: w.pth}").kubernetes(.init()) }
                .hasPrefix("model.pretrained: pods have no w.pth; put the file into the dataset's claim"))
        #expect(throws: Never.self) { try plan(model: "{pretrained: /data/w.pth}").kubernetes(.init()) }
    }

    @Test func headKeepsWhatSharesTheRunsFolder() throws {
        let spread = try plan()
        #expect(spread.groups.map { "\($0.replicas) \($0.stage) \($0.threads)" } == ["20 loader 2", "3 miner 1"])
        // Compute's 8 and the bank's 1 in training, 12 in evaluation.
        #expect(spread.headCores == 12 && spread.headGPUs == 1 && spread.port == 5810)
        let alone = try plan(listen: nil)
        #expect(alone.groups.isEmpty && alone.headCores == 20 * 2 + 8 + 1 + 3)
    }

    @Test func programsOfOnesOwnAndWhatFeedsThemStayOnTheHead() throws {
        let plan = try RenderPlan(
            topology: Topology.resolve(
                yaml: """
                    stages:
                      loader: {replicas: 4}
                      cutout: {kind: loader, samples: loader, exec: [cutout]}
                      compute: {samples: cutout, mining: miner, memory: bank, threads: 1}
                      bank:
                      miner: {memory: bank}
                    supervisor: {listen: "tcp://*:5810"}
                    """, path: "t.yaml"), recipe: Recipe(), topologyPath: "t.yaml", recipePath: "r.yaml", name: "x")
        #expect(plan.groups.map(\.stage) == ["miner"])
    }

    @Test func openThreadCountIsRefused() {
        let open = stages.replacingOccurrences(of: "threads: 8, ", with: "")
        #expect(
            message {
                try RenderPlan(
                    topology: Topology.resolve(yaml: open, path: "t.yaml"), recipe: Recipe(), topologyPath: "t.yaml",
                    recipePath: "r.yaml", name: "x")
            } == "t.yaml: stage 'compute' leaves 'threads' open; a job asks for a number of cores, so name it")
    }

    /// To renew them: `UPDATE_GOLDEN=1 tools/test --filter RenderTests`, then read the difference.
    @Test(arguments: ["slurm", "slurm-alone", "ssh", "ssh-alone", "kubernetes"])
    func filesAreTheGoldenOnes(name: String) throws {
        let plan = try plan(listen: name.hasSuffix("-alone") ? nil : "tcp://*:5810")
        let files: [RenderPlan.File] =
            switch name.prefix(3) {
            case "slu": plan.slurm()
            case "ssh": plan.ssh()
            default: try plan.kubernetes(.init())
            }
        let file = try #require(files.first)
        #expect(files.count == 1)
        let path = repositoryRoot + "/Tests/ConfigurationTests/Golden/\(name).txt"
        // Without the recipe, which has another key every now and then; a test of its own reads it.
        let parts = file.text.components(separatedBy: "---\n")
        let text = name == "kubernetes" ? ([parts[0]] + parts[2...]).joined(separator: "---\n") : file.text
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        }
        #expect(try text == String(contentsOfFile: path, encoding: .utf8))
    }

    @Test(arguments: [true, false])
    func shellScriptsParse(spread: Bool) throws {
        let plain = try plan(listen: spread ? "tcp://*:5810" : nil)
        let shared = try plan(listen: spread ? "tcp://*:5810" : nil, keys: "my keys")
        for file in plain.slurm() + plain.ssh() + shared.slurm() + shared.ssh() {
            try withFiles([file.name: file.text]) { (folder) throws in
                let shell = Process()
                shell.executableURL = URL(fileURLWithPath: "/bin/bash")
                shell.arguments = ["-n", folder + "/" + file.name]
                try shell.run()
                shell.waitUntilExit()
                #expect(shell.terminationStatus == 0, "\(file.text)")
            }
        }
    }

    /// Runs a script among stand-ins for the programs that it starts.
    ///
    /// - Returns: its exit code.
    private func run(_ file: RenderPlan.File, _ arguments: [String], in folder: String) throws -> Int32 {
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/bash")
        shell.arguments = [folder + "/" + file.name] + arguments
        shell.currentDirectoryURL = URL(fileURLWithPath: folder)
        shell.environment = [
            "PATH": folder + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"), "HOME": folder,
        ]
        for name in ["picoflow", "ssh", "srun"] { chmod(folder + "/" + name, 0o755) }
        // A thread of Dispatch's keeps signals out, and a process inherits that.
        var (none, before) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try shell.run()
        shell.waitUntilExit()
        return shell.terminationStatus
    }

    @Test func workersOverSSHGetTheKeyAlone() throws {
        let file = try #require(plan().ssh().first)
        let picoflow = """
            #!/bin/bash
            case $1 in
            keys) mkdir -p "$(dirname "${@: -1}")"; echo secret >"${@: -1}"; echo "a key was made" ;;
            join) cat "$4" >joined ;;
            launch) while [ ! -s joined ]; do sleep 0.05; done ;;
            esac

            """
        // Every host is this folder.
        let ssh = """
            #!/bin/bash
            while [[ $1 == -* ]]; do shift; done
            shift
            exec bash -c "$*"

            """
        try withFiles([file.name: file.text, "picoflow": picoflow, "ssh": ssh]) { (folder) throws in
            #expect(try run(file, ["head", "worker"], in: folder) == 0)
            #expect(try String(contentsOfFile: folder + "/joined", encoding: .utf8) == "secret\n")
        }
    }

    /// Slurm tells a job's script of its time limit by SIGTERM; the run then stops in good order.
    @Test(arguments: ["0", "0.5"])
    func jobEndsAsItsRunDid(afterTheStop seconds: String) throws {
        let file = try #require(plan(listen: nil).slurm().first)
        let picoflow = """
            #!/bin/bash
            if [ "$1" = launch ]; then
                kill -TERM $PPID
                while [ ! -e stopped ]; do sleep 0.05; done
                exit 7
            fi
            touch stopped
            sleep \(seconds)

            """
        let srun = """
            #!/bin/bash
            while [[ $1 == -* ]]; do shift; done
            exec "$@"

            """
        try withFiles([file.name: file.text, "picoflow": picoflow, "srun": srun]) { (folder) throws in
            #expect(try run(file, [], in: folder) == 7)
        }
    }

    /// The objects of the manifests, by kind and name.
    private func objects(_ plan: RenderPlan, keys: [String: Data] = [:]) throws -> [String: [String: Any]] {
        var cluster = RenderPlan.Kubernetes()
        cluster.keys = keys
        let text = try #require(try plan.kubernetes(cluster).first).text
        var found: [String: [String: Any]] = [:]
        for document in try Yams.load_all(yaml: text) {
            let object = try #require(document as? [String: Any])
            let metadata = try #require(object["metadata"] as? [String: Any])
            found["\(object["kind"] ?? "") \(metadata["name"] ?? "")"] = object
        }
        return found
    }

    private func dig(_ object: [String: Any]?, _ path: String) -> Any? {
        path.split(separator: ".").reduce(object as Any?) { value, key in
            Int(key).map { index in (value as? [Any]).flatMap { $0.indices.contains(index) ? $0[index] : nil } }
                ?? (value as? [String: Any])?[String(key)]
        }
    }

    /// A Job whose pod ends well is complete, and no other pod would go on with a run that was moved away with its node.
    @Test(arguments: [
        (launch: "trap 'exit 0' TERM; kill -TERM $PPID", code: 143 as Int32),
        (launch: "touch evaluation.json; trap 'exit 0' TERM; kill -TERM $PPID", code: 0),
        (launch: "trap 'exit 1' TERM; kill -TERM $PPID", code: 143), (launch: "exit 3", code: 3),
        (launch: "exit 0", code: 0),
    ])
    func podThatIsMovedIsReplaced(launch: String, code: Int32) throws {
        let job = try objects(plan(listen: nil))["Job picoflow-pico-1-head"]
        let command = try #require(dig(job, "spec.template.spec.containers.0.command") as? [String])
        #expect(command.dropLast() == ["/bin/sh", "-c"])
        let picoflow = "#!/bin/bash\n\(launch)\nwhile :; do sleep 0.05; done\n"
        let script = command[2].replacingOccurrences(of: "/runs/pico-1/evaluation.json", with: "evaluation.json")
        try withFiles(["pod.sh": "exec /bin/sh -c \"$(cat script)\"", "script": script, "picoflow": picoflow]) {
            (folder) throws in
            #expect(try run(RenderPlan.File(name: "pod.sh", text: ""), [], in: folder) == code)
        }
    }

    /// Two runs must not share objects, nor a label end with a '-'.
    @Test func longNamesStayApart() throws {
        func instances(_ name: String) throws -> Set<String> {
            let found = try objects(plan(name: name), keys: ["client.key": Data("secret".utf8)])
            let labels = found.values.compactMap { dig($0, "metadata.labels") as? [String: String] }
            return Set(labels.compactMap { $0["app.kubernetes.io/instance"] }).union(found.keys)
        }
        let first = try instances("cityscapes-maskformer-resnet101-pico-plus-seed-1")
        #expect(first.isDisjoint(with: try instances("cityscapes-maskformer-resnet101-pico-plus-seed-2")))
        #expect(first.count == 9)
        for name in first { #expect(!name.hasSuffix("-") && name.split(separator: " ").last!.count <= 63) }
    }

    @Test func manifestsSayWhatRunsWhere() throws {
        let found = try objects(plan(), keys: ["client.key": Data("secret".utf8)])
        #expect(
            found.keys.sorted() == [
                "ConfigMap picoflow-pico-1-config", "Deployment picoflow-pico-1-loader",
                "Deployment picoflow-pico-1-miner", "Job picoflow-pico-1-head",
                "PersistentVolumeClaim picoflow-pico-1-data",
                "PersistentVolumeClaim picoflow-pico-1-runs", "Secret picoflow-pico-1-keys",
                "Service picoflow-pico-1-head",
            ])
        let loader = found["Deployment picoflow-pico-1-loader"]
        #expect(dig(loader, "spec.replicas") as? Int == 20)
        let container = "spec.template.spec.containers.0"
        #expect(
            dig(loader, container + ".command") as? [String] == [
                "picoflow", "join", "tcp://picoflow-pico-1-head:5810", "--key", "/etc/picoflow-keys/client.key",
                "--stage", "loader=1", "--run", "pico-1", "--logs", "/tmp/logs",
            ])
        #expect(dig(loader, container + ".resources.limits.cpu") as? String == "2")
        let head = found["Job picoflow-pico-1-head"]
        #expect(dig(head, container + ".resources.limits.nvidia.com/gpu") == nil)
        let limits = try #require(dig(head, container + ".resources.limits") as? [String: Any])
        #expect(limits["nvidia.com/gpu"] as? String == "1" && limits["cpu"] as? String == "12")
        #expect(dig(head, "spec.template.spec.hostname") as? String == "picoflow-pico-1-head")
        let script = try #require((dig(head, container + ".command") as? [String])?.last)
        #expect(script.contains("picoflow launch --resume /runs/pico-1 --stage loader=0 --stage miner=0"))
        #expect(script.contains("picoflow launch /etc/picoflow/topology.yaml --recipe /etc/picoflow/recipe.yaml --run"))
        #expect(!script.contains("--set"))
        #expect(dig(found["Secret picoflow-pico-1-keys"], "data.client") == nil)
        let keys = try #require(dig(found["Secret picoflow-pico-1-keys"], "data") as? [String: String])
        #expect(keys == ["client.key": "c2VjcmV0"])
        // Selectors find exactly the pods that they mean.
        for (name, path) in [
            ("Deployment picoflow-pico-1-loader", "spec.selector.matchLabels"),
            ("Service picoflow-pico-1-head", "spec.selector"),
        ] {
            let labels = try #require(dig(found[name], path) as? [String: String])
            let pods = found.values.filter { object in
                let pod = dig(object, "spec.template.metadata.labels") as? [String: String]
                return pod.map { pod in labels.allSatisfy { pod[$0.key] == $0.value } } ?? false
            }
            #expect(pods.count == 1)
        }
    }

    @Test func recipeInTheManifestsIsTheResolvedOneWithItsData() throws {
        let data = try #require(
            dig(try objects(plan())["ConfigMap picoflow-pico-1-config"], "data") as? [String: String])
        let recipe = try Recipe.resolve(yaml: try #require(data["recipe.yaml"]), path: "recipe.yaml")
        #expect(recipe.dataset.root == "/data")
        let topology = try Topology.resolve(yaml: try #require(data["topology.yaml"]), path: "topology.yaml")
        #expect(try topology.stages == Topology.resolve(yaml: stages, path: "t.yaml").stages)
        #expect(topology.supervisor.listen == "tcp://*:5810" && topology.supervisor.keys == "/tmp/picoflow-keys")
    }

    @Test func namesSuitKubernetes() throws {
        let found = try objects(plan(name: "Quick_Pico.2-"))
        #expect(found.keys.contains("Job picoflow-quick-pico-2-head"))
    }

    @Test func wordsAreQuotedForTheShell() {
        #expect(Shell.quoted("a/b-c.d=1,2") == "a/b-c.d=1,2")
        #expect(
            Shell.quoted("a b") == "'a b'" && Shell.quoted("") == "''" && Shell.quoted("it's $x") == #"'it'\''s $x'"#)
    }
}
