import Basics
import Configuration
import Foundation
import StageKit

/// What a sweep trains: every variant of its recipes with every seed.
public struct SweepPlan: Sendable {
    /// A recipe with one value of each key that is swept over.
    public struct Variant: Sendable, Equatable {
        /// The recipe's name where there are several, then `key=value` for each key, its last component
        /// only where no other key has the same.
        public var name: String
        public var recipe: String
        /// As `--set` takes them.
        public var overrides: [String]
    }

    /// One run.
    public struct Cell: Sendable {
        public var variant: Int
        public var seed: Int
        /// The run's folder in the sweep's.
        public var name: String
        public var recipe: Recipe
    }

    public let variants: [Variant]
    /// All variants with one seed before the next seed: what is there after an interruption compares.
    public let cells: [Cell]

    /// - Parameters:
    ///   - recipes: paths of recipes.
    ///   - over: `KEY=VALUE,VALUE,…`, several of them for all combinations.
    ///   - seeds: how many; 0, 1, … take the place of the recipe's own.
    ///   - overrides: as `--set` takes them, for all variants.
    /// - Throws: `UserError` for anything that a launch of one of them would refuse to read.
    public init(recipes: [String], over: [String], seeds: Int, overrides: [String]) throws {
        guard seeds > 0 else { throw UserError("--seeds \(seeds): at least one is needed") }
        if let text = overrides.first(where: { $0.hasPrefix("seed=") }) {
            throw UserError("--set \(text): a sweep trains seeds 0, 1, …; --seeds says how many")
        }
        let axes = try over.map(SweepAxis.init(parsing:))
        for (place, axis) in axes.enumerated() where axes[..<place].contains(where: { $0.key == axis.key }) {
            throw UserError("--over \(axis.key): stands there twice; give all its values in one")
        }
        var variants: [Variant] = []
        for recipe in recipes {
            let base = ((recipe as NSString).lastPathComponent as NSString).deletingPathExtension
            var found = [Variant(name: recipes.count > 1 || axes.isEmpty ? base : "", recipe: recipe, overrides: [])]
            for axis in axes {
                let isAlone = axes.count { $0.shortKey == axis.shortKey } == 1
                found = found.flatMap { variant in
                    axis.values.map { value in
                        Variant(
                            name: variant.name + (variant.name.isEmpty ? "" : " ")
                                + "\(isAlone ? axis.shortKey : axis.key)=\(value)",
                            recipe: recipe, overrides: variant.overrides + ["\(axis.key)=\(value)"])
                    }
                }
            }
            variants += found
        }
        var cells: [Cell] = []
        for seed in 0..<seeds {
            for (index, variant) in variants.enumerated() {
                cells.append(
                    Cell(
                        variant: index, seed: seed, name: "\(Self.fileName(variant.name))-seed-\(seed)",
                        recipe: try Recipe.resolve(
                            path: variant.recipe, overrides: overrides + variant.overrides + ["seed=\(seed)"])))
            }
        }
        var seen: Set<String> = []
        for cell in cells where !seen.insert(cell.name).inserted {
            throw UserError("two variants are called '\(cell.name)'; give their recipes or values different names")
        }
        self.variants = variants
        self.cells = cells
    }

    /// Letters, digits and what else is harmless in a path and in a shell.
    private static func fileName(_ name: String) -> String {
        String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber || "._=-".contains($0)) ? $0 : "-" })
    }
}

/// A key and the values that it takes.
struct SweepAxis: Equatable {
    var key: String
    var values: [String]

    /// `sampler.strategy=random,hardest`; commas within brackets belong to a value: `augmentation.crop=[48,64],[96,128]`.
    init(parsing text: String) throws {
        guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
            throw UserError("--over \(text): KEY=VALUE,VALUE,… was expected")
        }
        key = String(text[..<equals])
        guard key != "seed" else { throw UserError("--over \(text): seeds are --seeds") }
        values = [""]
        var depth = 0
        for character in text[text.index(after: equals)...] {
            if "[{".contains(character) { depth += 1 }
            if "]}".contains(character) { depth -= 1 }
            if character == ",", depth == 0 { values.append("") } else { values[values.count - 1].append(character) }
        }
        values = values.map { $0.trimmingCharacters(in: .whitespaces) }
        guard !values.contains("") else { throw UserError("--over \(text): a value is empty") }
        guard Set(values).count == values.count else { throw UserError("--over \(text): a value stands there twice") }
    }

    /// What tells it apart for readers: `strategy` of `sampler.strategy`.
    var shortKey: String { key.split(separator: ".").last.map(String.init) ?? key }
}
