import Configuration
import Foundation
import StageKit

/// What `picoflow doctor` looks at: this machine, this user's limits, and what lies beside the program.
public struct MachineFacts: Sendable {
    /// One of the programs that a run starts.
    public struct Program: Sendable, Equatable {
        public var path: String
        /// Why it does not start; nil where it does.
        public var trouble: String?
    }

    /// Processors that this process may use.
    public var processors = 1
    /// As `x86_64`.
    public var architecture = ""
    /// As the system calls them: `avx2`.
    public var cpuFeatures: Set<String> = []
    /// `always`, `madvise` or `never`; nil where the system has none.
    public var hugePages: String?
    /// Open files: what a process may have, and what it may allow itself.
    public var openFiles = (soft: 0, hard: 0)
    /// Free bytes of `/dev/shm`; nil where there is none.
    public var sharedMemory: Int?
    /// Where a run's sockets would lie, and why none can; nil where one can.
    public var socketsFolder = ""
    public var socketsTrouble: String?
    /// Free bytes where this process stands, and whether it may write there.
    public var freeDisk = 0
    public var workingFolder = ""
    public var isWritable = true
    /// Whether something keeps the clock right, as the kernel knows; nil where it does not say.
    public var isClockSynchronised: Bool?
    public var programs: [Program] = []
    /// Of the evaluator, if it starts; else why it fails.
    public var libtorch: LibtorchReport?
    public var libtorchTrouble: String?
    /// Whether the kernel has an NVIDIA GPU's driver.
    public var hasNVIDIADriver = false

    public init() {}
}
