import Basics
import Configuration
import Foundation
import StageKit
import TestSupport
import Testing
import Wire

@testable import Supervisor

@Suite struct RunDirectoryTests {
    let folder = try! TemporaryFolder("run")

    private func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "(nothing thrown)"
        } catch { return "\(error)" }
    }

    @Test func newRunHasItsFoldersAndFiles() throws {
        let run = try RunDirectory.create(folder("runs/a"))
        try run.save(recipe: "seed: 1\n", topology: "stages: {}\n")
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: run.path).sorted()
                == ["checkpoints", "logs", "recipe.yaml", "supervisor.lock", "topology.yaml"])
        #expect(run.name == "a")
    }

    @Test func directoryInUseNamesItsHolder() throws {
        let run = try RunDirectory.create(folder("a"))
        #expect(RunDirectory.isLive(run.path))
        let text = message { _ = try RunDirectory.create(run.path) }
        #expect(text.contains("is in use by process \(getpid())"))
    }

    @Test func runOfAnotherMachineIsAskedThere() throws {
        let run = try RunDirectory.create(folder("a"))
        #expect(message { _ = try ControlClient(run: run.path) } == "\(run.path) is only just starting; try again")
        try ProcessRecord(host: "far", supervisor: 1, control: "ipc:///none", processes: [])
            .write(to: run.path + "/processes.json")
        #expect(message { _ = try ControlClient(run: run.path) } == "\(run.path) is supervised on far: ask it there")
    }

    @Test func lockEndsWithItsHolder() throws {
        var run: RunDirectory? = try RunDirectory.create(folder("a"))
        let path = try #require(run?.path)
        run = nil
        #expect(!RunDirectory.isLive(path))
    }

    @Test func oldRunIsRefusedWithWhatToDo() throws {
        try RunDirectory.create(folder("a")).save(recipe: "", topology: "")
        let text = message { _ = try RunDirectory.create(folder("a")) }
        #expect(text.contains("--resume \(folder("a"))"))
    }

    /// By a full disk or a power cut: the same command begins it again.
    @Test func startThatWasCutOffIsTaken() throws {
        do {
            let begun = try RunDirectory.create(folder("a"))
            _ = try Journal(path: begun.journalPath)
            try folder.write("stages: {", to: "a/topology.yaml.partial")
        }
        try RunDirectory.create(folder("a")).save(recipe: "", topology: "")
        _ = try RunDirectory.resume(folder("a"))
    }

    @Test func journalWithoutARecipeIsNoBeginning() throws {
        try FileManager.default.createDirectory(atPath: folder("a"), withIntermediateDirectories: false)
        try folder.write("{}\n", to: "a/journal.jsonl")
        #expect(message { _ = try RunDirectory.create(folder("a")) }.contains("exists and is not empty"))
    }

    @Test func emptyDirectoryIsTaken() throws {
        try FileManager.default.createDirectory(atPath: folder("a"), withIntermediateDirectories: false)
        _ = try RunDirectory.create(folder("a"))
    }

    @Test func resumeOfSomethingElseSaysWhatIsMissing() throws {
        #expect(message { _ = try RunDirectory.resume(folder.path) }.contains("it has no recipe.yaml"))
        #expect(message { _ = try RunDirectory.resume(folder("absent")) }.contains("cannot find run directory"))
    }

    @Test func newestCheckpointIsTheNewestWithAManifest() throws {
        let run = try RunDirectory.create(folder("a"))
        for (name, manifest) in [
            ("step-000100", "{}"), ("step-001000", "{\"step\": 1000}"), ("step-000900", "{}"), ("step-002000", nil),
            ("step-003000", "{\"step\":"), ("step-4000", "{}"), ("step-005000.partial", "{}"),
        ] as [(String, String?)] {
            let path = run.checkpointsPath + "/" + name
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            if let manifest { try DurableFile.write(manifest, to: path + "/manifest.json") }
        }
        #expect(run.checkpoints.map(\.step) == [100, 900, 1000])
        #expect(run.newestCheckpoint?.path == run.checkpointsPath + "/step-001000")
    }

    @Test func folderNamesSortBeyondSixDigits() {
        #expect(Checkpoint.folderName(step: 7) == "step-000007")
        #expect(Checkpoint.folderName(step: 12_345_678) == "step-12345678")
    }

    @Test func newestLiveRunIsTheOneStartedLast() throws {
        let first = try RunDirectory.create(folder("runs/b"))
        let second = try RunDirectory.create(folder("runs/a"))
        var times = [timeval(tv_sec: 1, tv_usec: 0), timeval(tv_sec: 1, tv_usec: 0)]
        utimes(first.path + "/supervisor.lock", &times)
        #expect(RunDirectory.newestLive(in: folder("runs")) == folder("runs/a"))
        withExtendedLifetime((first, second)) {}
        #expect(RunDirectory.newestLive(in: folder("none")) == nil)
    }

    // MARK: Sockets

    @Test func socketsFolderIsPrivateShortAndCleaned() throws {
        let deep = folder.path + "/" + String(repeating: "x", count: 200)
        let sockets = SocketsFolder(run: deep, environment: ["XDG_RUNTIME_DIR": folder.path])
        try sockets.make()
        try Data().write(to: URL(fileURLWithPath: sockets.path + "/stale"))
        chmod(sockets.path, 0o755)
        try sockets.make()
        var status = stat()
        #expect(lstat(sockets.path, &status) == 0 && status.st_mode & 0o777 == 0o700)
        #expect(try FileManager.default.contentsOfDirectory(atPath: sockets.path).isEmpty)
        let address = try sockets.addresses.address(.samples, of: Replica("compute", 2)).address
        #expect(address == "ipc://\(sockets.path)/samples.compute-2")
        sockets.remove()
        #expect(!FileManager.default.fileExists(atPath: sockets.path))
    }

    @Test func longRuntimeFolderFallsBackToTmp() {
        let long = "/" + String(repeating: "r", count: 100)
        #expect(SocketsFolder(run: "/r", environment: ["XDG_RUNTIME_DIR": long]).path.hasPrefix("/tmp/picoflow-"))
    }

    @Test func somethingElseInThePlaceOfTheSocketsIsNotTouched() throws {
        let sockets = SocketsFolder(run: "/r", environment: ["XDG_RUNTIME_DIR": folder.path])
        try DurableFile.write("mine", to: sockets.path)
        #expect(message { try sockets.make() }.contains("is in the way"))
    }
}

