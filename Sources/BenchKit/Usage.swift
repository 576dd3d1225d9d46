import Basics
import Foundation

/// What a process may use and has used.
public enum Usage {
    /// Makes room for so many file descriptors.
    ///
    /// - Throws: `UserError` where the hard limit is lower, with what to do.
    public static func allowFiles(_ wanted: Int, for what: String) throws {
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
    public static var cpu: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Resident bytes.
    public static var resident: Int { Int(resident(of: getpid())) }

    /// Resident bytes of a process; 0 where there is none.
    public static func resident(of pid: Int32) -> Double {
        let words = ((try? String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8)) ?? "").split(separator: " ")
        return words.count > 1 ? (Double(words[1]) ?? 0) * Double(getpagesize()) : 0
    }

    /// Makes `peak` begin anew at what is resident now, as what is gone has raised it; where the kernel forbids it, it stays.
    public static func resetPeak() {
        try? FileHandle(forWritingTo: URL(fileURLWithPath: "/proc/self/clear_refs")).write(contentsOf: Data("5".utf8))
    }

    /// The most that was resident, in bytes.
    public static var peak: Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss * 1024
    }
}
