import Basics
import Foundation
import Yams

/// A run as Kubernetes manifests: a Job for the head with its Service, a Deployment per worker stage, a Secret for the keys, claims
/// for data and runs, and the recipe and the topology as a ConfigMap.
extension RenderPlan {
    /// What a cluster calls things that a topology has no names for.
    public struct Kubernetes: Sendable {
        /// With picoflow in its PATH.
        public var image = "picoflow:latest"
        /// Of the claim for `runs/`, as Kubernetes writes it.
        public var runsStorage = "50Gi"
        /// Of the claim for the dataset.
        public var dataStorage = "100Gi"
        /// Files of a folder of keys (`picoflow keys new NAME --keys DIR`), by name; a client's is called `client.key`.
        public var keys: [String: Data] = [:]

        public init() {}
    }

    /// Where the head's pod and the workers' have what they need.
    private enum Path {
        static let data = "/data"
        static let runs = "/runs"
        static let configuration = "/etc/picoflow"
        static let keys = "/etc/picoflow-keys"
        /// The head's own copy: a run makes its folder of keys private, which a mounted Secret refuses.
        static let headKeys = "/tmp/picoflow-keys"
    }

    /// `kubectl apply -f NAME.yaml`.
    public func kubernetes(_ cluster: Kubernetes) throws -> [File] {
        // The manifests carry the resolved recipe: a pod has no repository.
        var recipe = recipe
        var topology = topology
        if !groups.isEmpty { topology.supervisor.keys = Path.headKeys }
        if let weights = recipe.model.pretrained, !weights.hasPrefix(Path.data + "/") {
            throw UserError(
                "model.pretrained: pods have no \(weights); put the file into the dataset's claim and name it \(Path.data)/FILE, by --set model.pretrained=\(Path.data)/FILE"
            )
        }
        recipe.dataset.root = Path.data
        if recipe.dataset.description != nil { recipe.dataset.description = Path.data + "/dataset.yaml" }
        var objects = [
            object(
                "v1", "ConfigMap", "config",
                [
                    (
                        "data",
                        map([("recipe.yaml", text(try recipe.yaml())), ("topology.yaml", text(try topology.yaml()))])
                    )
                ]),
            claim("data", cluster.dataStorage, mode: "ReadOnlyMany"),
            claim("runs", cluster.runsStorage, mode: "ReadWriteOnce"),
        ]
        if !groups.isEmpty {
            objects.append(secret(cluster))
            objects.append(service)
        }
        objects.append(headJob(cluster))
        objects += groups.map { deployment($0, cluster) }
        let yaml = try objects.map { try Yams.serialize(node: $0, width: -1) }.joined(separator: "---\n")
        return [File(name: "\(name).yaml", text: header(cluster) + "---\n" + yaml)]
    }

    private func header(_ cluster: Kubernetes) -> String {
        var lines = [
            "# The run '\(name)' on Kubernetes, written by 'picoflow render kubernetes'.",
            "#",
            "#   kubectl apply -f \(name).yaml",
            "#   kubectl logs -f job/\(objectName("head"))",
            "#   kubectl delete -f \(name).yaml      # the claims, with the run in them, too",
            "#",
            "# A pod of the head that is replaced goes on from the newest checkpoint. Fill the claim '\(objectName("data"))' with the dataset.",
        ]
        if !groups.isEmpty, cluster.keys.isEmpty {
            lines += [
                "# The Secret is empty: make keys, and the manifests once more with them:",
                "#   picoflow keys new client --keys keys --out keys/client.key",
                "#   picoflow render kubernetes … --keys keys",
            ]
        }
        return lines.map { $0 + "\n" }.joined()
    }

    // MARK: Objects

