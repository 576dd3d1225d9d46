import Basics
import Foundation
import Supervisor

extension ReportPage {
    /// Each class's IoU, of one run with what it is taken for, of several beside each other.
    var classTable: String {
        guard runs.contains(where: { $0.evaluation != nil }) else {
            let path = HTMLText.escape(shellWord(runs[0].path))
            return section(
                "Classes",
                "<p>No evaluation has been made. <code>picoflow eval --run \(path)</code> measures a checkpoint, and a run that finishes is measured by itself.</p>"
            )
        }
        return compares ? comparedClasses : classes(of: runs[0])
    }

    private func swatch(_ run: RunRecord, _ index: Int) -> String {
        guard let palette = run.dataset?.palette, palette.indices.contains(index), palette[index].count == 3 else {
            return ""
        }
        let color = palette[index].map(String.init).joined(separator: ",")
        return "<i class=swatch style=\"background:rgb(\(color))\"></i>"
    }

    private func bar(_ value: Double?, best: Bool = false) -> String {
        guard let value else { return "<td class=faint>absent</td>" }
        return
            "<td class=\"bar\(best ? " best" : "")\" style=\"--v:\(String(format: "%.3f", value))\">\(HTMLText.percent(value))</td>"
    }

    private func classes(of run: RunRecord) -> String {
        guard let found = run.evaluation else { return "" }
        let matrix = found.matrix
        let total = matrix.map { Double($0.joined().reduce(0, +)) } ?? 0
        let rows = found.classes.indices.map { c -> String in
            var cells =
                "<th scope=row>\(swatch(run, c))\(HTMLText.escape(found.classes[c].name))</th>"
                + bar(found.classes[c].iou)
            if let matrix {
                let labelled = Double(matrix[c].reduce(0, +))
                cells +=
                    found.accuracy(of: c).map { "<td>\(HTMLText.percent($0))</td>" } ?? "<td class=faint>absent</td>"
                cells += "<td>\(total > 0 ? HTMLText.percent(labelled / total) : "-")</td>"
                let wrong = matrix[c].indices.filter { $0 != c && matrix[c][$0] > 0 }.max {
                    matrix[c][$0] < matrix[c][$1]
                }
                cells +=
                    wrong.map {
                        "<td class=text>\(HTMLText.escape(found.classes[$0].name)) <small>\(HTMLText.percent(Double(matrix[c][$0]) / labelled))</small></td>"
                    } ?? "<td class=text>-</td>"
            }
            return "<tr>\(cells)</tr>"
        }
        let more = matrix == nil ? "" : "<th>accuracy</th><th>of all pixels</th><th class=text>mostly taken for</th>"
        let mean =
            "<tr><th scope=row>mean</th>\(bar(found.mIoU))"
            + (matrix == nil ? "" : "<td>\(HTMLText.percent(found.meanAccuracy))</td><td></td><td></td>") + "</tr>"
        return section(
            "Classes", note: note(found),
            "<div class=scroll><table class=classes><thead><tr><th>class</th><th>IoU</th>\(more)</tr></thead><tbody>\(rows.joined())</tbody><tfoot>\(mean)</tfoot></table></div>"
        )
    }

    /// `val, 101 images, step 550`.
    func note(_ found: EvaluationReport) -> String {
        "\(found.split), \(found.images) image\(found.images == 1 ? "" : "s")"
            + (found.step.map { ", step \(HTMLText.grouped(Int($0)))" } ?? "")
    }

    /// By the classes' names: runs of several datasets have some in common, or none.
    private var comparedClasses: String {
        var names: [(name: String, run: Int, index: Int)] = []
        for (r, run) in runs.enumerated() {
            for (c, found) in (run.evaluation?.classes ?? []).enumerated()
            where !names.contains(where: { $0.name == found.name }) {
                names.append((found.name, r, c))
            }
        }
        func row(_ name: String, _ values: [Double??]) -> String {
            let there = values.compactMap { $0 ?? nil }
            // Where all are equal none is the best.
            let best = there.max().flatMap { $0 > there.min()! ? $0 : nil }
            return "<tr><th scope=row>\(name)</th>"
                + values.map { value in
                    guard let value else { return "<td class=faint>-</td>" }
                    return bar(value, best: value != nil && value == best)
                }.joined() + "</tr>"
        }
        let rows = names.map { name, r, c in
            row(
                swatch(runs[r], c) + HTMLText.escape(name),
                runs.map { run in run.evaluation?.classes.first { $0.name == name }.map { $0.iou } })
        }
        let mean = row("mean", runs.map { run in run.evaluation.map { $0.mIoU } })
        let heads = runs.indices.map { index in
            "<th>\(key(index))"
                + (runs[index].evaluation.map { "<br><small>\(HTMLText.escape(note($0)))</small>" }
                    ?? "<br><small>not evaluated</small>")
                + "</th>"
        }
        return section(
            "Classes", note: "IoU, the best of each row marked",
            "<div class=scroll><table class=classes><thead><tr><th>class</th>\(heads.joined())</tr></thead><tbody>\(rows.joined())</tbody><tfoot>\(mean)</tfoot></table></div>"
        )
    }
}
