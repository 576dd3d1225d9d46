import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// What commands say, to people and to programs, and what the logs of a run say.
    @Suite struct MessagesTests {
        /// Standard output as one JSON value; nothing else may stand there.
        private func json(_ ending: PicoFlowProcess.Ending) throws -> [String: Any] {
            #expect(ending.code == 0, "\(ending)")
            return try #require(
                try JSONSerialization.jsonObject(with: Data(ending.output.utf8)) as? [String: Any], "\(ending)")
        }

        @Test func runIsToldToProgramsAndItsLogsSayWhoWhereAndAtWhichStep() throws {
            let play = try Playground()
            let launched = try play.launch([
                "--set", "schedule.iterations=8", "--set", "checkpoints.every=4", "--json", "--log-level", "debug",
            ]).wait()
            let ended = try json(launched)
            #expect(ended["outcome"] as? String == "finished" && ended["step"] as? Int == 8)
            #expect((ended["evaluation"] as? [String: Any])?["images"] as? Int == 2)
            // Not a terminal: progress came as lines.
            #expect(launched.errors.contains("run \(play.run)\n"), "\(launched)")

            let level = "(trace|debug|info|warning|error|critical)"
            for (name, step) in [
                ("supervisor", nil), ("loader-1", " step 8"), ("compute-1", " step 8"), ("bank-1", " step 8"),
                ("miner-1", " step 8"), ("evaluator-1", " step 8"),
            ] {
                let log = try #require(play.folder.read("run/logs/\(name).log"))
                let line = try Regex("[-0-9]{10}T[:.0-9]{12}Z \(level) \(name)@[^ ]+( step [0-9]+)?: .+")
                for text in log.split(separator: "\n") { #expect(text.wholeMatch(of: line) != nil, "\(name): \(text)") }
                if let step { #expect(log.contains(step + ": "), "\(name): \(log)") }
            }
            #expect(play.folder.read("run/logs/loader-1.log")?.contains(" debug loader-1@") == true)
            #expect(play.folder.read("run/logs/compute-1.log")?.contains(" step 8: cross-entropy ") == true)

            // Not a terminal here either.
            let evaluated = try play.command("eval", "--run", play.run, "--json")
            #expect(try json(evaluated)["images"] as? Int == 2)
            #expect(evaluated.errors.contains("evaluat"), "\(evaluated)")
            let quiet = try play.command("eval", "--run", play.run, "--quiet", "--log-level", "error")
            #expect(quiet.code == 0 && quiet.errors.isEmpty && quiet.output.contains("mIoU"), "\(quiet)")
            let log = play.folder.read("run/evaluation/logs/evaluator-1.log") ?? ""
            #expect(!log.isEmpty && log.split(separator: "\n").last?.contains(" info ") == true)

            let image = try #require(play.names(play.data + "/val").first)
            let predicted = try json(
                play.command(
                    "predict", "--run", play.run, play.data + "/val/" + image, "--out", "o", "--legend", "--json"))
            let files = try #require(predicted["files"] as? [[String: Any]])
            #expect(files.count == 1 && (predicted["classes"] as? [Any])?.count == 10)
            let shares = try #require(files.first?["shares"] as? [[String: Any]])
            #expect(abs(shares.reduce(0) { $0 + ($1["share"] as? Double ?? 0) } - 1) < 1e-6)
            for path in [files.first?["overlay"], predicted["legend"]] {
                #expect(access(play.folder(try #require(path as? String)), R_OK) == 0)
            }

            let refused = try play.command(
                "predict", "--run", play.run, play.data + "/val/" + image, "--out", "o", "--labels",
                play.data + "/valannot")
            #expect(refused.code == 1 && refused.message.contains("/valannot/"), "\(refused)")
            #expect(refused.message.contains("is one of the run's dataset and would be overwritten"), "\(refused)")

            // Nor may others come among the dataset's: it would take them for samples.
            let among = try play.command(
                "predict", "--run", play.run, play.data + "/val/" + image, "--out", play.data + "/train")
            #expect(
                among.code == 1 && among.message.contains("/train holds images or label maps of the run's dataset"),
                "\(among)")

            let exported = try json(play.command("export", "--run", play.run, "--to", "n.safetensors", "--json"))
            #expect(exported["format"] as? String == "safetensors" && exported["file"] as? String == "n.safetensors")
            let imported = try json(
                play.command("import", "n.safetensors", "--recipe", "recipe.yaml", "--json", "--quiet"))
            let taken = try #require(imported["taken"] as? [String: Any])
            #expect(
                (taken["loaded"] as? [String])?.isEmpty == false && taken["isNumberOfClassesKnown"] as? Bool == true)
            let report = try json(play.command("report", play.run, "--json"))
            #expect(access(try #require(report["file"] as? String), R_OK) == 0)
        }

        @Test func runThatIsToBeQuietIsAndIsStoppedForPrograms() throws {
            let play = try Playground()
            let run = try play.launch(["--set", "schedule.iterations=5000", "--quiet"])
            try play.await(step: 2, of: run)
            let stopped = try json(play.command("stop", "--run", play.run, "--json"))
            #expect(stopped["outcome"] as? String == "stopped")
            let step = try #require(stopped["checkpoint"] as? Int)
            let ending = try run.wait()
            #expect(ending.code == 0 && ending.errors.isEmpty, "\(ending)")
            #expect(ending.output.contains("checkpoint of step \(step) in"), "\(ending)")
            // Where nobody asks for more, each ticket's line is left out.
            let log = try #require(play.folder.read("run/logs/loader-1.log"))
            #expect(log.contains(" info loader-1@") && !log.contains(" debug "))
        }

        /// Commands that start nothing, each with a fact that its JSON has.
        @Test func resultsWithoutARunAreJSONToo() throws {
            let play = try Playground()
            let valid = try json(play.command("validate", "topology.yaml", "--recipe", "recipe.yaml", "--json"))
            #expect((valid["starts"] as? [String: Int])?["evaluator"] == 1)
            let recipe = try json(play.command("recipe", "recipe.yaml", "--json", "--set", "schedule.batch=4"))
            #expect((recipe["schedule"] as? [String: Any])?["batch"] as? Int == 4)
            let graph = try json(play.command("graph", "topology.yaml", "--json"))
            #expect((graph["stages"] as? [Any])?.count == 5 && (graph["links"] as? [Any])?.isEmpty == false)
            let rendered = try json(
                play.command("render", "slurm", "topology.yaml", "--recipe", "recipe.yaml", "--out", "job", "--json"))
            for file in try #require(rendered["files"] as? [String]) { #expect(play.folder.read(file) != nil) }
            // Its own files are written anew, nobody else's.
            let again = try play.command("render", "slurm", "topology.yaml", "--recipe", "recipe.yaml", "--out", "job")
            #expect(again.code == 0, "\(again)")
            try play.folder.write("mine\n", to: "recipe.sbatch")
            let refused = try play.command("render", "slurm", "topology.yaml", "--recipe", "recipe.yaml")
            #expect(refused.code == 1 && refused.message.contains("recipe.sbatch is there"), "\(refused)")
            #expect(play.folder.read("recipe.sbatch") == "mine\n")
            try FileManager.default.createDirectory(
                atPath: play.folder("recipes"), withIntermediateDirectories: true)
            try play.folder.write("dataset: {root: x}\n", to: "recipes/one.yaml")
            let recipes = try json(play.command("recipes", "recipes", "--check", "--json", "--quiet"))
            let entry = try #require((recipes["recipes"] as? [[String: Any]])?.first)
            #expect(entry["name"] as? String == "one" && entry["isDataPresent"] as? Bool == false)
            #expect((entry["parameters"] as? Int ?? 0) > 1_000_000)
            let models = try play.command("models", "mobilenetv1", "--size", "64x64", "--json", "--quiet")
            #expect(models.code == 0 && models.errors.isEmpty, "\(models)")
            let networks = try JSONSerialization.jsonObject(with: Data(models.output.utf8)) as? [[String: Any]]
            #expect(networks?.first?["backbone"] as? String == "mobilenetv1")

            let made = try json(play.command("keys", "new", "gpu2", "--keys", "keys", "--json"))
            let listed = try play.command("keys", "list", "--keys", "keys", "--json")
            let clients = try JSONSerialization.jsonObject(with: Data(listed.output.utf8)) as? [[String: Any]]
            #expect(clients?.count == 1 && clients?.first?["key"] as? String == made["key"] as? String)
            let revoked = try json(play.command("keys", "revoke", "gpu2", "--keys", "keys", "--json"))
            #expect(revoked["isAllowed"] as? Bool == false)

            let drawn = try json(
                play.command(
                    "data", "synthesize", "new", "--width", "64", "--height", "48", "--train", "4", "--val", "2",
                    "--json", "--quiet"))
            #expect(drawn["train"] as? Int == 4)
            let checked = try play.command("data", "check", "recipe.yaml", "--quiet")
            #expect(checked.code == 0 && checked.errors.isEmpty && !checked.output.isEmpty, "\(checked)")
            let begun = try json(
                play.command(
                    "init", "mine", "--images", "new/train", "--labels", "new/trainannot", "--json", "--quiet"))
            #expect(play.folder.read(try #require(begun["recipe"] as? String)) != nil)
            let table = try json(
                play.command(
                    "sweep", "recipe.yaml", "--topology", "topology.yaml", "--seeds", "2", "--table-only", "--json"))
            #expect(table["planned"] as? Int == 2 && (table["finished"] as? [Any])?.isEmpty == true)
        }

        @Test func levelThatIsNoneIsOneLine() throws {
            let play = try Playground()
            let option = try play.launch(["--log-level", "loud"]).wait()
            #expect(option.code == 64 && option.errors.contains("trace"), "\(option)")
            let variable = try PicoFlowProcess(
                ["launch", "topology.yaml", "--recipe", "recipe.yaml", "--run", play.run], in: play.folder,
                environment: play.environment.merging(["PICOFLOW_LOG": "loud"]) { $1 }
            ).wait()
            #expect(variable.code == 1)
            #expect(
                variable.errors
                    == "picoflow: PICOFLOW_LOG=loud: must be one of trace, debug, info, warning, error\n", "\(variable)"
            )
            #expect(access(play.run, F_OK) != 0, "nothing was written")
        }

        // MARK: Streams that take nothing

        /// What a shell makes of a command line: exit code, and what still comes out.
        private func shell(_ line: String, in play: Playground) throws -> (code: Int32, output: String) {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/bash")
            process.arguments = ["-c", "set -o pipefail; cd \"$0\" && " + line, play.folder.path]
            let output = Pipe()
            process.standardOutput = output
            process.standardError = output
            try process.run()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            return (process.terminationStatus, text)
        }

        /// Detached so, what is printed is lost; it must not go into the files that the run has open.
        @Test func aRunWhoseOutputsAreClosedWritesItsFilesAsAnyOther() throws {
            let play = try Playground()
            let bin = try PicoFlowProcess.executables() + "/picoflow"
            let settings = "--set 'schedule={iterations: 2, warmup: 1, lrWarmup: 0}'"
            _ = try shell(
                "\(bin) launch topology.yaml --recipe recipe.yaml --run \(play.run) \(settings) <&- >&- 2>&-", in: play)
            #expect(play.names(play.run + "/checkpoints") == ["step-000002"])
            let report = try play.command("status", "--run", play.run)
            #expect(report.code == 0 && report.output.contains("step 2/2 "), "\(report)")
            #expect(play.folder.read("run/supervisor.lock")?.contains("step") == false)
        }

        @Test func streamsThatTakeNothingAreNoCrash() throws {
            let play = try Playground()
            let bin = try PicoFlowProcess.executables() + "/picoflow"
            // The exit code tells what standard error cannot.
            for closed in ["2>&-", "2>/dev/full"] {
                let told = try shell("\(bin) recipe absent.yaml \(closed)", in: play)
                #expect(told.code == 1 && told.output.isEmpty, "\(closed): \(told)")
                let drawn = try shell("\(bin) data check recipe.yaml \(closed)", in: play)
                #expect(drawn.code == 0 && !drawn.output.isEmpty, "\(closed): \(drawn)")
            }
            for command in ["recipe recipe.yaml", "recipe --keys --json", "validate topology.yaml", "schema recipe"] {
                let full = try shell("\(bin) \(command) >/dev/full", in: play)
                #expect(full.code == 1, "\(full)")
                #expect(full.output == "picoflow: cannot write standard output: No space left on device\n", "\(full)")
                // Ended by the pipe, as other programs are, without a word.
                let cut = try shell("\(bin) \(command) | head -n 1 >/dev/null", in: play)
                #expect([0, 128 + SIGPIPE].contains(cut.code) && cut.output.isEmpty, "\(cut)")
            }
            // Also where lines are shown one by one.
            let models = try shell("\(bin) models >/dev/full", in: play)
            #expect(models.code == 1, "\(models)")
            #expect(models.output.hasSuffix("cannot write standard output: No space left on device\n"), "\(models)")
        }
    }
}
