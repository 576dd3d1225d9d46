import Basics
import Foundation
import StageKit
import Supervisor

/// One HTML page on a run, or on several beside each other: everything is in the file, it loads nothing.
///
/// Shows what there is: a run without an evaluation has curves, one that never came to a step says so.
public struct ReportPage {
    let runs: [RunRecord]
    /// What the runs are called on the page: their folders' names, or their paths where two have one name.
    let names: [String]

    /// - Parameter paths: run directories, at least one.
    /// - Throws: `UserError` that says in one line which of them is no run, and why.
    public init(runs paths: [String]) throws {
        guard !paths.isEmpty else { throw UserError("a report needs a run's directory") }
        runs = try paths.map { try RunRecord($0) }
        let short = runs.map(\.name)
        let all = runs
        names = all.indices.map { index in
            short.filter { $0 == short[index] }.count > 1 ? all[index].path : short[index]
        }
    }

    /// Whether several runs are compared.
    var compares: Bool { runs.count > 1 }

    public var html: String {
        let title = compares ? "\(runs.count) runs" : names[0]
        let sections = [
            heading, comparison, curves, classTable, confusionMatrices, pictures, whatWasRun,
        ].filter { !$0.isEmpty }
        return """
            <!DOCTYPE html>
            <html lang=en>
            <head>
            <meta charset=utf-8>
            <meta name=viewport content="width=device-width, initial-scale=1">
            <meta name=color-scheme content="light dark">
            <title>\(HTMLText.escape(title)) - PicoFlow</title>
            <style>
            \(Self.style)
            </style>
            </head>
            <body>
            \(sections.joined(separator: "\n"))
            <script>
            \(Self.script)
            </script>
            </body>
            </html>

            """
    }

    /// A titled part of the page; empty where it has no content.
    func section(_ title: String, note: String = "", _ content: String) -> String {
        guard !content.isEmpty else { return "" }
        let small = note.isEmpty ? "" : " <small>\(HTMLText.escape(note))</small>"
        return "<section>\n<h2>\(HTMLText.escape(title))\(small)</h2>\n\(content)\n</section>"
    }

    /// A run's name in its colour.
    func key(_ index: Int) -> String {
        "<span class=\"key c\(index % Self.colors)\">\(HTMLText.escape(names[index]))</span>"
    }

    /// How many colours the page has for runs and classes' bars; more runs share them.
    static let colors = 6

    // MARK: The head

    private var heading: String {
        guard !compares else {
            let list = runs.indices.map {
                "<li>\(key($0)) \(pill(runs[$0].state)) <small>\(HTMLText.escape(what(runs[$0])))</small></li>"
            }
            return "<header>\n<h1>\(runs.count) runs compared</h1>\n<ul class=runs>\(list.joined())</ul>\n</header>"
        }
        let run = runs[0]
        let facts = facts(run).map { "<div><dt>\($0)</dt><dd>\(HTMLText.escape($1))</dd></div>" }
        return """
            <header>
            <div class=title><h1>\(HTMLText.escape(names[0]))</h1>\(pill(run.state))</div>
            <p>\(HTMLText.escape(what(run)))</p>
            \(remark(run))<dl class=facts>\(facts.joined())</dl>
            </header>
            """
    }

    /// `deeplabv3 on mobilenetv2, camvid, PiCo`.
    private func what(_ run: RunRecord) -> String {
        let recipe = run.recipe
        let loss = recipe.contrast.enabled ? (recipe.synthesis.enabled ? "PiCo+" : "PiCo") : "cross-entropy alone"
        return
            "\(recipe.model.head.rawValue) on \(recipe.model.backbone.rawValue), \(recipe.dataset.kind.rawValue), \(loss), seed \(recipe.seed)"
    }

    private func pill(_ state: RunRecord.State) -> String {
        let (kind, text) =
            switch state {
            case .notStarted: ("bad", "not started")
            case .running: ("good", "running")
            case .finished: ("good", "finished")
            case .stopped: ("warn", "stopped")
            case .failed: ("bad", "failed")
            case .cutOff: ("bad", "cut off")
            }
        return "<span class=\"pill \(kind)\">\(text)</span>"
    }

