import Foundation
import StageKit

/// What `picoflow top` shows, as lines of text: pure functions of the report.
enum TopLines {
    /// How a terminal shows a line; elsewhere it says nothing.
    enum Style: Equatable { case plain, title, header, selected, faint, warning }

    struct Line: Equatable {
        var text: String
        var style = Style.plain
    }

    /// Everything, for output that has no height.
    static func all(_ report: StatusReport, width: Int) -> [Line] {
        var lines = head(report, width: width)
        let stages = stageTable(report).lines(width: width)
        if stages.count > 1 { lines += [Line(text: "")] + titled(stages) }
        let links = linkTable(report).lines(width: width)
        if links.count > 1 { lines += [Line(text: "")] + titled(links) }
        return lines
    }

    /// A screen of exactly `height` lines or fewer, with `foot` at its bottom.
    ///
    /// Stages that do not fit scroll with the selected one; links need room that stages leave.
    static func screen(_ report: StatusReport, selected: Int, foot: [Line], width: Int, height: Int) -> [Line] {
        var lines = head(report, width: width)
        let stages = stageTable(report).lines(width: width)
        let links = linkTable(report).lines(width: width)
        let room = height - foot.count - lines.count
        let linkRoom = links.count > 1 ? links.count + 1 : 0
        let showsLinks = linkRoom > 0 && room - linkRoom >= min(stages.count, 4) + 1
        let stageRoom = room - (showsLinks ? linkRoom : 0)
        if stages.count > 1, stageRoom >= 3 {
            lines += [Line(text: ""), Line(text: stages[0], style: .header)]
            let rows = stages.count - 1
            let shown = min(rows, stageRoom - 2)
            let first = min(max(0, selected - shown + 1), rows - shown)
            for row in first..<first + shown {
                lines.append(Line(text: stages[row + 1], style: row == selected ? .selected : .plain))
            }
        }
        if showsLinks { lines += [Line(text: "")] + titled(links) }
        lines += [Line](repeating: Line(text: ""), count: max(0, height - foot.count - lines.count))
        return Array((lines.prefix(max(0, height - foot.count)) + foot).suffix(max(0, height)))
    }

    private static func titled(_ table: [String]) -> [Line] {
        table.enumerated().map { Line(text: $1, style: $0 == 0 ? .header : .plain) }
    }

    /// The run: phase, progress, losses, newest evaluation and swap.
    private static func head(_ report: StatusReport, width: Int) -> [Line] {
        let evaluated = report.evaluated.map { (done: $0.done, total: $0.total) }
        // The block's last line counts the stages, which are listed here.
        var texts = ProgressText.block(report, evaluated: evaluated).dropLast().map { $0.trimmed }
        if let outcome = report.outcome { texts.append(outcome) }
        return texts.enumerated().map { Line(text: $1.printable.cut(to: width), style: $0 == 0 ? .title : .plain) }
    }

    static func stageTable(_ report: StatusReport) -> TextTable {
        TextTable(
            columns: [
                .init(title: "STAGE"), .init(title: "HOST", keep: 1), .init(title: "PID", alignsRight: true, keep: 2),
                .init(title: "CPU", alignsRight: true, keep: 6), .init(title: "MEMORY", alignsRight: true, keep: 4),
                .init(title: "TICKETS/S", alignsRight: true, keep: 5), .init(title: "STATE"),
                .init(title: "RESTARTS", alignsRight: true, keep: 3),
            ],
            rows: report.stages.map { stage in
                [
                    "\(stage.stage)-\(stage.id)", stage.host?.printable ?? "-", stage.pid.map { "\($0)" } ?? "-",
                    stage.rates?[ProcessMetric.cpu].map { "\(Int(($0 * 100).rounded())) %" } ?? "-",
                    stage.metrics[ProcessMetric.resident].map(Units.bytes) ?? "-",
                    stage.rates?[WorkerMetric.tickets].map { Units.rate($0) } ?? "",
                    stage.waitingOn.map { "waits for \($0)".printable } ?? stage.state.rawValue,
                    stage.restarts > 0 ? "\(stage.restarts)" : "",
                ]
            })
    }

    static func linkTable(_ report: StatusReport) -> TextTable {
        TextTable(
            columns: [
                .init(title: "LINK"), .init(title: "OF", keep: 5),
                .init(title: "UNDER WAY", alignsRight: true, keep: 3),
                .init(title: "READY", alignsRight: true, keep: 4),
                .init(title: "PER SECOND", alignsRight: true, keep: 6),
                .init(title: "BYTES/S", alignsRight: true, keep: 7),
            ],
            rows: (report.links ?? []).map { link in
                [
                    "\(link.from) → \(link.to)", link.label, link.underWay.map { "\(Int($0))" } ?? "",
                    link.ready.map { "\(Int($0))" } ?? "", link.perSecond.map { Units.rate($0) } ?? "-",
                    link.bytesPerSecond.map(Units.bytes) ?? "-",
                ]
            })
    }
}

/// Numbers as people read them.
enum Units {
    /// `812 B`, `4.1 MiB`, `120 MiB`: three digits at most.
    static func bytes(_ count: Double) -> String {
        guard count.isFinite, count >= 0 else { return "-" }
        var (value, unit) = (count, 0)
        let names = ["B", "KiB", "MiB", "GiB", "TiB"]
        while value >= 999.5, unit < names.count - 1 { (value, unit) = (value / 1024, unit + 1) }
        return String(format: value < 9.95 && unit > 0 ? "%.1f" : "%.0f", value) + " " + names[unit]
    }

    static func rate(_ perSecond: Double) -> String {
        perSecond.isFinite ? String(format: perSecond < 99.95 ? "%.1f" : "%.0f", perSecond) : "-"
    }
}

extension String {
    fileprivate var trimmed: String { trimmingCharacters(in: .whitespaces) }
}
