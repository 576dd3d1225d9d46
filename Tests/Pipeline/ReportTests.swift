import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// `picoflow report` on real runs; what its parts look like is tested in ReportTests.
    @Suite struct ReportTests {
        private func page(_ play: Playground, _ arguments: String...) throws -> String {
            let ending = try play.start(["report"] + arguments).wait()
            #expect(ending.code == 0, "\(ending)")
            let file = ending.output.trimmingCharacters(in: .whitespacesAndNewlines)
            return try String(contentsOfFile: file.hasPrefix("/") ? file : play.folder(file), encoding: .utf8)
        }

        @Test func evaluatedRunAndOneThatWasKilledAreShownAloneAndTogether() throws {
            let (calm, _) = try LiveEvaluationTests.calm.get()
            let whole = try page(calm, calm.run)
            for part in ["finished", "mIoU on val at step 80", "contrastive loss", "Confusion", "Worst", "Best"] {
                #expect(whole.contains(part), "\(part)")
            }
            #expect(whole.components(separatedBy: "data:image/png;base64,").count > 3)
            // The model is the one in the last checkpoint.
            #expect(whole.contains("SHA-256 \(try calm.weights())"))
            #expect(!whole.contains("http://") && !whole.contains("https://"), "it loads nothing")

            let play = try Playground()
            let run = try play.launch(["--set", "schedule.iterations=100000"])
            try play.await(step: 8, of: run)
            #expect(try page(play, play.run).contains(">running<"))
            for pid in play.stages().values { kill(pid, SIGSTOP) }
            run.signal(SIGKILL)
            _ = try run.wait()
            for pid in play.stages().values { kill(pid, SIGKILL) }
            let cutOff = try page(play, play.run)
            #expect(cutOff.contains(">cut off<") && cutOff.contains("picoflow launch --resume \(play.run)"))
            #expect(cutOff.contains("No evaluation has been made") && cutOff.contains("no checkpoint yet"))

            let both = try page(play, calm.run, play.run, "--to", "both.html")
            #expect(both.contains("2 runs compared") && both.contains("schedule.iterations"))
            #expect(play.names(play.folder.path).contains("both.html"))
        }

        @Test func whatIsNoRunIsSaidInOneLine() throws {
            let play = try Playground()
            for (path, what) in [
                (play.data, "\(play.data) is no run directory: it has no recipe.yaml"),
                (play.folder("nothing"), "\(play.folder("nothing")) does not exist; name a run's directory"),
                (play.folder("recipe.yaml"), "\(play.folder("recipe.yaml")) is a file; name a run's directory"),
            ] {
                let ending = try play.command("report", path)
                #expect(ending.code == 1 && ending.errors == "picoflow: \(what)\n", "\(ending)")
            }
        }
    }
}