    /// What a reader should do about a run that is not finished.
    private func remark(_ run: RunRecord) -> String {
        let resume = "<code>picoflow launch --resume \(HTMLText.escape(shellWord(run.path)))</code>"
        let text: String
        switch run.state {
        case .finished, .running: return ""
        case .notStarted:
            text = "It never began to train: see its logs in <code>\(HTMLText.escape(run.path))/logs</code>."
        case .stopped: text = "Go on with \(resume)"
        case .failed(let why): text = "\(HTMLText.escape(why)). When that is mended, go on with \(resume)"
        case .cutOff: text = "Its supervisor ended without a word, by a kill or a power cut. Go on with \(resume)"
        }
        return "<p class=remark>\(text)</p>\n"
    }

    /// Names and values of what one looks for first.
    func facts(_ run: RunRecord) -> [(name: String, value: String)] {
        var facts: [(name: String, value: String)] = []
        if let found = run.evaluation, found.mIoU != nil || found.pixelAccuracy != nil {
            let at = found.step.map { " at step \(HTMLText.grouped(Int($0)))" } ?? ""
            facts.append(("mIoU on \(HTMLText.escape(found.split))\(at)", HTMLText.percent(found.mIoU)))
            facts.append(("pixel accuracy", HTMLText.percent(found.pixelAccuracy)))
            facts.append(("mean accuracy", HTMLText.percent(found.meanAccuracy)))
        }
        guard let last = run.steps.last else { return facts + [("steps", "none yet")] }
        facts.append(
            ("steps", "\(HTMLText.grouped(Int(last.step))) of \(HTMLText.grouped(run.recipe.schedule.iterations))"))
        facts.append(
            ("time in steps", durationText(seconds: run.steps.reduce(0) { $0 + finite($1.milliseconds) } / 1000)))
        facts.append(("images/s", HTMLText.number(last.imagesPerSecond)))
        facts.append(("cross-entropy", HTMLText.number(run.recent { $0.ce } ?? .nan)))
        if let nce = run.recent({ $0.nce }) { facts.append(("contrastive loss", HTMLText.number(nce))) }
        return facts
    }

    private func finite(_ value: Double) -> Double { value.isFinite ? value : 0 }

    /// One row per run.
    private var comparison: String {
        guard compares else { return "" }
        let columns = [
            "mIoU", "best mIoU", "pixel accuracy", "cross-entropy", "contrastive loss", "steps", "time in steps",
            "images/s",
        ]
        let measured = runs.compactMap { $0.evaluation?.mIoU }
        let best = measured.max().flatMap { $0 > measured.min()! ? $0 : nil }
        let rows = runs.indices.map { index -> String in
            let run = runs[index]
            let mIoU = run.evaluation?.mIoU
            let cells = [
                "<td\(mIoU != nil && mIoU == best ? " class=best" : "")>\(mIoU.map { HTMLText.percent($0) } ?? "-")</td>",
                run.scores.compactMap { score in score.mIoU.map { ($0, score.step) } }.max { $0.0 < $1.0 }.map {
                    "<td>\(HTMLText.percent($0.0)) <small>step \($0.1)</small></td>"
                } ?? "<td>-</td>",
                "<td>\(run.evaluation?.pixelAccuracy.map { HTMLText.percent($0) } ?? "-")</td>",
                "<td>\(run.recent { $0.ce }.map(HTMLText.number) ?? "-")</td>",
                "<td>\(run.recent { $0.nce }.map(HTMLText.number) ?? "-")</td>",
                "<td>\(run.steps.last.map { HTMLText.grouped(Int($0.step)) } ?? "0")</td>",
                "<td>\(durationText(seconds: run.steps.reduce(0) { $0 + finite($1.milliseconds) } / 1000))</td>",
                "<td>\(run.steps.last.map { HTMLText.number($0.imagesPerSecond) } ?? "-")</td>",
            ]
            return "<tr><th scope=row>\(key(index))</th>\(cells.joined())</tr>"
        }
        let head = "<tr><th>run</th>" + columns.map { "<th>\($0)</th>" }.joined() + "</tr>"
        return section(
            "Results", note: "losses are means of the last 50 steps",
            "<div class=scroll><table><thead>\(head)</thead><tbody>\(rows.joined())</tbody></table></div>")
    }
}

extension RunRecord {
    /// Mean over the last 50 steps that have the number: single steps jump about.
    func recent(_ value: (StepMetrics) -> Double?) -> Double? {
        let values = steps.suffix(50).compactMap(value).filter(\.isFinite)
        return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
}
