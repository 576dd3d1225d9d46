import Basics
import Configuration
import Datasets
import StageKit

/// A folder's recipes as a table, and what a check found.
public struct RecipesReport: Sendable {
    private struct Row: Sendable {
        let name: String
        let recipe: Recipe
        var network: NetworkAnswer?
    }

    private let folder: String
    private var rows: [Row] = []
    /// Recipes that cannot be read, each as a line that names its file.
    private var errors: [String] = []
    /// Per dataset, in the order of its first recipe: what is missing, or nil where it is there.
    private var datasets: [(settings: DatasetSettings, trouble: String?)] = []
    private var isChecked = false

    public init(folder: String, entries: [RecipeFolder.Entry]) {
        self.folder = folder
        for entry in entries {
            switch entry.recipe {
            case .success(let recipe): rows.append(Row(name: entry.name, recipe: recipe))
            case .failure(let error): errors.append("\(error)")
            }
        }
    }

    /// Whether a recipe is wrong, or its network cannot be built.
    public var isBroken: Bool { !errors.isEmpty || rows.contains { $0.network?.error != nil } }

    /// The networks to build, each once.
    public var questions: [NetworkQuestion] {
        var seen: Set<NetworkQuestion> = []
        return rows.map { Self.question(for: $0.recipe) }.filter { seen.insert($0).inserted }
    }

    /// A dataset of one's own says its classes itself; where it is not there yet, the network is built for two.
    private static func question(for recipe: Recipe) -> NetworkQuestion {
        let known = Dataset.classes(of: recipe.dataset.kind)?.count ?? (try? Dataset.open(recipe.dataset).classes.count)
        return NetworkQuestion(model: recipe.model, classes: known ?? 2, projecting: recipe.contrast.enabled)
    }

    /// Takes the answers in, and looks for the datasets.
    public mutating func check(networks: [NetworkQuestion: NetworkAnswer]) {
        isChecked = true
        for index in rows.indices {
            rows[index].network = networks[Self.question(for: rows[index].recipe)]
            let dataset = rows[index].recipe.dataset
            guard !datasets.contains(where: { $0.settings == dataset }) else { continue }
            var trouble: String?
            do {
                let opened = try Dataset.open(dataset)
                for split in [dataset.split, dataset.evaluationSplit] { _ = try opened.samples(of: split) }
            } catch {
                trouble = "\(error)"
            }
            datasets.append((dataset, trouble))
        }
    }

    public var text: String {
        var table = [
            ["recipe", "dataset", "network", "loss", "iterations"] + (isChecked ? ["parameters", "data"] : [])
        ]
        for row in rows {
            let (dataset, model) = (row.recipe.dataset, row.recipe.model)
            var cells = [
                row.name, "\(dataset.kind.rawValue) \(dataset.split)",
                "\(model.head.rawValue) \(model.backbone.rawValue)", Self.loss(row.recipe),
                "\(row.recipe.schedule.iterations)",
            ]
            if isChecked {
                cells.append(row.network?.parameters.map(Self.millions) ?? "broken")
                cells.append(isPresent(dataset) ? "present" : "missing")
            }
            table.append(cells)
        }
        // Iterations and parameters are numbers.
        var lines = rows.isEmpty ? [] : alignedColumns(table, right: [4, 5]).map(\.withoutTrailingBlanks)
        lines += ["", "\(rows.count) recipe\(rows.count == 1 ? "" : "s") in \(folder)"]
        let missing = self.missing
        if !missing.isEmpty { lines += ["", "data that is not here:"] + missing.map { "  " + $0 } }
        let broken = errors + rows.compactMap { row in row.network?.error.map { "\(row.name): \($0)" } }
        if !broken.isEmpty { lines += ["", "\(broken.count) broken:"] + broken.map { "  " + $0 } }
        return lines.joined(separator: "\n")
    }

    private static func loss(_ recipe: Recipe) -> String {
        !recipe.contrast.enabled ? "ce" : recipe.synthesis.enabled ? "pico-plus" : "pico"
    }

    private func isPresent(_ dataset: DatasetSettings) -> Bool {
        datasets.contains { $0.settings == dataset && $0.trouble == nil }
    }

    /// Why datasets cannot be opened, each reason once.
    private var missing: [String] {
        var missing: [String] = []
        for trouble in datasets.compactMap(\.trouble) where !missing.contains(trouble) { missing.append(trouble) }
        return missing
    }

    // MARK: For programs

    /// What `picoflow recipes --json` prints.
    public struct Facts: Encodable, Sendable {
        public struct Entry: Encodable, Sendable {
            public var name: String
            public var dataset: String
            public var split: String
            public var head: String
            public var backbone: String
            /// `ce`, `pico` or `pico-plus`.
            public var loss: String
            public var iterations: Int
            /// With `--check`, where the network could be built.
            public var parameters: Int?
            /// With `--check`: why the network cannot be built.
            public var error: String?
            /// With `--check`: whether the dataset is there.
            public var isDataPresent: Bool?
        }

        public var folder: String
        public var recipes: [Entry]
        /// Recipes that cannot be read, each as a line that names its file.
        public var errors: [String]
        /// With `--check`: why datasets cannot be opened.
        public var missingData: [String]?
    }

    public var facts: Facts {
        Facts(
            folder: folder,
            recipes: rows.map { row in
                Facts.Entry(
                    name: row.name, dataset: row.recipe.dataset.kind.rawValue, split: row.recipe.dataset.split,
                    head: row.recipe.model.head.rawValue, backbone: row.recipe.model.backbone.rawValue,
                    loss: Self.loss(row.recipe), iterations: row.recipe.schedule.iterations,
                    parameters: row.network?.parameters, error: row.network?.error,
                    isDataPresent: isChecked ? isPresent(row.recipe.dataset) : nil)
            },
            errors: errors, missingData: isChecked ? missing : nil)
    }

    // MARK: For readers

    /// `4.4 M`
    private static func millions(_ count: Int) -> String {
        let tenths = (count + 50_000) / 100_000
        return "\(tenths / 10).\(tenths % 10) M"
    }
}
