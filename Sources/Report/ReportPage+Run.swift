import Basics
import Configuration
import Foundation
import StageKit

extension ReportPage {
    /// Recipe, topology, versions, the model's hash, and what happened on the way.
    var whatWasRun: String {
        section("What was run", differences + runs.indices.map { about($0) }.joined())
    }

    /// Keys in which the runs differ.
    private var differences: String {
        guard compares else { return "" }
        let settings = runs.map { $0.recipe.settings }
        let rows = settings[0].indices.compactMap { place -> String? in
            let values = settings.map { $0[place].value }
            guard Set(values).count > 1 else { return nil }
            return "<tr><th scope=row><code>\(settings[0][place].key)</code></th>"
                + values.map { "<td class=text><code>\(HTMLText.escape($0))</code></td>" }.joined() + "</tr>"
        }
        guard !rows.isEmpty else { return "<p>The runs have one and the same recipe.</p>" }
        let heads = runs.indices.map { "<th class=text>\(key($0))</th>" }.joined()
        return
            "<h3>Where the recipes differ</h3><div class=scroll><table><thead><tr><th>key</th>\(heads)</tr></thead><tbody>\(rows.joined())</tbody></table></div>"
    }

    private func about(_ index: Int) -> String {
        let run = runs[index]
        var facts: [(name: String, value: String)] = [("directory", run.path)]
        if let model = run.model {
            facts.append(
                (
                    "model",
                    "model.safetensors of step \(model.step), \(HTMLText.size(bytes: model.bytes)), SHA-256 \(model.sha256)"
                ))
        } else {
            facts.append(("model", "no checkpoint yet"))
        }
        if let dataset = run.dataset {
            facts.append(
                (
                    "dataset",
                    "\(run.recipe.dataset.root.isEmpty ? run.recipe.dataset.kind.rawValue : run.recipe.dataset.root), \(dataset.images) training images, \(dataset.classes.count) classes"
                ))
        }
        if let arithmetic = run.arithmetic { facts.append(("arithmetic", arithmetic)) }
        facts += run.versions.map { ($0.stage, $0.versions) }
        let list = facts.map { "<dt>\(HTMLText.escape($0))</dt><dd>\(HTMLText.escape($1))</dd>" }.joined()
        let changed = run.recipe.settings.filter { !$0.isDefault }.map {
            "<tr><th scope=row><code>\($0.key)</code></th><td class=text><code>\(HTMLText.escape($0.value))</code></td></tr>"
        }
        let happened = run.happenings.map { "<li>\(HTMLText.escape($0))</li>" }.joined()
        func folded(_ title: String, _ content: String, open: Bool = false) -> String {
            content.isEmpty ? "" : "<details\(open ? " open" : "")><summary>\(title)</summary>\(content)</details>"
        }
        return (compares ? "<h3>\(key(index))</h3>" : "") + "<dl class=about>\(list)</dl>"
            + folded("What happened", "<ol class=happened>\(happened)</ol>", open: !compares)
            + folded(
                "Settings that are not the default",
                changed.isEmpty ? "" : "<div class=scroll><table><tbody>\(changed.joined())</tbody></table></div>")
            + folded("The whole recipe", "<pre>\(HTMLText.escape(run.recipeText))</pre>")
            + folded("The topology", "<pre>\(HTMLText.escape(run.topologyText))</pre>")
    }
}
