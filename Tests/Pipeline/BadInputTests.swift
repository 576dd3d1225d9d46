import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// What is refused before anything starts: one line that says what and where, exit code 1, and no run directory.
    @Suite struct BadInputTests {
        /// Launches and expects a refusal.
        private func expectRefusal(
            _ play: Playground, _ arguments: [String] = [], _ parts: String...,
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let ending = try play.launch(arguments).wait()
            #expect(ending.code == 1, "\(ending)", sourceLocation: sourceLocation)
            let lines = ending.errors.split(whereSeparator: \.isNewline)
            #expect(lines.count == 1, "\(ending)", sourceLocation: sourceLocation)
            #expect(ending.message.hasPrefix("picoflow: "), "\(ending)", sourceLocation: sourceLocation)
            for part in parts { #expect(ending.message.contains(part), sourceLocation: sourceLocation) }
            #expect(access(play.run, F_OK) != 0, "nothing was written", sourceLocation: sourceLocation)
            #expect(play.leftoverSockets.isEmpty, sourceLocation: sourceLocation)
        }

        /// Replaces text in one of the playground's files.
        private func edit(_ play: Playground, _ file: String, _ old: String, _ new: String) throws {
            let text = try #require(play.folder.read(file))
            try #require(text.contains(old))
            try play.folder.write(text.replacingOccurrences(of: old, with: new), to: file)
        }

        @Test(arguments: [
            ("schedule.iteratons=5", "did you mean 'schedule.iterations'?"),
            ("schedule.batch=many", "'schedule.batch' must be an integer, not 'many'"),
            (
                "schedule.batch=1",
                "'schedule.batch' must be between 2 and 65536 (batch normalisation cannot learn from one image), not '1'"
            ),
            ("model.backbone=mobilnetv2", "not 'mobilnetv2'; did you mean 'mobilenetv2'?"),
            ("model.head=deeplabv2", "not 'deeplabv2'; did you mean 'deeplabv3'?"),
            ("model.head=ocrnet", "'model.backbone' must be hrnetv2w18 or hrnetv2w48 under 'model.head' ocrnet"),
            ("model.outputStride=7", "'model.outputStride' must be 8 or 16, not '7'"),
            ("augmentation.crop=[-48, 64]", "'augmentation.crop' must be two numbers"),
            ("sampler.strategy=semihard", "did you mean 'semi-hard'?"),
            ("contrast.hardAnchors=7", "'contrast.hardAnchors' must be at most 'contrast.anchors', which is 6, not 7"),
            ("schedule.batch", "KEY=VALUE was expected"),
        ])
        func overrideThatCannotBe(override: String, message: String) throws {
            try expectRefusal(Playground(), ["--set", override], "--set \(override)", message)
        }

        @Test func misspeltKeyInARecipeIsNamedWithItsLine() throws {
            let play = try Playground()
            try edit(play, "recipe.yaml", "iterations:", "iteratons:")
            try expectRefusal(
                play, [], "recipe.yaml:7: ", "'schedule.iteratons'", "did you mean 'schedule.iterations'?")
        }

        @Test func recipeThatIsNoYAML() throws {
            let play = try Playground()
            try edit(play, "recipe.yaml", "crop: [48, 64]}", "crop: [48, 64}")
            try expectRefusal(play, [], "recipe.yaml:2: not YAML: ")
        }

        @Test func recipeThatIsNotThere() throws {
            let play = try Playground()
            try FileManager.default.removeItem(atPath: play.folder("recipe.yaml"))
            try expectRefusal(play, [], "cannot read recipe.yaml: No such file or directory")
        }

        // MARK: Topologies

        @Test(arguments: [
            ("laoder=2", "topology.yaml has no stage 'laoder'; did you mean 'loader'?"),
            ("loader=0", "stage 'loader' needs at least one replica"),
            ("loader=-1", "NAME=COUNT was expected"),
            ("loader", "NAME=COUNT was expected"),
            ("bank=2", "stage 'bank' is of kind bank and runs once, not 2 times"),
        ])
        func stageCountThatCannotBe(option: String, message: String) throws {
            try expectRefusal(Playground(), ["--stage", option], message)
        }

        @Test func topologyWiredToAStageThatIsNotThere() throws {
            let play = try Playground()
            try edit(play, "topology.yaml", "samples: loader", "samples: laoder")
            try expectRefusal(
                play, [], "topology.yaml:3: stage 'compute' takes samples from 'laoder'; did you mean 'loader'?")
        }

        @Test func stageOfUnknownKind() throws {
            let play = try Playground()
            try edit(play, "topology.yaml", "evaluator:", "evaluater:")
            try expectRefusal(play, [], "topology.yaml:6: stage 'evaluater'", "did you mean 'evaluator'?")
        }

        @Test func contrastWithoutMiners() throws {
            let play = try Playground()
            try edit(play, "topology.yaml", "  miner: {memory: bank}\n", "")
            try edit(play, "topology.yaml", "mining: miner, memory: bank, ", "memory: bank, ")
            try expectRefusal(
                play, [],
                "topology.yaml:3: stage 'compute' lacks 'mining', which the recipe's contrast needs; add a stage of kind miner"
            )
        }

        @Test func deviceThatIsNone() throws {
            let play = try Playground()
            try edit(play, "topology.yaml", "threads: 1}\n  bank", "threads: 1, device: gpu}\n  bank")
            try expectRefusal(
                play, [],
                "topology.yaml:3: 'stages.compute.device' must be 'cpu', 'cuda:N' or a list of these, one per replica, not 'gpu'"
            )
        }

        // MARK: Files and folders

        @Test func datasetFolderThatIsNotThere() throws {
            try expectRefusal(
                Playground(), ["--set", "dataset.root=nowhere"], "nowhere: no such folder (dataset.root)")
        }

        @Test func imageWithoutItsLabelMap() throws {
            let play = try Playground(ownData: true)
            try FileManager.default.removeItem(atPath: play.data + "/trainannot/00002.png")
            try expectRefusal(play, [], "\(play.data)/train/00002.jpg: has no label map in \(play.data)/trainannot")
        }

        @Test func splitThatIsNotThere() throws {
            try expectRefusal(
                Playground(), ["--set", "dataset.split=trian"],
                "has no split 'trian' (has train, val); did you mean 'train'?")
        }

        /// Training would be over before anybody heard of it.
        @Test func evaluationSplitThatIsNotThere() throws {
            let play = try Playground()
            let ending = try play.launch(["--set", "dataset.evaluationSplit=vall"]).wait()
            #expect(ending.code == 1 && ending.message.contains("vall"), "\(ending)")
            #expect(!FileManager.default.fileExists(atPath: play.run))
            let sweep = try play.command(
                "sweep", "recipe.yaml", "--topology", "topology.yaml", "--set", "dataset.evaluationSplit=vall", "--to",
                "sweep")
            #expect(sweep.code == 1 && sweep.message.contains("vall"), "\(sweep)")
        }

        @Test func pretrainedWeightsThatAreNotThere() throws {
            try expectRefusal(
                Playground(), ["--set", "model.pretrained=weights.safetensors"],
                "model.pretrained: cannot read weights.safetensors: No such file or directory")
        }

        @Test func runDirectoryThatIsAFile() throws {
            let play = try Playground()
            try play.folder.write("", to: "file")
            let ending = try play.launch(run: play.folder("file")).wait()
            #expect(ending.code == 1)
            #expect(ending.errors == "picoflow: \(play.folder("file")) is a file; name a directory by --run\n")
            #expect(play.folder.read("file") == "")
        }

        @Test func runDirectoryThatCannotBeMade() throws {
            let play = try Playground()
            // Nobody may make a folder there, root included.
            let ending = try play.launch(run: "/proc/picoflow-run").wait()
            #expect(ending.code == 1)
            #expect(ending.errors == "picoflow: cannot make folder /proc/picoflow-run: No such file or directory\n")
        }

        @Test func runDirectoryWithSomethingElseInIt() throws {
            let play = try Playground()
            try FileManager.default.createDirectory(atPath: play.run, withIntermediateDirectories: true)
            try play.folder.write("mine", to: "run/notes.txt")
            let ending = try play.launch().wait()
            #expect(ending.code == 1)
            #expect(ending.errors.split(whereSeparator: \.isNewline).count == 1)
            #expect(ending.message.contains("\(play.run) exists and is not empty"), "\(ending)")
            #expect(play.names(play.run) == ["notes.txt"])
            let resumed = try play.command("launch", "--resume", play.run)
            #expect(resumed.code == 1)
            #expect(resumed.errors == "picoflow: \(play.run) is no run directory: it has no recipe.yaml\n")
            #expect(play.names(play.run) == ["notes.txt"])
        }

        // MARK: Command lines

        @Test(arguments: [
            ["launch"], ["launch", "topology.yaml"], ["launch", "--resume", "run", "--recipe", "recipe.yaml"],
            ["launch", "topology.yaml", "--recipe", "recipe.yaml", "--runn", "run"], ["lanch"],
        ])
        func commandLineThatCannotBeReadShowsItsUsage(arguments: [String]) throws {
            let play = try Playground()
            let ending = try play.start(arguments).wait()
            #expect(ending.code == 64, "\(ending)")
            #expect(ending.errors.contains("Error: ") && ending.errors.contains("Usage: "), "\(ending)")
            #expect(access(play.run, F_OK) != 0)
        }

        @Test func commandsOnARunThatIsNotThere() throws {
            let play = try Playground()
            for command in ["status", "stop"] {
                let ending = try play.command(command, "--run", "nowhere")
                #expect(ending.code == 1)
                #expect(ending.errors.split(whereSeparator: \.isNewline).count == 1)
                #expect(ending.message.contains("nowhere"), "\(ending)")
            }
        }
    }
}
