import Basics
import CTimex
import Configuration
import Foundation
import StageKit

#if canImport(Glibc)
    import Glibc
#endif

extension MachineFacts {
    /// Looks at this machine; starts each of the programs once, for the fraction of a second that they take to end.
    ///
    /// - Parameter folder: where the stage executables are.
    public static func read(programsIn folder: String) -> MachineFacts {
        var facts = MachineFacts()
        facts.processors = ProcessInfo.processInfo.activeProcessorCount
        var system = utsname()
        uname(&system)
        facts.architecture = withUnsafeBytes(of: &system.machine) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        facts.cpuFeatures = LibraryVariables.processorFeatures
        facts.hugePages = hugePages()
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            facts.openFiles = (Int(clamping: limit.rlim_cur), Int(clamping: limit.rlim_max))
        }
        facts.sharedMemory = freeBytes("/dev/shm")
        facts.workingFolder = FileManager.default.currentDirectoryPath
        facts.freeDisk = freeBytes(".") ?? 0
        facts.isWritable = access(".", W_OK) == 0
        facts.isClockSynchronised = isClockSynchronised()
        facts.hasNVIDIADriver = access("/proc/driver/nvidia/version", F_OK) == 0
        let sockets = SocketsFolder(run: facts.workingFolder + "/doctor-\(getpid())")
        facts.socketsFolder = (sockets.path as NSString).deletingLastPathComponent
        do {
            try sockets.make()
            sockets.remove()
        } catch {
            facts.socketsTrouble = "\(error)"
        }
        facts.programs = StageKind.allCases.map { kind in
            let path = folder + "/" + kind.executable
            // Without its options a stage says so and exits with 2.
            return Program(path: path, trouble: trouble(of: run(path, []), expected: 2))
        }
        let evaluator = run(folder + "/" + StageKind.evaluator.executable, ["doctor"])
        facts.libtorchTrouble = trouble(of: evaluator, expected: 0)
        if facts.libtorchTrouble == nil, let output = evaluator?.output {
            facts.libtorch = try? JSONDecoder().decode(LibtorchReport.self, from: output)
            if facts.libtorch == nil { facts.libtorchTrouble = "picoflow-evaluator is of another version" }
        }
        return facts
    }

    // MARK: The system's files

    /// The system writes `always [madvise] never`.
    private static func hugePages() -> String? {
        let path = "/sys/kernel/mm/transparent_hugepage/enabled"
        let words = (try? String(contentsOfFile: path, encoding: .utf8))?.split(whereSeparator: \.isWhitespace)
        return words?.first { $0.hasPrefix("[") }.map { String($0.dropFirst().dropLast()) }
    }

    private static func freeBytes(_ path: String) -> Int? {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        return Int(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
    }

    /// Asks only: whoever sets the clock clears the kernel's note that it drifts. Some sandboxes refuse to tell.
    private static func isClockSynchronised() -> Bool? {
        var clock = timex()
        return adjtimex(&clock) < 0 ? nil : clock.status & STA_UNSYNC == 0
    }

    // MARK: Programs

    private struct Ending {
        var output: Data
        var lastLine: String
        var status: Int32
        var isSignal: Bool
    }

    /// Nil where it cannot even be started.
    private static func run(_ path: String, _ arguments: [String]) -> Ending? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = LibraryVariables.added(to: ProcessInfo.processInfo.environment)
        process.standardInput = FileHandle.nullDevice
        let (output, errors) = (Pipe(), Pipe())
        (process.standardOutput, process.standardError) = (output, errors)
        guard access(path, X_OK) == 0, (try? process.run()) != nil else { return nil }
        // Both are a few lines, which their pipes hold.
        let said = output.fileHandleForReading.readDataToEndOfFile()
        let words = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return Ending(
            output: said, lastLine: words.split(separator: "\n").last.map(String.init) ?? "",
            status: process.terminationStatus, isSignal: process.terminationReason != .exit)
    }

    private static func trouble(of ending: Ending?, expected: Int32) -> String? {
        guard let ending else { return "is not there" }
        if ending.isSignal { return "ends by signal \(ending.status)" }
        guard ending.status != expected else { return nil }
        return ending.lastLine.isEmpty ? "exits with \(ending.status)" : ending.lastLine
    }
}
