import Configuration
import StageKit
import Testing
import Wire

@testable import Supervisor

/// `picoflow top` without a terminal: reports and keys in, lines and requests out.
@Suite struct TopScreenTests {
    private func report(loaders: Int = 2, phase: StatusReport.Phase = .training) -> StatusReport {
        func stage(_ name: StageKind, _ id: Int, _ metrics: [String: Double] = [:], _ rates: [String: Double]? = nil)
            -> StatusReport.Stage
        {
            StatusReport.Stage(
                stage: name.rawValue, id: id, pid: Int32(100 + id), host: "gpu1.cluster", state: .running,
                restarts: id - 1,
                metrics: metrics, kind: name, rates: rates)
        }
        var report = StatusReport(
            run: "quick-1", runDirectory: "/runs/quick-1", epoch: 1, phase: phase, stages: [], step: 120,
            iterations: 550, imagesPerSecond: 11.24, etaSeconds: 312,
            metrics: StepMetrics(step: 120, lr: 0.04, ce: 0.93, milliseconds: 700, waitedForSamples: 14),
            checkpoint: 100)
        report.stages = [stage(.bank, 1), stage(.compute, 1, [ProcessMetric.resident: 1.5 * 1_073_741_824])]
        report.stages += (1...loaders).map {
            stage(.loader, $0, [:], [ProcessMetric.cpu: 0.97, WorkerMetric.tickets: 11.2])
        }
        report.stages.append(stage(.miner, 1))
        report.stages[1].state = .waiting
        report.stages[1].waitingOn = "samples"
        report.links = [
            StatusReport.Link(
                from: "loader", to: "compute", label: "samples", underWay: 12, ready: 3, perSecond: 11.2,
                bytesPerSecond: 4_300_000)
        ]
        report.replicas = ["loader": loaders, "miner": 1]
        return report
    }

    private func screen(_ report: StatusReport? = nil) -> TopScreen {
        var screen = TopScreen()
        _ = screen.handle(.report(report ?? self.report()))
        return screen
    }

    private func press(_ screen: inout TopScreen, _ keys: String) -> [TopScreen.Action] {
        TerminalKey.parse(Array(keys.utf8)).flatMap { screen.handle(.key($0)) }
    }

    private func text(_ screen: TopScreen, width: Int = 100, height: Int = 30) -> String {
        screen.lines(width: width, height: height).map(\.text).joined(separator: "\n")
    }

    @Test func everythingOfARunIsInView() {
        let text = text(screen())
        for part in [
            "quick-1  training  checkpoint 100", "step 120/550", "11.2 images/s", "eta 5 min 12 s", "loader-2",
            "gpu1.cluster", "102",
            "97 %", "1.5 GiB", "11.2", "waits for samples", "loader → compute", "samples", "12", "4.1 MiB", "q quit",
        ] {
            #expect(text.contains(part), "\(part) in\n\(text)")
        }
    }

    @Test func linesNeverExceedTheTerminal() {
        for width in [1, 2, 10, 20, 37, 60, 79, 80, 200] {
            for height in [0, 1, 2, 5, 8, 12, 24, 60] {
                var screen = screen(report(loaders: 40))
                for mode in ["", "s", "sampler.strategy=hardest sampler.positives=2 and so on and on and on"] {
                    _ = press(&screen, mode)
                    let lines = screen.lines(width: width, height: height)
                    #expect(lines.count <= height && lines.allSatisfy { $0.text.count <= width }, "\(width)x\(height)")
                }
            }
        }
    }

    @Test func narrowTerminalsKeepNamesAndStates() {
        let text = text(screen(), width: 44)
        #expect(text.contains("loader-1") && text.contains("waits for samples") && !text.contains("gpu1"), "\(text)")
    }

    @Test func stagesScrollWithTheSelectedOne() {
        var screen = screen(report(loaders: 40))
        #expect(!text(screen, height: 16).contains("loader-40"))
        _ = press(&screen, String(repeating: "j", count: 41))
        let lines = screen.lines(width: 100, height: 16)
        #expect(lines.contains { $0.text.hasPrefix("loader-40 ") && $0.style == .selected }, "\(lines)")
        _ = press(&screen, String(repeating: "\u{1b}[A", count: 60))
        #expect(screen.lines(width: 100, height: 16).contains { $0.text.hasPrefix("bank-1 ") && $0.style == .selected })
    }

