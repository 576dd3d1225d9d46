import Basics
import Configuration
import Foundation
import StageKit
import Wire

/// How a stage's process is started: program, arguments, environment.
struct StageCommand: Equatable {
    var command: [String]
    var environment: [String: String]

    /// - Parameters:
    ///   - timing: how stage and supervisor watch each other.
    ///   - folder: where the stage executables are.
    ///   - inherited: the supervisor's environment.
    init(
        _ replica: Replica, settings: StageSettings, control: Endpoint, run: String, timing: SupervisorSettings,
        folder: String,
        inherited: [String: String]
    ) {
        let program = settings.exec ?? [folder + "/" + settings.kind.executable]
        command =
            program + [
                "--control", control.address, "--run", run, "--stage", replica.stage, "--id", String(replica.id),
                "--grace", String(Int(timing.grace / .milliseconds(1))),
                "--heartbeat", String(Int(timing.heartbeat / .milliseconds(1))),
            ]
        environment = LibraryVariables.added(to: inherited)
        // The count of the topology, which is written into the run, is the one that counts.
        for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
            environment[name] = String(settings.threads ?? 1)
        }
    }

    /// The folder of our own executable, where the stages' lie too.
    static func ownFolder() throws -> String {
        guard let path = realpath("/proc/self/exe", nil) else {
            throw DurableFile.systemError("cannot find", "/proc/self/exe")
        }
        defer { free(path) }
        return (String(cString: path) as NSString).deletingLastPathComponent
    }

    /// - Throws: `UserError` that names the first program that is not there.
    static func check(_ stages: [StageSettings], folder: String) throws {
        for stage in stages where stage.exec == nil {
            let path = folder + "/" + stage.kind.executable
            guard access(path, X_OK) == 0 else {
                throw UserError(
                    "stage '\(stage.name)' needs \(path), which is not there; build it or install it beside picoflow")
            }
        }
    }
}
