import Configuration
import Foundation

/// What `picoflow doctor` makes of a machine: a finding each, with a remedy where there is something to mend.
public struct Diagnosis: Codable, Sendable, Equatable {
    public enum Verdict: String, Codable, Sendable {
        case good
        /// It works, and could work better, or will not for some runs.
        case advice
        /// A run will not work.
        case broken
    }

    public struct Finding: Codable, Sendable, Equatable {
        public var subject: String
        public var verdict: Verdict
        /// What was found.
        public var found: String
        /// What to do; nil where nothing is.
        public var remedy: String?
    }

    public private(set) var findings: [Finding] = []

    public var isBroken: Bool { findings.contains { $0.verdict == .broken } }

    public init(_ facts: MachineFacts) {
        programs(facts)
        libtorch(facts)
        processor(facts)
        memory(facts)
        limits(facts)
        places(facts)
        clock(facts)
    }

    /// A line per finding, its remedy below it.
    public var text: String {
        let width = findings.map(\.subject.count).max() ?? 0
        let marks: [Verdict: String] = [.good: "ok     ", .advice: "advice ", .broken: "BROKEN "]
        var lines = findings.map { finding in
            let subject = finding.subject.padding(toLength: width + 2, withPad: " ", startingAt: 0)
            let line = (marks[finding.verdict] ?? "") + subject + finding.found
            let indent = String(repeating: " ", count: 7 + width + 2)
            return line + (finding.remedy.map { "\n\(indent)-> \($0)" } ?? "")
        }
        let broken = findings.count { $0.verdict == .broken }
        lines.append(broken == 0 ? "\nRuns will work here." : "\n\(broken) of these will keep a run from working.")
        return lines.joined(separator: "\n")
    }

    private mutating func add(_ subject: String, _ verdict: Verdict, _ found: String, _ remedy: String? = nil) {
        findings.append(Finding(subject: subject, verdict: verdict, found: found, remedy: remedy))
    }

    // MARK: Subjects

    private mutating func programs(_ facts: MachineFacts) {
        let troubled = facts.programs.filter { $0.trouble != nil }
        for program in troubled {
            add(
                "stages", .broken, "\(program.path): \(program.trouble ?? "")",
                "build all of PicoFlow (`swift build -c release`), keep its programs in one folder, and see "
                    + "`ldd \(program.path)` for libraries that are not found")
        }
        guard troubled.isEmpty, let first = facts.programs.first else { return }
        let folder = (first.path as NSString).deletingLastPathComponent
        add("stages", .good, "\(facts.programs.count) programs in \(folder), all of which start")
    }

    private mutating func libtorch(_ facts: MachineFacts) {
        guard let libtorch = facts.libtorch else {
            add(
                "libtorch", .broken, facts.libtorchTrouble ?? "does not answer",
                "install it (Debian: libtorch-dev), or build with LIBTORCH=DIR of another; CONTRIBUTING.md says how")
            return
        }
        add("libtorch", .good, libtorch.version + (libtorch.library.map { ", \($0)" } ?? ""))
        switch (libtorch.cudaDevices, facts.hasNVIDIADriver) {
        case (_, _) where libtorch.cudaTrouble != nil:
            add(
                "CUDA", .advice, "libtorch_cuda.so cannot be loaded: \(libtorch.cudaTrouble!)",
                "install what it lacks, or name its folder in LD_LIBRARY_PATH; without it runs take the processor")
        case (1..., _): add("CUDA", .good, "\(libtorch.cudaDevices) GPU\(libtorch.cudaDevices == 1 ? "" : "s")")
        case (_, true):
            add(
                "CUDA", .advice, "there is an NVIDIA driver, but this libtorch uses no GPU",
                "build with LIBTORCH=DIR of a libtorch with CUDA, and look whether `nvidia-smi` works and "
                    + "CUDA_VISIBLE_DEVICES is empty")
        default: add("CUDA", .good, "no GPU: runs take the processor")
        }
        add(
            "BLAS", libtorch.blas.isEmpty ? .advice : .good,
            libtorch.blas.isEmpty ? "none that is known" : libtorch.blas.joined(separator: "; "),
            libtorch.blas.isEmpty ? "install OpenBLAS (Debian: libopenblas0); others may be many times slower" : nil)
        // libtorch counts cores, the system hyperthreads: fewer of the first are no fault.
        add(
            "threads", .good,
            "\(facts.processors) processor\(facts.processors == 1 ? "" : "s"), \(libtorch.threads) of libtorch's own choice; "
                + "in runs a topology's `threads` decides")
    }

