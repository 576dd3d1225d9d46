import ArgumentParser
import Basics
import BenchKit
import Foundation

/// `tools/bench pool`: how far one consumer carries.
///
/// Every measurement runs in processes of its own, so that memory counts from zero: a consumer on the first core
/// that this process may use, its workers in one child process on the others. Each bandwidth measurement of the pool
/// stands beside one of a bare ROUTER/DEALER pair that moves equal bytes over the same transport, in turns.
struct PoolBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pool",
        abstract: "Tickets per second, latency, memory and CPU time of one pool consumer.",
        discussion: "Sources/Wire/CAPACITY.md explains the columns and computes from them what one head carries.")

    @Option(help: "Numbers of workers, separated by commas.") var workers = "1,16,256,1024"
    @Option(help: "Transports, separated by commas: ipc, tcp.") var transports = "ipc,tcp"
    @Option(help: "Seconds of each measurement at full load.") var seconds = 2.0
    @Option(help: "How often each measurement is made; medians are shown.") var rounds = 3
    @Option(help: "Bytes of a large result, a multiple of 4: an RGB image and its label map.") var bytes = 1_572_864
    @Flag(help: "Prints all measurements and their medians as JSON.") var json = false
    @Flag(help: .private) var ratios = false

    func validate() throws {
        guard seconds >= 0.1, seconds <= 600 else { throw ValidationError("--seconds takes 0.1 to 600") }
        guard (1...99).contains(rounds) else { throw ValidationError("--rounds takes 1 to 99") }
        guard (4...(1 << 29)).contains(bytes), bytes % 4 == 0 else {
            throw ValidationError("--bytes takes a multiple of 4 up to 512 MiB")
        }
        _ = try counts()
        _ = try links()
    }

    private func counts() throws -> [Int] {
        try workers.split(separator: ",").map { text in
            guard let count = Int(text), (1...16384).contains(count) else {
                throw ValidationError("--workers: '\(text)' is no number from 1 to 16384")
            }
            return count
        }
    }

    private func links() throws -> [Transport] {
        try transports.split(separator: ",").map { text in
            guard let transport = Transport(rawValue: String(text)) else {
                throw ValidationError("--transports: '\(text)' is neither ipc nor tcp")
            }
            return transport
        }
    }

    func run() throws {
        let cores = Cores.split()
        var small: [[PoolMeasurement]] = []
        var large: [[PoolMeasurement]] = []
        var bare: [[BareMeasurement]] = []
        var pairs: [[Double]] = []
        let progress = Progress(
            total: try counts().count * links().count * rounds * 3, isQuiet: isatty(STDERR_FILENO) == 0)
        for transport in try links() {
            for count in try counts() {
                var smalls: [PoolMeasurement] = []
                var larges: [PoolMeasurement] = []
                var bares: [BareMeasurement] = []
                var ratios: [Double] = []
                for _ in 0..<rounds {
                    progress.step("\(transport), \(count) workers")
                    smalls.append(try pool(transport, count, bytes: 0, cores))
                    // In turns, so that what else the machine does meets both alike.
                    progress.step("\(transport), \(count) workers, \(bytes) bytes")
                    let measured = try pool(transport, count, bytes: bytes, cores)
                    progress.step("\(transport), bare ZeroMQ")
                    let pair: BareMeasurement = try Child.measure(
                        [
                            "bare-case", "--transport", "\(transport)", "--dealers", "\(min(count, BareCase.window))",
                            "--window", "\(measured.window)", "--bytes", "\(bytes)", "--seconds", "\(seconds)",
                            "--worker-cores", cores.workerList,
                        ], cores: [cores.consumer])
                    larges.append(measured)
                    bares.append(pair)
                    ratios.append(measured.megabytesPerSecond / pair.megabytesPerSecond)
                }
                small.append(smalls)
                large.append(larges)
                bare.append(bares)
                pairs.append(ratios)
            }
        }
        progress.end()
        if ratios {
            return try Ratio.print(
                zip(large, pairs).map { Ratio("pool \($0[0].transport), \($0[0].workers) workers", $1.map { 1 / $0 }) })
        }
        let report = PoolReport(
            cores: cores, small: small, large: large,
            bare: bare, ratios: pairs)
        print(json ? try report.json() : report.table())
    }

    private func pool(_ transport: Transport, _ count: Int, bytes: Int, _ cores: Cores) throws -> PoolMeasurement {
        try Child.measure(
            [
                "pool-case", "--transport", "\(transport)", "--workers", "\(count)", "--bytes", "\(bytes)", "--seconds",
                "\(seconds)", "--worker-cores", cores.workerList,
            ], cores: [cores.consumer])
    }

    /// One line that is written over, on a terminal only.
    private final class Progress {
        private let total: Int
        private let isQuiet: Bool
        private var done = 0

        init(total: Int, isQuiet: Bool) {
            self.total = total
            self.isQuiet = isQuiet
        }

        func step(_ what: String) {
            done += 1
            put("\r\u{1b}[K\(done)/\(total) \(what)")
        }

        func end() { put("\r\u{1b}[K") }

        private func put(_ text: String) {
            if !isQuiet { writeToStandardError(text) }
        }
    }
}

enum Transport: String, Codable, ExpressibleByArgument, CustomStringConvertible {
    case ipc, tcp
    var description: String { rawValue }

    /// An address to bind: a path in a private folder, or a port of the system's choice.
    func address(in folder: String) -> String {
        switch self {
        case .ipc: "ipc://\(folder)/bench"
        case .tcp: "tcp://127.0.0.1:0"
        }
    }
}
