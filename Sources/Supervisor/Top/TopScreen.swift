import Basics
import StageKit

/// The live view of `picoflow top` as a value: keys and reports go in, requests come out, lines can be had at any time. No
/// terminal, no clock, no sockets.
struct TopScreen {
    enum Event {
        case key(TerminalKey)
        case report(StatusReport)
        /// There is no report this time; the sentence says why.
        case silence(String)
        /// What was asked for was done, or was not.
        case done(String)
        case refused(String)
    }

    enum Action: Equatable {
        case ask(ControlClient.Request, said: String)
        case suspend
        case quit
    }

    private enum Mode: Equatable {
        case watching
        /// The settings of a swap are being typed.
        case swapping(stage: String, text: String)
        case confirmingStop
    }

    private(set) var report: StatusReport?
    /// Of the stage that keys mean; kept by name, as rows come and go.
    private var selected: Replica?
    private var mode = Mode.watching
    private var notice: TopLines.Line?
    private var silence: String?

    /// Whether nothing more will happen to the run.
    var isOver: Bool { report?.phase == .ended && report?.outcome != nil }

    private var row: Int {
        let stages = report?.stages ?? []
        return stages.firstIndex { Replica($0.stage, $0.id) == selected } ?? 0
    }

    mutating func handle(_ event: Event) -> [Action] {
        switch event {
        case .report(let report):
            self.report = report
            silence =
                report.phase == .ended && report.outcome == nil
                ? "its supervisor is gone; go on with: picoflow launch --resume \(shellWord(report.runDirectory))" : nil
            if report.stages.isEmpty { selected = nil }
            return []
        case .silence(let why):
            silence = why
            return []
        case .done(let text):
            notice = TopLines.Line(text: text.printable)
            return []
        case .refused(let why):
            notice = TopLines.Line(text: why.printable, style: .warning)
            return []
        case .key(.interrupt): return [.quit]
        case .key(.suspend): return [.suspend]
        case .key(let key):
            switch mode {
            case .watching: return watch(key)
            case .swapping(let stage, let text): return type(key, stage, text)
            case .confirmingStop:
                mode = .watching
                return key == .character("y") ? [.ask(.stop, said: "the run is stopping")] : []
            }
        }
    }

    private mutating func watch(_ key: TerminalKey) -> [Action] {
        switch key {
        case .character("q"), .escape: return [.quit]
        case .up, .character("k"): move(-1)
        case .down, .character("j"): move(1)
        case .character("+"), .character("="): return scale(1)
        case .character("-"): return scale(-1)
        case .character("s"):
            if let stage = stageToSwap {
                mode = .swapping(stage: stage, text: "")
            } else {
                notice = TopLines.Line(text: "this run has no miner to swap", style: .warning)
            }
        case .character("x"): mode = .confirmingStop
        default: break
        }
        return []
    }

    private mutating func move(_ rows: Int) {
        guard let stages = report?.stages, !stages.isEmpty else { return }
        let stage = stages[min(stages.count - 1, max(0, row + rows))]
        selected = Replica(stage.stage, stage.id)
    }

    private mutating func scale(_ more: Int) -> [Action] {
        guard let report, report.stages.indices.contains(row) else { return [] }
        let name = report.stages[row].stage
        guard let count = report.replicas?[name] else {
            notice = TopLines.Line(text: "'\(name)' cannot be scaled now", style: .warning)
            return []
        }
        let wanted = count + more
        guard wanted >= 1 else { return [] }
        // Until the next report has it, so that two strokes are two replicas.
        self.report?.replicas?[name] = wanted
        return [.ask(.scale(ScaleRequest(stages: [name: wanted])), said: "\(name): \(count) → \(wanted)")]
    }

    /// The selected stage if it mines, else the first that does.
    private var stageToSwap: String? {
        guard let stages = report?.stages else { return nil }
        let miners = stages.filter { $0.kind == .miner }.map(\.stage)
        return stages.indices.contains(row) && miners.contains(stages[row].stage) ? stages[row].stage : miners.first
    }

    private mutating func type(_ key: TerminalKey, _ stage: String, _ text: String) -> [Action] {
        switch key {
        case .character(let character): mode = .swapping(stage: stage, text: text + String(character))
        case .backspace: mode = .swapping(stage: stage, text: String(text.dropLast()))
        case .enter:
            mode = .watching
            do {
                let settings = try shellWords(text)
                if !settings.isEmpty {
                    notice = TopLines.Line(text: "the swap of \(stage) waits for its step")
                    return [.ask(.swap(SwapRequest(stage: stage, set: settings)), said: "\(stage) is swapped")]
                }
            } catch {
                notice = TopLines.Line(text: "\(error)".printable, style: .warning)
            }
        case .escape: mode = .watching
        case .up, .down, .interrupt, .suspend: break
        }
        return []
    }

    // MARK: What it looks like

    func lines(width: Int, height: Int) -> [TopLines.Line] {
        var foot: [TopLines.Line] = []
        if let silence { foot.append(TopLines.Line(text: silence.printable, style: .warning)) }
        if let notice { foot.append(notice) }
        switch mode {
        case .watching:
            foot.append(
                TopLines.Line(
                    text: width >= 60
                        ? "↑↓ choose   + more   - fewer   s swap   x stop   q quit" : "↑↓ + - s:swap x:stop q:quit",
                    style: .faint))
        case .swapping(let stage, let text):
            let prompt = "swap \(stage), KEY=VALUE … : "
            // Its end is what is being typed.
            let shown = text.printable.suffix(max(0, width - prompt.count - 1))
            foot.append(TopLines.Line(text: prompt + shown + "_", style: .title))
        case .confirmingStop:
            foot.append(
                TopLines.Line(text: "stop the run after its step in hand, with a checkpoint? y/n", style: .title))
        }
        foot = foot.map { TopLines.Line(text: $0.text.cut(to: width), style: $0.style) }
        guard let report else {
            let waiting = TopLines.Line(text: silence == nil ? "asking the supervisor …".cut(to: width) : "")
            return Array(([waiting] + foot).suffix(max(0, height)))
        }
        return TopLines.screen(report, selected: row, foot: foot, width: width, height: height)
    }
}
