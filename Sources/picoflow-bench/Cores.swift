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

/// What a process may use and has used.
enum Usage {
    /// Makes room for so many file descriptors.
    ///
    /// - Throws: `UserError` where the hard limit is lower, with what to do.
    static func allowFiles(_ wanted: Int, for what: String) throws {
        var limit = rlimit()
        let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        getrlimit(files, &limit)
        guard limit.rlim_cur < wanted else { return }
        guard limit.rlim_max >= wanted else {
            throw UserError(
                "\(what) need \(wanted) open files; the hard limit is \(limit.rlim_max): raise it (ulimit -Hn, or "
                    + "LimitNOFILE of the service) or measure fewer by --workers")
        }
        limit.rlim_cur = rlim_t(wanted)
        guard setrlimit(files, &limit) == 0 else {
            throw UserError("cannot raise the limit of open files to \(wanted): \(String(cString: strerror(errno)))")
        }
    }

    /// Seconds of processor time of all threads.
    static var cpu: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Resident bytes.
    static var resident: Int {
        let words = ((try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? "").split(separator: " ")
        return words.count > 1 ? (Int(words[1]) ?? 0) * Int(getpagesize()) : 0
    }

    /// The most that was resident, in bytes.
    static var peak: Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss * 1024
    }
}
