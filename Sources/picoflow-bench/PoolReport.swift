import Basics
import BenchKit
import Foundation

/// All measurements of a `tools/bench pool`, as a table for people and as JSON for programs.
struct PoolReport {
    var cores: Cores
    /// Per transport and number of workers, its rounds.
    var small: [[PoolMeasurement]]
    var large: [[PoolMeasurement]]
    /// The same of bare sockets: as many DEALERs as workers, no more than there are tickets under way.
    var bare: [[BareMeasurement]]
    /// Per entry of `large`, each round's rate over that of the bare sockets measured right after it.
    var ratios: [[Double]]

    func table() -> String {
        var lines = [cores.description, ""]
        lines.append("small results (no tensor), medians of \(small.first?.count ?? 0) (smallest - largest)")
        lines.append(
            row([
                "", "workers", "tickets/s", "", "alone p50/p90/p99 ms", "full load p50/p90/p99 ms", "CPU us/ticket",
                "KiB/worker",
            ]))
        for rounds in small { lines.append(row(line(rounds, rate: \.ticketsPerSecond, digits: 0))) }
        let bytes = large.first?.first?.resultBytes ?? 0
        lines += ["", "results of \(bytes) bytes"]
        lines.append(
            row([
                "", "workers", "MB/s", "", "alone p50/p90/p99 ms", "full load p50/p90/p99 ms", "CPU us/ticket",
                "KiB/worker", "of bare ZeroMQ",
            ]))
        for (rounds, ratio) in zip(large, ratios) {
            let share =
                "\(percent(ratio.median)) (\(percent(ratio.spread.lowerBound)) - \(percent(ratio.spread.upperBound)))"
            lines.append(row(line(rounds, rate: \.megabytesPerSecond, digits: 0) + [share]))
        }
        for rounds in bare {
            let rates = rounds.map(\.megabytesPerSecond)
            lines.append(
                row([
                    "\(rounds[0].transport)", "bare \(rounds[0].dealers)", rates.median.fixed(0), range(rates, 0), "",
                    "",
                    rounds.map(\.cpuMicrosecondsPerMessage).median.fixed(1), "",
                ]))
        }
        lines += [
            "",
            "bare N: a ROUTER and N DEALERs in one other process, equal bytes in two frames, as many under way; bare 1 is the pair",
        ]
        lines += [
            "workers up to \(PoolWorkers.threaded) are PoolWorkers with their threads; more are their protocol cores on one thread"
        ]
        return lines.joined(separator: "\n")
    }

    private func line(_ rounds: [PoolMeasurement], rate: KeyPath<PoolMeasurement, Double>, digits: Int) -> [String] {
        let rates = rounds.map { $0[keyPath: rate] }
        func times(_ latency: KeyPath<PoolMeasurement, Percentiles>) -> String {
            [\Percentiles.p50, \.p90, \.p99].map { part in
                rounds.map { $0[keyPath: latency][keyPath: part] }.median.fixed(2)
            }.joined(separator: " / ")
        }
        return [
            "\(rounds[0].transport)", "\(rounds[0].workers)", rates.median.fixed(digits), range(rates, digits),
            times(\.alone), times(\.loaded), rounds.map(\.cpuMicrosecondsPerTicket).median.fixed(1),
            rounds.map(\.memoryPerWorkerKiB).median.fixed(1),
        ]
    }

    private func row(_ cells: [String]) -> String {
        let widths = [5, 8, 10, 19, 24, 28, 15, 12]
        return cells.enumerated().map { index, cell in
            index < widths.count ? cell.padded(to: widths[index], right: index > 0) : "  " + cell
        }.joined()
    }

    private func percent(_ share: Double) -> String { (share * 100).fixed(0) + " %" }
    private func range(_ values: [Double], _ digits: Int) -> String {
        "(\(values.spread.lowerBound.fixed(digits)) - \(values.spread.upperBound.fixed(digits)))"
    }

    func json() throws -> String {
        struct Medians: Encodable {
            var transport: Transport
            var workers: Int
            var resultBytes: Int
            var ticketsPerSecond: Double
            var megabytesPerSecond: Double
            var ofBarePair: Double?
            var rounds: [PoolMeasurement]
        }
        struct Output: Encodable {
            var cores: Cores
            var pool: [Medians]
            var bare: [BareMeasurement]
        }
        func medians(_ rounds: [PoolMeasurement], _ ratio: Double?) -> Medians {
            Medians(
                transport: rounds[0].transport, workers: rounds[0].workers, resultBytes: rounds[0].resultBytes,
                ticketsPerSecond: rounds.map(\.ticketsPerSecond).median,
                megabytesPerSecond: rounds.map(\.megabytesPerSecond).median, ofBarePair: ratio, rounds: rounds)
        }
        return try Output(
            cores: cores, pool: small.map { medians($0, nil) } + zip(large, ratios).map { medians($0, $1.median) },
            bare: bare.flatMap { $0 }
        ).prettyJSON()
    }
}
