import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// `picoflow sweep` with real runs.
    @Suite struct SweepTests {
        @Test func sweepGoesOnWhereItWasCutOff() throws {
            let play = try Playground()
            let words = [
                "sweep", "recipe.yaml", "--topology", "topology.yaml", "--over", "contrast.enabled=false,true",
                "--seeds",
                "1", "--set", "schedule.iterations=30", "--to", "sweep",
            ]
            let first = play.folder("sweep/enabled=false-seed-0")
            let second = play.folder("sweep/enabled=true-seed-0")

            // Stopped in its second run.
            let cut = try play.start(words)
            #expect(waitUntil { FileManager.default.fileExists(atPath: second + "/metrics.jsonl") })
            let beside = try play.start(words).wait()
            #expect(beside.code == 1 && beside.message.contains("another sweep trains there"), "\(beside)")
            cut.signal(SIGTERM)
            let ending = try cut.wait()
            #expect(ending.code == 0 && ending.output.contains("the same command goes on"), "\(ending)")
            let table = try String(contentsOfFile: play.folder("sweep/table.md"), encoding: .utf8)
            #expect(table.hasPrefix("Partial: 1 of 2 runs"))
            let done = try modified(first + "/evaluation.json")

            let rest = try play.start(words).wait()
            #expect(rest.code == 0, "\(rest)")
            #expect(rest.output.contains("| enabled=true | 1 |") && !rest.output.contains("Partial"), "\(rest)")
            #expect(try modified(first + "/evaluation.json") == done)
            #expect(FileManager.default.fileExists(atPath: second + "/evaluation.json"))

            // Another recipe under the same names is not mixed into the table.
            let other = try play.start(words + ["--set", "schedule.lr=0.5"]).wait()
            #expect(other.code == 1 && other.message.contains("was trained from another recipe"), "\(other)")
            let less = try play.start(words.map { $0.replacing("=false,true", with: "=true") }).wait()
            let reason = "also holds the run enabled=false-seed-0, which is none of this sweep's"
            #expect(less.code == 1 && less.message.contains(reason), "\(less)")
            // Whoever only looks writes nothing: the sweep may be at work.
            let written = play.folder("sweep/table.md")
            try FileManager.default.removeItem(atPath: written)
            let shown = try play.start(words + ["--table-only"]).wait()
            #expect(shown.code == 0 && shown.output.contains("| enabled=false | 1 |"), "\(shown)")
            #expect(!FileManager.default.fileExists(atPath: written))
            let nowhere = try play.start(words.dropLast() + ["nowhere", "--table-only"]).wait()
            #expect(nowhere.code == 0 && nowhere.output.hasPrefix("Partial: 0 of 2 runs"), "\(nowhere)")
            #expect(!FileManager.default.fileExists(atPath: play.folder("nowhere")))

            // Nor are runs of other data.
            let noted = first + "/dataset.json"
            let summary = try String(contentsOfFile: noted, encoding: .utf8)
            let images = try #require(summary.firstMatch(of: /"images" ?: ?(\d+)/))
            try summary.replacing(images.0, with: "\"images\" : 999")
                .write(toFile: noted, atomically: true, encoding: .utf8)
            let grown = try play.start(words).wait()
            #expect(
                grown.code == 1 && grown.message.contains("enabled=false-seed-0: ")
                    && grown.message.contains("the run was started with 999"), "\(grown)")
            try summary.write(toFile: noted, atomically: true, encoding: .utf8)

            // A run whose journal cannot be read is not trained over.
            try "{\"entry\":\"of a later version\"}\n".write(
                toFile: second + "/journal.jsonl", atomically: true, encoding: .utf8)
            try FileManager.default.removeItem(atPath: second + "/evaluation.json")
            let unread = try play.start(words).wait()
            #expect(unread.code == 1 && unread.message.contains("enabled=true-seed-0/journal.jsonl:1"), "\(unread)")
            try FileManager.default.removeItem(atPath: second + "/journal.jsonl")
            let without = try play.start(words).wait()
            #expect(
                without.code == 1 && without.errors.contains("holds more than a run that was cut off"), "\(without)")
            #expect(play.names(second + "/checkpoints").count > 0)
        }

        private func modified(_ path: String) throws -> Date? {
            try FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date
        }
    }
}
