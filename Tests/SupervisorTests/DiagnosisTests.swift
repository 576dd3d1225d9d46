import StageKit
import Testing

@testable import Supervisor

/// What `picoflow doctor` makes of machines.
@Suite struct DiagnosisTests {
    private var healthy: MachineFacts {
        var facts = MachineFacts()
        facts.processors = 8
        facts.architecture = "x86_64"
        facts.cpuFeatures = ["avx2", "fma"]
        facts.hugePages = "madvise"
        facts.openFiles = (1024, 1 << 20)
        facts.sharedMemory = 8 << 30
        facts.socketsFolder = "/run/user/1000"
        facts.freeDisk = 100 << 30
        facts.workingFolder = "/home/me"
        facts.isClockSynchronised = true
        facts.programs = [.init(path: "/opt/picoflow/picoflow-loader", trouble: nil)]
        facts.libtorch = LibtorchReport(
            version: "2.1.0", library: nil, cudaDevices: 0, threads: 8, blas: ["OpenBLAS 0.3.21"])
        return facts
    }

    private func finding(_ subject: String, _ change: (inout MachineFacts) -> Void) throws -> Diagnosis.Finding {
        var facts = healthy
        change(&facts)
        let diagnosis = Diagnosis(facts)
        let found = try #require(diagnosis.findings.first { $0.subject == subject })
        #expect(diagnosis.isBroken == (found.verdict == .broken))
        #expect((found.remedy == nil) == (found.verdict == .good))
        #expect(diagnosis.text.contains(found.found))
        return found
    }

    @Test func healthyMachineHasNothingToMend() {
        let diagnosis = Diagnosis(healthy)
        #expect(diagnosis.findings.allSatisfy { $0.verdict == .good && $0.remedy == nil })
        #expect(diagnosis.text.hasSuffix("Runs will work here."))
    }

    @Test func whatKeepsARunFromWorkingIsBroken() throws {
        let stage = try finding("stages") { $0.programs[0].trouble = "libzmq.so.5: cannot open shared object file" }
        #expect(stage.verdict == .broken && stage.found.contains("picoflow-loader: libzmq.so.5"))
        let torch = try finding("libtorch") {
            $0.libtorch = nil
            $0.libtorchTrouble = "libtorch.so: cannot open shared object file"
        }
        #expect(torch.verdict == .broken && torch.remedy?.contains("LIBTORCH=DIR") == true)
        #expect(try finding("sockets") { $0.socketsTrouble = "cannot make folder" }.verdict == .broken)
        #expect(try finding("disk") { $0.freeDisk = 1 << 20 }.verdict == .broken)
        #expect(try finding("open files") { $0.openFiles = (32, 32) }.remedy?.contains("limits.conf") == true)
    }

    @Test func whatOnlySlowsOrLimitsIsAdvice() throws {
        #expect(try finding("CUDA") { $0.hasNVIDIADriver = true }.verdict == .advice)
        let cuda = try finding("CUDA") { $0.libtorch?.cudaTrouble = "libcudnn.so.9: cannot open shared object file" }
        #expect(cuda.verdict == .advice && cuda.found.contains("libcudnn.so.9"))
        #expect(try finding("BLAS") { $0.libtorch?.blas = [] }.verdict == .advice)
        #expect(try finding("processor") { $0.cpuFeatures = ["sse4_2"] }.verdict == .advice)
        #expect(try finding("huge pages") { $0.hugePages = "never" }.verdict == .advice)
        #expect(try finding("shared memory") { $0.sharedMemory = 64 << 20 }.verdict == .advice)
        #expect(try finding("open files") { $0.openFiles = (256, 8192) }.remedy == "ulimit -n 4096")
        #expect(try finding("disk") { $0.freeDisk = 1 << 30 }.verdict == .advice)
        let clock = try finding("clock") { $0.isClockSynchronised = false }
        #expect(clock.verdict == .advice && clock.remedy?.contains("timedatectl set-ntp true") == true)
        // Sandboxes that do not tell are no fault of the clock.
        #expect(try finding("clock") { $0.isClockSynchronised = nil }.verdict == .good)
    }
}
