import ArgumentParser
import Basics
import BenchKit
import Datasets
import Foundation

/// `tools/bench overheads`: what the processes and links between the arithmetic cost.
struct OverheadBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "overheads",
        abstract: "Start of a run, ways there and back over a pool, and what waiting stages use.",
        discussion: """
            Runs are the demo's, on scenes that are drawn for it. While compute is held by a signal, the other stages have \
            nothing to do but to wait: what they use then is what waiting costs.
            """)

    @Option(help: "How often each measurement is made; medians are shown.") var rounds = 3
    @Option(help: "Seconds that compute is held for.") var seconds = 5.0
    @Flag(help: "Print all measurements as JSON.") var json = false

    struct Report: Codable {
        /// Seconds from the start of `picoflow launch` to the beginning of the first step.
        var start: [Double] = []
        /// Milliseconds of a result of 1.5 MiB, there and back: a pool's, and a bare ROUTER/DEALER pair's.
        var sample: [Double] = []
        var bareSample: [Double] = []
        /// Of copying as many bytes twice.
        var copies: [Double] = []
        /// Of a result as large as a class's gradients, 50 rows of 256 numbers.
        var gradients: [Double] = []
        /// Of waiting stages: share of a core, and how often a second one of their threads woke up.
        var idle: [String: [Double]] = [:]
        var wakeups: [String: [Double]] = [:]
    }

    func validate() throws {
        guard (1...99).contains(rounds), (1.0...8.0).contains(seconds) else {
            // A stage that is silent for longer is taken for dead.
            throw ValidationError("--rounds takes 1 to 99, --seconds 1 to 8")
        }
    }

    func run() throws {
        let scratch = try ScratchFolder()
        let cores = Cores.split()
        var report = Report()
        Child.tell("drawing scenes")
        _ = try Synthesizer.write(to: scratch.path + "/data")
        for round in 1...rounds {
            Child.tell("links, round \(round) of \(rounds)")
            try measureLinks(into: &report, cores)
            Child.tell("a run, round \(round) of \(rounds)")
            try measureRun(into: &report, scratch.path, round)
        }
        Child.tell("")
        print(try json ? report.prettyJSON() : Self.table(report))
    }

    private static let sampleBytes = 1_572_864
    private static let gradientBytes = 50 * 256 * 4

    private func measureLinks(into report: inout Report, _ cores: Cores) throws {
        func pool(_ bytes: Int) throws -> Double {
            let found: PoolMeasurement = try Child.measure(
                [
                    "pool-case", "--workers", "1", "--bytes", "\(bytes)", "--seconds", "1", "--worker-cores",
                    cores.workerList,
                ], cores: [cores.consumer])
            return found.alone.p50
        }
        report.sample.append(try pool(Self.sampleBytes))
        let bare: BareMeasurement = try Child.measure(
            [
                "bare-case", "--bytes", "\(Self.sampleBytes)", "--window", "1", "--seconds", "1", "--worker-cores",
                cores.workerList,
            ], cores: [cores.consumer])
        report.bareSample.append(1000 * bare.seconds / Double(bare.messages))
        report.copies.append(Self.twoCopies())
        report.gradients.append(try pool(Self.gradientBytes))
    }

    private static func twoCopies() -> Double {
        let source = [UInt8](repeating: 7, count: sampleBytes)
        var target = [UInt8](repeating: 0, count: sampleBytes)
        let clock = ContinuousClock()
        let times = (0..<50).map { _ in
            clock.measure {
                for _ in 0..<2 {
                    target.withUnsafeMutableBytes { $0.copyMemory(from: source.withUnsafeBytes { $0 }) }
                }
            } / .milliseconds(1)
        }
        return times.median
    }

    private func measureRun(into report: inout Report, _ scratch: String, _ round: Int) throws {
        let clock = ContinuousClock()
        let began = clock.now
        let run = try LiveRun(
            [
                "Pipelines/local.yaml", "--recipe", "Configs/demo/pico.yaml", "--set", "dataset.root=\(scratch)/data",
                "--set", "dataset.description=\(scratch)/data/dataset.yaml", "--set",
                "schedule={iterations: 100000, warmup: 5, lrWarmup: 0}",
            ], in: "\(scratch)/run-\(round)")
        let first = try run.wait(forSteps: 1, every: 0.005)
        report.start.append((clock.now - began) / .seconds(1) - first[0].milliseconds / 1000)
        _ = try run.wait(forSteps: 20)
        let stages = run.stages
        let held = stages.filter { $0.key.hasPrefix("compute") }.values
        for pid in held { kill(pid, SIGSTOP) }
        defer {
            for pid in held { kill(pid, SIGCONT) }
            run.stop()
        }
        // What was under way ends.
        Thread.sleep(forTimeInterval: 1)
        let waiting = stages.filter { !$0.key.hasPrefix("compute") }
        let before = waiting.mapValues(ProcessUse.init(of:))
        Thread.sleep(forTimeInterval: seconds)
        for (name, pid) in waiting {
            let use = ProcessUse(of: pid)
            guard let earlier = before[name] else { continue }
            let used = use.since(earlier)
            report.idle[name, default: []].append(used.cpu / seconds)
            report.wakeups[name, default: []].append(Double(used.wakeups) / seconds)
        }
    }

    static func table(_ report: Report) -> String {
        var rows = [
            ["from launch to the first step, s", report.start.summary(2), "3 at most"],
            [
                "a sample of 1.5 MiB from worker to consumer, ms", report.sample.summary(3),
                "\((report.sample.median / (report.bareSample.median + report.copies.median)).fixed(2)) of a bare pair "
                    + "(\(report.bareSample.median.fixed(3))) and two copies (\(report.copies.median.fixed(3)))",
            ],
            ["a class's gradients there and back, ms", report.gradients.summary(3), "0.3 at most"],
        ]
        for name in report.idle.keys.sorted() {
            rows.append([
                "\(name) waiting: % of a core", (report.idle[name] ?? []).map { 100 * $0 }.summary(2),
                "\((report.wakeups[name] ?? []).median.fixed(1)) wake-ups/s",
            ])
        }
        return markdownTable(["what", "measured", "beside"], left: [0, 2], rows)
    }
}

/// What a process has used so far.
private struct ProcessUse {
    /// Seconds of a core, of all threads that there are or were.
    private let cpu: Double
    /// By thread, how often it went on after waiting.
    private let wakeups: [String: Int]

    init(of pid: Int32) {
        var clock = clockid_t()
        var time = timespec()
        if clock_getcpuclockid(pid, &clock) == 0 { clock_gettime(clock, &time) }
        cpu = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        var wakeups: [String: Int] = [:]
        for thread in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? [] {
            let status = (try? String(contentsOfFile: "/proc/\(pid)/task/\(thread)/status", encoding: .utf8)) ?? ""
            let line = status.split(separator: "\n").first { $0.hasPrefix("voluntary_ctxt_switches") } ?? ""
            wakeups[thread] = Int(line.filter(\.isNumber)) ?? 0
        }
        self.wakeups = wakeups
    }

    /// What was used since an earlier look. Threads that ended meanwhile take their wake-ups with them.
    func since(_ earlier: ProcessUse) -> (cpu: Double, wakeups: Int) {
        (cpu - earlier.cpu, wakeups.reduce(0) { $0 + $1.value - (earlier.wakeups[$1.key] ?? 0) })
    }
}