@Suite struct JournalTests {
    let folder = try! TemporaryFolder("journal")

    private func start(_ epoch: UInt64) -> JournalEntry {
        .epoch(JournalEntry.EpochStart(epoch: Epoch(epoch), time: "t", from: epoch > 1 ? 500 : nil, computeThreads: 2))
    }

    @Test func entriesComeBackInOrder() throws {
        let entries = [
            start(1), .fingerprint(stage: "loader", Fingerprint(versions: ["a": "1"], hash: "h")),
            .sampleSkipped("x.jpg", step: 3, position: 17), .sampleSkipped("y.jpg", step: nil), .ended("stopped"),
            start(2),
            .evaluated(EvaluationScores(step: 500, split: "val", mIoU: 0.5, pixelAccuracy: nil, meanAccuracy: 0.25)),
            .evaluationFailed(step: 1000, "val/3.png: cut short"),
        ]
        let journal = try Journal(path: folder("j"))
        for entry in entries { try journal.append(entry) }
        #expect(journal.skipped == [17])
        #expect(try Journal.read(path: folder("j")) == entries)
        let again = try Journal(path: folder("j"))
        #expect(again.entries == entries)
        #expect(again.nextEpoch == Epoch(3))
        #expect(again.fingerprints["loader"]?.hash == "h")
    }