    private func headJob(_ cluster: Kubernetes) -> Node {
        let run = "\(Path.runs)/\(name)"
        let commands = launch(
            run: run, topology: Path.configuration + "/topology.yaml", recipe: Path.configuration + "/recipe.yaml")
        // The recipe of the ConfigMap is resolved, with what --set says.
        let new = commands.new.enumerated().filter { index, word in
            word != "--set" && (index == 0 || commands.new[index - 1] != "--set")
        }.map(\.element)
        let keys = Path.headKeys
        let copy = groups.isEmpty ? "" : "umask 077; mkdir -p \(keys); cp -L \(Path.keys)/* \(keys)/; "
        // A pod that is moved away, with its node for instance, is told to end, and the run stops in good order. That is no
        // success: the Job would be complete, and no other pod would go on.
        let script =
            copy + "if [ -e \(run)/recipe.yaml ]; then set -- \(commands.resume.joined(separator: " ")); "
            + "else set -- \(new.joined(separator: " ")); fi; "
            + "trap 'moved=1; kill -TERM $head' TERM; \"$@\" & head=$!; code=0; wait $head || code=$?; "
            + "while kill -0 $head 2>/dev/null; do code=0; wait $head || code=$?; done; "
            + "[ -z \"$moved\" ] || [ -e \(run)/evaluation.json ] || exit 143; exit $code"
        var container = self.container("head", ["/bin/sh", "-c", script], cores: headCores, gpus: headGPUs, cluster)
        var mounts = [
            ("config", Path.configuration, true), ("data", Path.data, true), ("runs", Path.runs, false),
        ]
        if !groups.isEmpty {
            mounts.append(("keys", Path.keys, true))
            let ports = [map([("name", text("control")), ("containerPort", number(port ?? 0))])]
            container.append(("ports", list(ports)))
        }
        container.append(("volumeMounts", self.mounts(mounts)))
        // A replaced pod is the same host to the run, whose processes went with the pod before.
        let pod = self.pod(
            "head", map(container), volumes: mounts.map(\.0), restart: "OnFailure", hostname: objectName("head"))
        return object(
            "batch/v1", "Job", "head",
            // Machines fail, and pods that are moved count; a run that fails of itself so often will not do better again.
            [("spec", map([("backoffLimit", number(6)), ("template", pod)]))]
        )
    }

    private func deployment(_ group: Group, _ cluster: Kubernetes) -> Node {
        let command = [
            "picoflow", "join", "tcp://\(objectName("head")):\(port ?? 0)", "--key", Path.keys + "/client.key",
            "--stage", "\(group.stage)=1", "--run", name, "--logs", "/tmp/logs",
        ]
        var container = self.container(
            kubernetesName(group.stage), command, cores: group.threads, gpus: group.gpus, cluster)
        container.append(("volumeMounts", mounts([("data", Path.data, true), ("keys", Path.keys, true)])))
        let labels = self.labels(kubernetesName(group.stage))
        let pod = self.pod(kubernetesName(group.stage), map(container), volumes: ["data", "keys"], restart: "Always")
        return object(
            "apps/v1", "Deployment", kubernetesName(group.stage),
            [
                (
                    "spec",
                    map([
                        ("replicas", number(group.replicas)), ("selector", map([("matchLabels", labels)])),
                        ("template", pod),
                    ])
                )
            ]
        )
    }

    /// The head by a name that stays when its pod is replaced. Links take the ports after the control port's.
    private var service: Node {
        object(
            "v1", "Service", "head",
            [
                (
                    "spec",
                    map([
                        // Straight to the pod: a run chooses its ports from one on, and a headless service has them all.
                        ("clusterIP", text("None")), ("selector", labels("head")),
                        ("ports", list([map([("name", text("control")), ("port", number(port ?? 0))])])),
                    ])
                )
            ]
        )
    }

    private func secret(_ cluster: Kubernetes) -> Node {
        let files = cluster.keys.sorted { $0.key < $1.key }.map { ($0.key, text($0.value.base64EncodedString())) }
        return object("v1", "Secret", "keys", [("type", text("Opaque")), ("data", map(files))])
    }

    private func claim(_ name: String, _ size: String, mode: String) -> Node {
        object(
            "v1", "PersistentVolumeClaim", name,
            [
                (
                    "spec",
                    map([
                        ("accessModes", list([text(mode)])),
                        ("resources", map([("requests", map([("storage", text(size))]))])),
                    ])
                )
            ]
        )
    }