    @Test func plusAndMinusScaleTheSelectedStage() {
        var screen = screen()
        #expect(press(&screen, "+") == [], "a bank cannot be scaled")
        #expect(text(screen).contains("'bank' cannot be scaled now"))
        #expect(
            press(&screen, "jj++")
                == [3, 4].map { .ask(.scale(ScaleRequest(stages: ["loader": $0])), said: "loader: \($0 - 1) → \($0)") })
        _ = screen.handle(.report(report(loaders: 4)))
        #expect(
            press(&screen, "-") == [.ask(.scale(ScaleRequest(stages: ["loader": 3])), said: "loader: 4 → 3")])
        _ = screen.handle(.refused("loader=0: a stage has 1 to 65535 replicas"))
        #expect(
            screen.lines(width: 100, height: 30).contains { $0.text.contains("1 to 65535") && $0.style == .warning })
    }

    @Test func swapIsTypedAndCanBeCorrectedOrLeft() {
        var screen = screen()
        #expect(press(&screen, "ssampler.strategy=hardesx\u{7f}t sampler.pool=0.2") == [])
        #expect(text(screen).contains("swap miner, KEY=VALUE … : sampler.strategy=hardest sampler.pool=0.2_"))
        #expect(
            press(&screen, "\r") == [
                .ask(
                    .swap(SwapRequest(stage: "miner", set: ["sampler.strategy=hardest", "sampler.pool=0.2"])),
                    said: "miner is swapped")
            ])
        #expect(press(&screen, "sabc\u{1b}") == [] && press(&screen, "q") == [.quit])
        #expect(press(&screen, "s'open\r") == [])
        #expect(text(screen).contains("has a quote that is not closed"))
        #expect(press(&screen, "s\r") == [], "nothing typed is nothing asked")
    }

    @Test func stopAsksFirst() {
        var screen = screen()
        #expect(press(&screen, "xn") == [])
        #expect(press(&screen, "xy") == [.ask(.stop, said: "the run is stopping")])
    }

    @Test func interruptAndSuspendWorkWhereverOneIs() {
        for mode in ["", "s", "x"] {
            var screen = screen()
            #expect(press(&screen, mode + "\u{3}") == [.quit])
            #expect(press(&screen, "\u{1a}") == [.suspend])
        }
    }

    @Test func endOfTheRunAndDeathOfItsSupervisorAreTold() {
        var screen = screen()
        _ = screen.handle(.silence("the supervisor of /runs/quick-1 does not answer"))
        #expect(text(screen).contains("does not answer") && text(screen).contains("loader-1"), "the last state stays")
        var dead = report(phase: .ended)
        dead.stages = []
        _ = screen.handle(.report(dead))
        #expect(!screen.isOver && text(screen).contains("picoflow launch --resume /runs/quick-1"))
        _ = screen.handle(.report(report()))
        #expect(!text(screen).contains("--resume"), "another supervisor took it over")
        dead.outcome = "finished at step 550"
        _ = screen.handle(.report(dead))
        #expect(screen.isOver && text(screen).contains("finished at step 550"))
        #expect(press(&screen, "+sxj") == [])
    }

    @Test func namesCannotSteerTheTerminal() {
        var report = report()
        report.stages[0].host = "a\u{1b}[2Jb\u{7}\u{9b}c"
        report.stages[1].waitingOn = "x\ny\u{202e}z"
        let text = TopLines.all(report, width: .max).map(\.text).joined(separator: "|")
        #expect(
            text.unicodeScalars.allSatisfy { $0.value >= 32 && !(127..<160).contains($0.value) && $0.value != 0x202e })
        #expect(text.contains("a\u{fffd}[2Jb\u{fffd}\u{fffd}c"))
    }

    @Test func keysAreReadAsTerminalsSendThem() {
        #expect(
            TerminalKey.parse(Array("q\u{1b}[A\u{1b}OB\u{1b}[1;5C\u{1b}".utf8)) == [
                .character("q"), .up, .down, .escape,
            ])
        #expect(TerminalKey.parse([3, 13, 127, 26, 1]) == [.interrupt, .enter, .backspace, .suspend])
        #expect(TerminalKey.parse(Array("ä".utf8)) == [.character("ä")])
        #expect(TerminalKey.parse([0xff, 0x1b, 0x5b]) == [.character("\u{fffd}")])
    }

    @Test func numbersReadAsPeopleWriteThem() {
        #expect(
            [0, 812, 1023, 1024, 4_300_000, 126_000_000, 3_221_225_472].map(Units.bytes)
                == ["0 B", "812 B", "1.0 KiB", "1.0 KiB", "4.1 MiB", "120 MiB", "3.0 GiB"])
        #expect([0, 11.24, 99.96, 1234].map(Units.rate) == ["0.0", "11.2", "100", "1234"])
    }
}