    private mutating func processor(_ facts: MachineFacts) {
        guard facts.architecture == "x86_64" else { return add("processor", .good, facts.architecture) }
        guard facts.cpuFeatures.contains("avx2") else {
            return add(
                "processor", .advice, "x86_64 without AVX2",
                "train on a newer one: this one takes several times as long")
        }
        let bf16 = ["avx512_bf16", "amx_bf16"].filter(facts.cpuFeatures.contains)
        add(
            "processor", .good,
            bf16.isEmpty
                ? "AVX2; no instructions for bf16, so `model.precision: bf16` would be slower here than float32"
                : "AVX2, bf16 by \(bf16.joined(separator: " and "))")
    }

    private mutating func memory(_ facts: MachineFacts) {
        switch facts.hugePages {
        case "never":
            add(
                "huge pages", .advice, "never: large tensors cost more page faults",
                "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled")
        case let setting?: add("huge pages", .good, setting)
        case nil: add("huge pages", .good, "not of this system")
        }
        // What containers have by default; NCCL's buffers between GPUs of one machine take more.
        let least = 65 << 20
        guard let free = facts.sharedMemory, free >= least else {
            let found = facts.sharedMemory.map { "\(Self.size($0)) free in /dev/shm" } ?? "there is no /dev/shm"
            return add(
                "shared memory", .advice, found,
                "ranks on several GPUs of one machine need more: `docker run --shm-size 1g`, or mount a larger tmpfs")
        }
        add("shared memory", .good, "\(Self.size(free)) free in /dev/shm")
    }

    private mutating func limits(_ facts: MachineFacts) {
        let (soft, hard) = facts.openFiles
        // A supervisor has a few files per replica; 64 do not hold a small run's sockets.
        let verdict: Verdict = soft < 64 ? .broken : soft < 1024 ? .advice : .good
        let wanted = min(hard, 4096)
        add(
            "open files", verdict, "\(Self.count(soft)) per process, at most \(Self.count(hard))",
            verdict == .good
                ? nil
                : wanted > soft
                    ? "ulimit -n \(wanted)" : "raise the limit `nofile` in /etc/security/limits.conf, or the service's")
    }

    private mutating func places(_ facts: MachineFacts) {
        if let trouble = facts.socketsTrouble {
            add(
                "sockets", .broken, trouble,
                "set XDG_RUNTIME_DIR to a folder of yours with a short path, or make /tmp writable")
        } else {
            add("sockets", .good, facts.socketsFolder)
        }
        let free = Self.size(facts.freeDisk)
        if !facts.isWritable {
            add(
                "disk", .advice, "\(facts.workingFolder) is not writable",
                "work in a folder of yours, or give runs one by `--run DIR`")
        } else if facts.freeDisk < 2 << 30 {
            // Some checkpoints of a large network with its optimiser and memory.
            add(
                "disk", facts.freeDisk < 64 << 20 ? .broken : .advice, "\(free) free in \(facts.workingFolder)",
                "make room, or give runs another place by `--run DIR`; `checkpoints.keep` says how many are kept")
        } else {
            add("disk", .good, "\(free) free in \(facts.workingFolder)")
        }
    }

    /// No result depends on it: peers are watched by clocks of their own that only run on.
    private mutating func clock(_ facts: MachineFacts) {
        switch facts.isClockSynchronised {
        case true?: add("clock", .good, "synchronised")
        case false?:
            add(
                "clock", .advice,
                "not synchronised, as far as the kernel knows: where a run has several machines, the lines of their logs "
                    + "may not stand in the order of what happened",
                "`timedatectl set-ntp true`, or install chrony; in a container or virtual machine, on its host")
        case nil: add("clock", .good, "the kernel does not say whether it is synchronised")
        }
    }

    /// The system writes "no limit" as a number beyond any count of files.
    private static func count(_ files: Int) -> String { files > 1 << 40 ? "any number" : "\(files)" }

    private static func size(_ bytes: Int) -> String {
        bytes >= 1 << 30
            ? String(format: "%.1f GiB", Double(bytes) / Double(1 << 30)) : "\(bytes >> 20) MiB"
    }
}