    @Test func entriesHaveTheseLines() throws {
        let fingerprint = Fingerprint(versions: [:], hash: "h")
        let lines: [(JournalEntry, String)] = [
            (
                start(2),
                #"{"entry":"epoch","start":{"computeThreads":2,"epoch":2,"from":500,"ranks":1,"time":"t"}}"#
            ),
            (
                .fingerprint(stage: "loader", fingerprint),
                #"{"entry":"fingerprint","fingerprint":{"hash":"h","versions":{}},"stage":"loader"}"#
            ),
            (.sampleSkipped("a/b.jpg", step: 3), #"{"entry":"sample-skipped","message":"a/b.jpg","step":3}"#),
            (
                .scaled(stage: "loader", from: 1, to: 3, reason: "asked"),
                #"{"entry":"scaled","from":1,"reason":"asked","stage":"loader","to":3}"#
            ),
            (.allotted(stage: "loader", last: 1002), #"{"entry":"allotted","last":1002,"stage":"loader"}"#),
            (.swapCancelled(Generation(2)), #"{"entry":"swap-cancelled","generation":2}"#),
            (
                .programFingerprint(Generation(2), fingerprint),
                #"{"entry":"program-fingerprint","fingerprint":{"hash":"h","versions":{}},"generation":2}"#
            ),
            (.evaluationFailed(step: 8, "x"), #"{"entry":"evaluation-failed","message":"x","step":8}"#),
            (.ended("finished"), #"{"entry":"ended","message":"finished"}"#),
        ]
        let journal = try Journal(path: folder("j"))
        for (entry, _) in lines { try journal.append(entry) }
        #expect(folder.read("j") == lines.map { $0.1 + "\n" }.joined())
        #expect(try Journal.read(path: folder("j")) == lines.map(\.0))
        // A key that is not there, and an entry that there is not.
        for line in [#"{"entry":"ended"}"#, #"{"entry":"fingerprint","stage":"loader"}"#, #"{"entry":"other"}"#] {
            try folder.write(line + "\n", to: "bad")
            #expect(throws: UserError.self) { try Journal.read(path: folder("bad")) }
        }
    }

    @Test func journalsThatNamedTheKindAreStillRead() throws {
        try folder.write(
            #"{"entry":"fingerprint","fingerprint":{"hash":"h","versions":{}},"kind":"loader"}"# + "\n", to: "j")
        #expect(try Journal(path: folder("j")).fingerprints == ["loader": Fingerprint(versions: [:], hash: "h")])
    }

    @Test func swapsAndScalingsComeBackAndSwapsCountOnce() throws {
        func proposal(_ generation: Int, exec: [String]? = nil) -> SwapProposal {
            SwapProposal(
                generation: Generation(generation), stage: "miner", atStep: 7, mining: MiningSettings(Recipe()),
                exec: exec, change: "x")
        }
        let swap = Swap(proposal(2, exec: ["python3", "m.py"]), step: 9)
        let fingerprint = Fingerprint(versions: ["numpy": "2"], hash: "h")
        let entries: [JournalEntry] = [
            .scaled(stage: "loader", from: 1, to: 3, reason: "asked"), .swapAsked(proposal(1)),
            .swapAsked(proposal(2, exec: ["python3", "m.py"])), .programFingerprint(Generation(2), fingerprint),
            .swap(swap), .swap(swap), .swapAsked(proposal(3)),
        ]
        let journal = try Journal(path: folder("j"))
        for entry in entries { try journal.append(entry) }
        let again = try Journal(path: folder("j"))
        #expect(again.entries == entries)
        #expect(again.swaps.swaps == [swap])
        #expect(again.swaps.last == Generation(3), "what was only asked for uses up its number")
        #expect(again.swaps.fingerprints == [Generation(2): fingerprint])
    }

    @Test func tornLastLineIsCutOffAtEveryByte() throws {
        let journal = try Journal(path: folder("j"))
        try journal.append(start(1))
        let whole = try Data(contentsOf: URL(fileURLWithPath: folder("j")))
        try journal.append(start(2))
        let both = try Data(contentsOf: URL(fileURLWithPath: folder("j")))
        for length in whole.count..<both.count {
            try both.prefix(length).write(to: URL(fileURLWithPath: folder("torn")))
            let torn = try Journal(path: folder("torn"))
            #expect(torn.entries == [start(1)])
            try torn.append(start(7))
            #expect(try Journal.read(path: folder("torn")) == [start(1), start(7)])
        }
    }

    @Test func brokenLineInTheMiddleIsAnErrorWithItsNumber() throws {
        let journal = try Journal(path: folder("j"))
        try journal.append(start(1))
        let line = try #require(folder.read("j"))
        try folder.write(line + "{\"entry\":\"epo\n" + line, to: "bad")
        #expect {
            _ = try Journal(path: folder("bad"))
        } throws: { "\($0)".hasPrefix("\(folder("bad")):2: ") }
    }
}
