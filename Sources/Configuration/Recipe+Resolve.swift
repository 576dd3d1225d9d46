import Basics
import Foundation
import Yams

extension Recipe {
    /// Reads a recipe: the parts it names, then its own keys, then `KEY=VALUE` overrides in their order, each over the former.
    ///
    /// - Parameters:
    ///   - path: the recipe's YAML; the files under its `parts` are sought from its folder.
    ///   - overrides: `schedule.iterations=550`, `model.atrousRates=[6, 12, 18]`, …: a dotted key and a YAML value; or
    ///     `model=NAME`: another part (`PartChoice`).
    /// - Throws: `UserError`, one line with place and nearest name, for the first thing that is wrong.
    public static func resolve(path: String, overrides: [String] = []) throws -> Recipe {
        try resolve(Document.load(path), path: path, overrides: overrides)
    }

    /// Like `resolve(path:overrides:)` for YAML in memory, `path` naming it in messages.
    public static func resolve(yaml: String, path: String, overrides: [String] = []) throws -> Recipe {
        try resolve(Document.parse(yaml, origin: .file(path, line: nil)), path: path, overrides: overrides)
    }

    private static func resolve(_ document: Document, path: String, overrides: [String]) throws -> Recipe {
        var recipe = Recipe()
        var reader = Reader(document: document, allKeys: keys.map(\.path), otherKeys: ["parts"])
        let choices = overrides.compactMap(PartChoice.init)
        let overrides = overrides.filter { PartChoice($0) == nil }
        try RecipeParts.apply(of: document, path: path, choices: choices, to: &recipe, &reader)

        reader.proceed(to: document)
        try reader.read(RecipeParts.removed(from: document.root), into: &recipe)
        for text in overrides {
            let override = try Document.override(text)
            reader.proceed(to: override)
            if let parts = override.root.first(where: { $0.key.string == "parts" }) {
                throw UserError(
                    "\(override.place(of: parts.key)): 'parts' stands in recipe files only; set single keys here, or take another part: model=NAME"
                )
            }
            try reader.read(override.root, into: &recipe)
        }
        for rule in rules {
            guard let trouble = rule.trouble(recipe) else { continue }
            throw UserError("\(reader.place(of: rule.keys) ?? .file(path, line: nil)): \(trouble)")
        }
        if recipe.model.head == .segmenter, recipe.model.imageSize == nil {
            recipe.model.imageSize = recipe.augmentation.crop
        }
        return recipe
    }

    /// All keys with their values, in a fixed order: a recipe without parts that resolves to an equal one.
    public func yaml() throws -> String {
        try Yams.serialize(node: sectionNode(), width: -1)
    }

    /// Every key that a recipe or `--set` may write, in the order of `yaml()`.
    public static let keys: [KeyDescription] = {
        let defaults = Recipe()
        return fields.flatMap { $0.describe("", defaults) }
    }()
}

/// What must hold between keys; checked once all documents are read.
private struct RecipeRule: Sendable {
    /// The message begins with the place where one of these was written last.
    let keys: [String]
    let trouble: @Sendable (Recipe) -> String?
}

