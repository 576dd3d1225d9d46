import Configuration
import StageKit
import Testing
import Wire

@testable import Supervisor

@Suite struct ProgressTextTests {
    private func report(phase: StatusReport.Phase = .training, metrics: StepMetrics?) -> StatusReport {
        func stage(_ name: String, _ id: Int, _ state: StageState, _ waitingOn: String? = nil) -> StatusReport.Stage {
            StatusReport.Stage(
                stage: name, id: id, pid: 7, host: "here", state: state, waitingOn: waitingOn, restarts: id - 1,
                metrics: [:])
        }
        return StatusReport(
            run: "quick-1", runDirectory: "/runs/quick-1", epoch: 1, phase: phase,
            stages: [
                stage("compute", 1, .waiting, "samples"), stage("loader", 1, .running), stage("loader", 2, .running),
                stage("miner", 1, .waiting, "records"),
            ], step: 120, iterations: 550, imagesPerSecond: 11.24, etaSeconds: 312, metrics: metrics, checkpoint: 100)
    }

    private let metrics = StepMetrics(
        step: 120, lr: 0.0412, ce: 0.9312, nce: 9.241, milliseconds: 700, waitedForSamples: 14, waitedForGradients: 70)

    @Test func lineSaysStepLossesSpeedAndWaits() {
        #expect(
            ProgressText.line(report(metrics: metrics), evaluated: nil)
                == "step 120/550  ce 0.931  contrast 9.241  lr 0.04120  11.2 images/s  eta 5 min 12 s  waits: samples 2%, gradients 10%"
        )
    }

    @Test func lineBeforeTheFirstStepSaysWhatStagesDo() {
        #expect(
            ProgressText.line(report(phase: .starting, metrics: nil), evaluated: nil)
                == "starting: compute: waits for samples · 2 loader: running · miner: waits for records")
    }

    @Test func blockNamesTheLastSwapAndWhetherItIsAhead() {
        var report = report(metrics: metrics)
        let proposal = SwapProposal(
            generation: Generation(2), stage: "miner", mining: MiningSettings(Recipe()),
            change: "sampler.strategy=hardest")
        report.swaps = [Swap(proposal, step: 121)]
        #expect(
            ProgressText.block(report, evaluated: nil).contains(
                "  miner since step 121: swap 2, sampler.strategy=hardest"))
        report.swaps = [Swap(proposal, step: 122)]
        #expect(
            ProgressText.block(report, evaluated: nil).contains(
                "  miner from step 122: swap 2, sampler.strategy=hardest"))
    }

    @Test func swapsAheadDoNotHideTheOneInForce() {
        var report = report(metrics: metrics)
        func swap(_ generation: Int, _ change: String, at step: UInt64) -> Swap {
            Swap(
                SwapProposal(
                    generation: Generation(generation), stage: "miner", mining: MiningSettings(Recipe()),
                    change: change), step: step)
        }
        report.swaps = [swap(1, "past", at: 10), swap(2, "inForce", at: 100), swap(3, "ahead", at: 400)]
        let lines = ProgressText.block(report, evaluated: nil).filter { $0.contains("swap ") }
        #expect(
            lines == ["  miner since step 100: swap 2, inForce", "  miner from step 400: swap 3, ahead"])
    }

    @Test func smallLearningRatesShow() {
        #expect(ProgressText.losses(StepMetrics(step: 1, lr: 0.00006, ce: 1)) == "ce 1.000  lr 6.00e-05")
        #expect(ProgressText.losses(StepMetrics(step: 1, lr: 0, ce: 1)) == "ce 1.000  lr 0.00000")
    }

    @Test func statusSaysHowARunEnded() {
        var report = report(phase: .ended, metrics: metrics)
        #expect(report.text.contains("its supervisor is gone; go on with: picoflow launch --resume /runs/quick-1"))
        report.outcome = "finished at step 550"
        #expect(report.text.contains("finished at step 550") && !report.text.contains("--resume"))
        report.phase = .evaluating
        report.evaluated = StatusReport.Evaluated(done: 3, total: 101)
        #expect(report.text.contains("evaluated 3/101"))
    }

    @Test func divergedLossShows() {
        let diverged = StepMetrics(step: 1, lr: 1, ce: .nan)
        #expect(ProgressText.losses(diverged) == "ce nan  lr 1.00000")
    }

    @Test func evaluationShowsItsImages() {
        #expect(
            ProgressText.line(report(phase: .evaluating, metrics: metrics), evaluated: (3, 101))
                == "evaluating 3/101 images")
    }

    @Test func statusListsEveryProcess() {
        let text = report(metrics: metrics).text
        for part in ["quick-1  training  checkpoint 100", "loader-2", "restarted 1x", "waits for records"] {
            #expect(text.contains(part))
        }
    }
}
