import Basics
import Foundation

/// Which processor cores the two sides of a measurement run on.
struct Cores: Codable, CustomStringConvertible {
    /// The consumer's, all its threads included.
    var consumer: Int
    /// The workers'; the same one where there is no other.
    var workers: [Int]

    /// The first core that this process may use for the consumer, the others for the workers.
    static func split() -> Cores {
        let allowed = allowed()
        return Cores(consumer: allowed[0], workers: allowed.count > 1 ? Array(allowed[1...]) : allowed)
    }

    /// Each once.
    var all: [Int] { workers.contains(consumer) ? workers : [consumer] + workers }

    /// As `taskset` and our own `--worker-cores` have it.
    var workerList: String { workers.map(String.init).joined(separator: ",") }

    var description: String {
        workers == [consumer]
            ? "consumer and workers share core \(consumer): there is no other, so both are slower than the columns say"
            : "consumer on core \(consumer), workers on \(workerList)"
    }

    /// Ascending; at least one.
    private static func allowed() -> [Int] {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") } ?? ""
        // For instance `0-3,8`.
        let found = line.drop { !$0.isNumber }.split(separator: ",").flatMap { part -> [Int] in
            let ends = part.split(separator: "-").compactMap { Int($0.filter(\.isNumber)) }
            guard let first = ends.first, let last = ends.last, first <= last else { return [] }
            return Array(first...last)
        }
        return found.isEmpty ? [0] : found
    }
}