private let rules = [
    RecipeRule(keys: ["dataset.root"]) { recipe in
        // A folder dataset's description says where its folders are.
        recipe.dataset.root.isEmpty && recipe.dataset.kind != .folder
            ? "'dataset.root' is missing: it names the folder that holds the dataset" : nil
    },
    RecipeRule(keys: ["dataset.kind", "dataset.description"]) { recipe in
        recipe.dataset.kind == .folder && recipe.dataset.description == nil
            ? "'dataset.description' is missing: kind 'folder' needs the YAML that describes the dataset" : nil
    },
    RecipeRule(keys: ["augmentation.crop"]) { recipe in
        // What a loader takes at most of one image.
        recipe.augmentation.crop.reduce(1, *) > 64 << 20
            ? "'augmentation.crop' must have at most 67108864 pixels, not \(recipe.augmentation.crop)" : nil
    },
    RecipeRule(keys: ["model.backbone", "model.head"]) { $0.model.mismatch },
    RecipeRule(keys: ["model.auxiliary", "model.head", "model.backbone"]) { $0.model.auxiliaryMismatch },
    RecipeRule(keys: ["schedule.frozenNorms", "model.backbone"]) { recipe in
        recipe.schedule.frozenNorms && !recipe.model.backbone.hasBatchNorms
            ? "'schedule.frozenNorms' must be false here: \(recipe.model.backbone.rawValue) has no batch norms" : nil
    },
    RecipeRule(keys: ["schedule.minLr", "schedule.lr"]) { recipe in
        recipe.schedule.minLr > recipe.schedule.lr
            ? "'schedule.minLr' must be at most 'schedule.lr', which is \(recipe.schedule.lr), not \(recipe.schedule.minLr)"
            : nil
    },
    RecipeRule(keys: ["contrast.anchors", "contrast.hardAnchors"]) { recipe in
        let (hard, all) = (recipe.contrast.hardAnchors, recipe.contrast.anchors)
        return hard > all
            ? "'contrast.hardAnchors' must be at most 'contrast.anchors', which is \(all), not \(hard)" : nil
    },
    // An evaluation's checkpoint would be seen by the mining behind it, and evaluations change no bit.
    RecipeRule(keys: ["contrast.lag", "evaluate.every"]) { recipe in
        recipe.contrast.hasLongLag && recipe.evaluate.every != nil
            ? "'contrast.lag' must be 1 where 'evaluate.every' is set, not \(recipe.contrast.lag)" : nil
    },
]

/// The files that a recipe is put together from; each holds keys of a recipe, and no parts of its own.
struct RecipeParts: Configurable {
    var dataset: String?
    var model: String?
    var loss: String?
    var schedule: String?

    static let fields: [Field<Self>] = [
        Field("dataset", optional: \.dataset, .notEmpty, summary: "file with the dataset's keys"),
        Field("model", optional: \.model, .notEmpty, summary: "file with the model's keys"),
        Field("loss", optional: \.loss, .notEmpty, summary: "file with the keys of contrast, sampler and synthesis"),
        Field("schedule", optional: \.schedule, .notEmpty, summary: "file with the schedule's keys"),
    ]

    static func removed(from root: Node.Mapping) -> Node.Mapping {
        Node.Mapping(root.filter { $0.key.string != "parts" }.map { ($0.key, $0.value) })
    }

    /// Reads the parts that the recipe names into `recipe`. Two parts may not write the same key, so their order says nothing.
    ///
    /// - Parameter choices: parts that stand for the recipe's own, the later before the earlier.
    static func apply(
        of document: Document, path: String, choices: [PartChoice], to recipe: inout Recipe, _ reader: inout Reader
    ) throws {
        guard let entry = document.root.first(where: { $0.key.string == "parts" }) else {
            if let choice = choices.first { throw choice.noSuchPart(in: path) }
            return
        }
        guard let mapping = entry.value.mapping else {
            throw UserError(
                "\(document.place(of: entry.key)): 'parts' must be a mapping of part to file, not \(describe(entry.value))"
            )
        }
        var parts = RecipeParts()
        var names = Reader(document: document, allKeys: fields.map { "parts.\($0.key)" })
        try names.read(mapping, into: &parts, prefix: "parts.")

        let folder = (path as NSString).deletingLastPathComponent
        for (name, file) in [
            ("dataset", parts.dataset), ("model", parts.model), ("loss", parts.loss), ("schedule", parts.schedule),
        ] {
            let choice = choices.last { $0.part == name }
            guard let file, let place = names.place(of: ["parts.\(name)"]) else {
                if let choice { throw choice.noSuchPart(in: path) }
                continue
            }
            let ownPath = file.hasPrefix("/") || folder.isEmpty ? file : folder + "/" + file
            let partPath = try choice?.path(insteadOf: ownPath) ?? ownPath
            guard FileManager.default.fileExists(atPath: partPath) else {
                throw UserError(
                    "\(place): there is no file \(partPath) for part '\(name)'; paths start at the recipe's folder")
            }
            let part = try Document.load(partPath)
            if let nested = part.root.first(where: { $0.key.string == "parts" }) {
                throw UserError(
                    "\(part.place(of: nested.key)): a part names no parts of its own; name them all in \(path)")
            }
            let before = reader.places
            reader.proceed(to: part)
            try reader.read(part.root, into: &recipe)
            for key in Recipe.keys.map(\.path) {
                guard let first = before[key], let second = reader.places[key], first != second else { continue }
                throw UserError("\(second): '\(key)' is already set by another part at \(first)")
            }
        }
    }
}
