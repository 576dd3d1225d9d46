import Basics
import Glibc

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

    var description: String {
        workers == [consumer]
            ? "consumer and workers share core \(consumer): there is no other, so both are slower than the columns say"
            : "consumer on core \(consumer), workers on \(workers.map(String.init).joined(separator: ", "))"
    }

    /// Ascending; at least one.
    private static func allowed() -> [Int] {
        var set = cpu_set_t()
        sched_getaffinity(0, MemoryLayout<cpu_set_t>.size, &set)
        let found = withUnsafeBytes(of: &set) { bytes in
            (0..<bytes.count * 8).filter { bytes[$0 / 8] & (1 << ($0 % 8)) != 0 }
        }
        return found.isEmpty ? [0] : found
    }

    /// Keeps the calling process to these cores; threads that it starts later inherit that.
    static func pin(to cores: [Int]) {
        var set = cpu_set_t()
        withUnsafeMutableBytes(of: &set) { bytes in
            for core in cores where core / 8 < bytes.count { bytes[core / 8] |= 1 << (core % 8) }
        }
        sched_setaffinity(0, MemoryLayout<cpu_set_t>.size, &set)
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
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard fgets(&line, 128, file) != nil else { return 0 }
        let words = String(cString: line).split(separator: " ")
        return words.count > 1 ? (Int(words[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) : 0
    }

    /// The most that was resident, in bytes.
    static var peak: Int {
        var usage = rusage()
        getrusage(RUSAGE_SELF, &usage)
        return usage.ru_maxrss * 1024
    }
}