    // MARK: Parts

    private func container(
        _ name: String, _ command: [String], cores: Int, gpus: Int, _ cluster: Kubernetes
    ) -> [(String, Node)] {
        var requests = [("cpu", text(String(cores)))]
        if gpus > 0 { requests.append(("nvidia.com/gpu", text(String(gpus)))) }
        return [
            ("name", text(name)), ("image", text(cluster.image)), ("command", list(command.map(text))),
            // As many cores as it has threads: more would idle, fewer would make it wait for itself.
            ("resources", map([("requests", map(requests)), ("limits", map(requests))])),
        ]
    }

    private func pod(
        _ component: String, _ container: Node, volumes: [String], restart: String, hostname: String? = nil
    ) -> Node {
        map([
            ("metadata", map([("labels", labels(component))])),
            (
                "spec",
                map(
                    (hostname.map { [("hostname", text($0))] } ?? []) + [
                        ("restartPolicy", text(restart)),
                        // Time for a last checkpoint.
                        ("terminationGracePeriodSeconds", number(120)),
                        ("containers", list([container])), ("volumes", list(volumes.map(volume))),
                    ])
            ),
        ])
    }

    private func volume(_ name: String) -> Node {
        let source: (String, Node) =
            switch name {
            case "config": ("configMap", map([("name", text(objectName("config")))]))
            // A key that others may read is refused.
            case "keys": ("secret", map([("secretName", text(objectName("keys"))), ("defaultMode", number(0o400))]))
            default: ("persistentVolumeClaim", map([("claimName", text(objectName(name)))]))
            }
        return map([("name", text(name)), source])
    }

    private func mounts(_ mounts: [(name: String, path: String, readOnly: Bool)]) -> Node {
        list(
            mounts.map { mount in
                map([
                    ("name", text(mount.name)), ("mountPath", text(mount.path)),
                    ("readOnly", Node(mount.readOnly ? "true" : "false", Tag(.bool))),
                ])
            })
    }

    /// An object with what each of them has.
    private func object(_ version: String, _ kind: String, _ component: String, _ rest: [(String, Node)]) -> Node {
        map(
            [
                ("apiVersion", text(version)), ("kind", text(kind)),
                ("metadata", map([("name", text(objectName(component))), ("labels", labels(component))])),
            ] + rest)
    }

    private func labels(_ component: String) -> Node {
        map([
            ("app.kubernetes.io/name", text("picoflow")), ("app.kubernetes.io/instance", text(kubernetesName(name))),
            ("app.kubernetes.io/component", text(component)),
        ])
    }

    private func objectName(_ component: String) -> String { "picoflow-\(kubernetesName(name))-\(component)" }

    /// Names of objects are lower-case letters, digits and '-', neither first nor last a '-', and not long. What is cut off a
    /// long one is told apart: two runs must not share objects.
    private func kubernetesName(_ name: String) -> String {
        let letters = name.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
        let trimmed = letters.drop { $0 == "-" }.reversed().drop { $0 == "-" }.reversed()
        guard trimmed.count > 40 else { return String(trimmed) }
        return String(trimmed.prefix(31)) + "-" + SHA256.hex(name).prefix(8)
    }

    private func map(_ pairs: [(String, Node)]) -> Node {
        Node(pairs.map { (Node($0.0, Tag(.str)), $0.1) }, .implicit, pairs.isEmpty ? .flow : .block)
    }
    private func list(_ items: [Node]) -> Node { Node(items, .implicit, .block) }
    /// Quoted where it reads as a number or so; several lines as they are.
    private func text(_ text: String) -> Node {
        if text.contains("\n") { return Node(text, Tag(.str), .literal) }
        let isPlain = text.first?.isLetter ?? false
        let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        return Node(text, Tag(.str), isPlain && !words.contains(text.lowercased()) ? .any : .doubleQuoted)
    }
    private func number(_ number: Int) -> Node { Node(String(number), Tag(.int)) }
}
