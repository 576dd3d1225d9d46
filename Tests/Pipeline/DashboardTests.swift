import Foundation
import TestSupport
import Testing

/// Whether a browser can be driven: Debian's chromium and chromium-driver.
private let hasBrowser: Bool = {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    return ["chromium", "chromedriver"].allSatisfy { name in
        folders.contains { access("\($0)/\(name)", X_OK) == 0 }
    }
}()

extension Pipeline {
    /// `picoflow launch --dashboard` as browsers, strangers and Prometheus meet it.
    @Suite struct DashboardTests {
        /// Launches a long run with a dashboard and waits until it trains.
        private func launch(_ play: Playground, _ address: String, _ more: [String] = []) throws -> (
            run: PicoFlowProcess, url: String
        ) {
            let run = try play.launch(["--dashboard", address, "--set", "schedule.iterations=100000"] + more)
            try play.await(step: 2, of: run)
            let line = try #require(run.errors.split(separator: "\n").first { $0.hasPrefix("dashboard at http://") })
            return (run, String(line.dropFirst(13)))
        }

        private func script(_ name: String) -> String {
            URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Browser/\(name)").path
        }

        @Test(.enabled(if: hasBrowser, "no chromium and chromedriver in the PATH"))
        func browserScalesSwapsAndStopsByItsButtons() throws {
            let play = try Playground()
            let (run, url) = try launch(play, "0")
            var arguments = [script("dashboard.py"), url]
            if let folder = ProcessInfo.processInfo.environment["PICOFLOW_SCREENSHOTS"] {
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                arguments += ["--screenshots", folder]
            }
            #expect(try Python.run(arguments).contains("scaled, swapped, stopped"))
            let ending = try run.wait()
            #expect(ending.code == 0 && ending.output.contains("stopped, checkpoint of step"), "\(ending)")
            let journal = try String(contentsOfFile: play.run + "/journal.jsonl", encoding: .utf8)
            #expect(journal.contains(#""change":"sampler.strategy=hardest""#))
            #expect(journal.components(separatedBy: #""entry":"scaled""#).count == 3)
        }

        @Test func strangersAndOtherPagesAreTurnedAway() throws {
            let play = try Playground()
            let (run, url) = try launch(play, "0")
            #expect(url.hasPrefix("http://127.0.0.1:") && !url.contains("token"))
            let parsed = try Python.run([script("requests.py"), url])
            if Python.has("prometheus_client") { #expect(parsed.contains("metrics parsed")) }

            // Its death, and that of the launch, leave nothing behind.
            let pids = dashboards(of: play)
            #expect(pids.count == 1)
            for pid in pids { kill(pid, SIGKILL) }
            #expect(waitUntil { run.errors.contains("the dashboard ended") })
            #expect(run.isRunning && play.stages()["compute-1"] != nil)
            _ = try play.command("stop", "--run", play.run)
            #expect(try run.wait().code == 0)
        }

        @Test func otherAddressesNeedTheToken() throws {
            let play = try Playground()
            let (run, url) = try launch(play, "0.0.0.0:0", ["--quiet"])
            // By whatever name this machine has; it is reached all the same.
            let parts = try #require(URLComponents(string: url))
            let token = try #require(parts.queryItems?.first { $0.name == "token" }?.value)
            #expect(token.count == 32)
            _ = try Python.run([script("requests.py"), "http://127.0.0.1:\(parts.port ?? 0)/?token=\(token)"])
            run.signal(SIGKILL)
            #expect(waitUntil { dashboards(of: play).isEmpty }, "the dashboard outlives its launch")
        }

        @Test func addressThatCannotBeIsOneLineBeforeAnythingStarts() throws {
            let play = try Playground()
            let (first, url) = try launch(play, "0")
            let port = try #require(URLComponents(string: url)?.port)
            let other = play.folder("other")
            let second = try play.launch(["--dashboard", "\(port)"], run: other).wait()
            #expect(second.code == 1, "\(second)")
            #expect(
                second.message
                    == "picoflow: dashboard: port \(port) is in use; name another port, or 0 for any free one")
            #expect(!FileManager.default.fileExists(atPath: other))
            for (address, why) in [
                ("notaport", "'notaport' is no port"), ("70000", "ports go to 65535"), ("nowhere:80", "is no address"),
                ("192.0.2.1:0", "is no address of this machine"),
            ] {
                let ending = try play.launch(["--dashboard", address], run: other).wait()
                #expect(ending.code == 64 || ending.code == 1, "\(ending)")
                #expect(ending.errors.contains(why), "\(ending)")
                #expect(!FileManager.default.fileExists(atPath: other))
            }
            first.signal(SIGTERM)
            #expect(try first.wait().code == 0)

            // Of a run that has ended the files can still be looked at.
            let page = try play.start(["dashboard", "0", "--run", play.run])
            #expect(waitUntil { page.output.contains(" at http://127.0.0.1:") })
            let place = try #require(page.output.split(separator: " ").last).trimmingCharacters(
                in: .whitespacesAndNewlines)
            let state = try Python.run([
                "-c", "import urllib.request as u; print(u.urlopen('\(place)api/state').read().decode())",
            ])
            #expect(state.contains(#""phase":"ended""#) && state.contains(#""outcome":"stopped, checkpoint of step"#))
            page.signal(SIGTERM)
            _ = try page.wait()
        }

        private func dashboards(of play: Playground) -> [Int32] {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
            return names.compactMap { name in
                guard let pid = Int32(name), let bytes = FileManager.default.contents(atPath: "/proc/\(name)/cmdline")
                else { return nil }
                let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
                return words.contains("dashboard") && words.contains(play.run) ? pid : nil
            }
        }
    }
}
