import Basics
import CPidFD
import Configuration
import Foundation
import StageKit
import Wire

/// Processes that outlived the supervisor which started them, taken over by the next one.
///
/// They are not its children, so it hears of their ends, and signals them, by process descriptors: such a descriptor stays
/// one process's, whoever gets its id after it.
extension ProcessTable {
    /// Whether the kernel has process descriptors: Linux before 5.3 has none, and a sandbox may forbid them.
    static let canAdopt: Bool = {
        let descriptor = picoflow_pidfd_open(getpid())
        guard descriptor >= 0 else { return false }
        close(descriptor)
        return true
    }()

    /// Takes over a process.
    ///
    /// - Returns: false where it has ended meanwhile.
    func adopt(_ entry: Entry) throws -> Bool {
        let descriptor = picoflow_pidfd_open(entry.pid)
        guard descriptor >= 0 else {
            if errno == ESRCH { return false }
            throw DurableFile.systemError("cannot watch", "process \(entry.pid)")
        }
        // Looked at after the descriptor was opened: from here on it is this very process or none.
        guard ProcessTable.startTime(of: entry.pid) == entry.started else {
            close(descriptor)
            return false
        }
        let replica = Replica(entry.stage, entry.id)
        alive.withLock { $0[replica] = entry }
        adopted.withLock { $0[replica] = descriptor }
        let thread = Thread { [self] in
            var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            while poll(&watched, 1, -1) < 0 && errno == EINTR {}
            adopted.withLock { $0[replica] = nil }
            alive.withLock { alive in
                if alive[replica]?.pid == entry.pid { alive[replica] = nil }
            }
            close(descriptor)
            onExit(Exit(replica: replica, pid: entry.pid, end: .unknown))
        }
        thread.start()
        return true
    }
}

extension ProcessRecord {
    /// The living processes that this record's supervisor left.
    var survivors: [ProcessTable.Entry] {
        processes.filter { $0.started != 0 && ProcessTable.startTime(of: $0.pid) == $0.started }
    }

    /// Whether a supervisor with these settings may go on with the processes that live: they run here, the programs that it
    /// would start itself, on the recipe that it would give them, and dial where it will listen.
    func canBeTakenOver(recipe: String, topology: Topology, control: Endpoint, executables: String) -> Bool {
        guard ProcessTable.canAdopt, host == ProcessInfo.processInfo.hostName, self.control == control.address,
            self.recipe == recipe
        else {
            return false
        }
        let survivors = survivors
        return !survivors.isEmpty
            && survivors.allSatisfy { entry in
                guard let settings = topology.stages.first(where: { $0.name == entry.stage }), settings.exec == nil,
                    entry.generation == nil
                else { return true }
                let program = executables + "/" + settings.kind.executable
                return ProcessRecord.isSameFile("/proc/\(entry.pid)/exe", program)
            }
    }

    private static func isSameFile(_ one: String, _ other: String) -> Bool {
        var first = stat()
        var second = stat()
        return stat(one, &first) == 0 && stat(other, &second) == 0 && first.st_dev == second.st_dev
            && first.st_ino == second.st_ino
    }
}
