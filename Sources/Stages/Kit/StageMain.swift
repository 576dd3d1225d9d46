import Basics
import Configuration
import Foundation
import Logging
import Wire

/// The frame of a stage's executable: everything from the command line to the exit code except the work itself.
///
/// ```swift
/// StageMain.run(.loader, fingerprint: LoaderStage.fingerprint) { runtime in
///     try LoaderStage.run(runtime)
/// }
/// ```
public enum StageMain {
    /// Dials the supervisor named on the command line, runs `body` on the calling thread, and ends the process.
    ///
    /// Exit codes: 0 when the body returned, whether finished or asked to stop; 1 when it threw, after the error was
    /// sent as an event and logged as one line, and for all but compute where the supervisor is lost; 2 for a wrong command line or an unknown `PICOFLOW_LOG`. SIGINT and SIGHUP are ignored: a terminal
    /// sends them to the supervisor too, which tells its stages what to do. SIGTERM ends the process unless the supervisor
    /// does so; see `Termination`.
    ///
    /// - Parameters:
    ///   - fingerprint: the stage's check calculation; see `Fingerprint.compute`.
    ///   - body: the work. It looks at `runtime.stop` and returns soon after a stop was asked for: compute after a
    ///     checkpoint, workers after the ticket in hand.
    public static func run(
        _ kind: StageKind, fingerprint: () throws -> Fingerprint, _ body: (StageRuntime) throws -> Void
    ) -> Never {
        run(kind, arguments: Array(CommandLine.arguments.dropFirst()), fingerprint: fingerprint, body)
    }

    /// The same with a command line that is not the process's.
    static func run(
        _ kind: StageKind, arguments words: [String], fingerprint: () throws -> Fingerprint,
        _ body: (StageRuntime) throws -> Void
    ) -> Never {
        for ignored in [SIGINT, SIGHUP, SIGPIPE] { signal(ignored, SIG_IGN) }
        let arguments: StageLink.Arguments
        let level: LogLevel
        do {
            arguments = try StageLink.Arguments(words, kind: kind)
            level = try .from(ProcessInfo.processInfo.environment)
        } catch {
            writeToStandardError("\(kind.executable): \(error)\n")
            end(2)
        }
        let origin = LogOrigin(arguments.replica.description)
        let logger = Logger.stage(origin, level: level)
        let link: StageLink
        let computed: Fingerprint
        do {
            computed = try fingerprint()
        } catch {
            logger.critical("cannot compute the fingerprint: \(errorLine(error))")
            end(1)
        }
        let stay = StayAlive(kind: kind, arguments: arguments, logger: logger)
        link = StageLink(
            arguments: arguments, kind: kind, fingerprint: computed, logger: logger,
            onLost: { [stay] in stay.supervisorLost() })
        stay.stop = link.stop
        link.start()
        do {
            let configuration = try link.awaitConfiguration().dialled(at: arguments.control)
            try stay.configured(configuration, as: arguments.replica)
            logger.info(
                "configured", metadata: ["epoch": "\(configuration.epoch)", "threads": "\(configuration.threads)"])
            let runtime = try StageRuntime(
                link: link, configuration: configuration, logger: logger, origin: origin)
            try body(runtime)
        } catch {
            logger.critical("\(errorLine(error))")
            link.send(.event, StageEvent(.failed, errorLine(error), remedy: (error as? RecoverableFailure)?.remedy))
            link.send(.bye, Bye(.failed))
            link.end()
            end(link.hasLostSupervisor ? supervisorLost : 1)
        }
        link.send(.bye, Bye(byeReason(link.stop.reason)))
        link.end()
        logger.info("ended", metadata: ["reason": "\(byeReason(link.stop.reason).rawValue)"])
        // A host that has joined shall not take this for an end that was asked for: it may have the supervisor still.
        end(link.stop.reason == .supervisorLost ? supervisorLost : 0)
    }

    /// The exit code of a stage whose supervisor was silent for the grace. One that only stood still, as a suspended terminal
    /// job, learns from it that the stage did not fail: what the stage says last may be lost with all that waits before it.
    public static let supervisorLost: Int32 = 75

    private static func byeReason(_ reason: StopReason?) -> Bye.Reason {
        switch reason {
        case nil: .finished
        case .stop, .abandon: .stopped
        case .drain: .drained
        case .supervisorLost: .supervisorLost
        }
    }

    /// Ends without running destructors: libraries' worker threads may still be in their code.
    static func end(_ code: Int32) -> Never {
        fflush(nil)
        _exit(code)
    }
}

extension StageLink.Arguments {
    /// Reads `--control ENDPOINT --run NAME --stage NAME --id N [--grace MILLISECONDS] [--heartbeat MILLISECONDS]
    /// [--key FILE] [--dataset-root DIR]`; the last two are for stages on hosts that join.
    init(_ words: [String], kind: StageKind) throws {
        var values: [String: String] = [:]
        let known = ["--control", "--run", "--stage", "--id", "--grace", "--heartbeat", "--key", "--dataset-root"]
        var rest = words[...]
        while let name = rest.popFirst() {
            guard known.contains(name) else {
                throw UserError("unknown argument '\(name)'\(suggestion(for: name, among: known)). \(Self.hint)")
            }
            guard let value = rest.popFirst() else { throw UserError("\(name) needs a value") }
            values[name] = value
        }
        func value(_ name: String) throws -> String {
            guard let value = values[name] else { throw UserError("\(name) is missing. \(Self.hint)") }
            return value
        }
        control = try Endpoint(value("--control"))
        run = try value("--run")
        let id = try value("--id")
        guard let number = Int(id), number > 0 else { throw UserError("--id \(id) is no number from 1") }
        replica = Replica(values["--stage"] ?? kind.rawValue, number)
        func milliseconds(_ name: String) throws -> Duration? {
            guard let text = values[name] else { return nil }
            guard let number = Int(text), number > 0 else {
                throw UserError("\(name) \(text) is no positive number of milliseconds")
            }
            return .milliseconds(number)
        }
        grace = try milliseconds("--grace") ?? .seconds(30)
        heartbeat = try milliseconds("--heartbeat") ?? .seconds(1)
        key = try values["--key"].map { try ClientKeyFile(contentsOf: $0) }
        datasetRoot = values["--dataset-root"]
    }

    private static let hint = "Stages are started by 'picoflow launch'."
}
