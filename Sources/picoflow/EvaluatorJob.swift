import Basics
import Foundation
import Supervisor

/// What needs a network but no pool is done by `picoflow-evaluator`, which links libtorch; `picoflow` does not.
enum EvaluatorJob {
    /// Becomes `picoflow-evaluator`, so that its output, its exit code and the terminal's signals are its own.
    ///
    /// - Throws: `UserError` where the program cannot be started; does not return otherwise.
    static func run(_ arguments: [String]) throws -> Never {
        let program = try program()
        fflush(nil)
        let words = ([program] + arguments).map { strdup($0) }
        let variables = environment.map { strdup("\($0)=\($1)") }
        execve(program, words + [nil], variables + [nil])
        let reason = String(cString: strerror(errno))
        (words + variables).forEach { free($0) }
        throw UserError("cannot start \(program): \(reason)")
    }

    /// Has `picoflow-evaluator` answer what is written to its standard input, in one process for all of it.
    ///
    /// - Throws: `UserError` where the program cannot be started or fails; its own words are on standard error.
    static func ask(_ arguments: [String], input: Data) throws -> Data {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try program())
        process.arguments = arguments
        process.environment = environment
        let (questions, answers) = (Pipe(), Pipe())
        (process.standardInput, process.standardOutput) = (questions, answers)
        do { try process.run() } catch {
            throw UserError("cannot start \(try program()): \(systemWords(error))")
        }
        // A program that dies early is an error by its exit code, not our end.
        signal(SIGPIPE, SIG_IGN)
        // The program reads all before it writes, so neither pipe can fill while the other is waited for.
        try? questions.fileHandleForWriting.write(contentsOf: input)
        try? questions.fileHandleForWriting.close()
        let output = answers.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationReason == .exit, process.terminationStatus == 0 else {
            throw UserError("picoflow-evaluator \(arguments.joined(separator: " ")) failed; see above")
        }
        return output
    }

    /// The evaluator computes as it does in a run.
    private static var environment: [String: String] {
        LibraryVariables.added(to: ProcessInfo.processInfo.environment)
    }

    private static func program() throws -> String {
        let program = try SupervisorRunner.Environment.ofThisProcess().executables + "/picoflow-evaluator"
        guard access(program, X_OK) == 0 else {
            throw UserError("\(program) is not there; build it or install it beside picoflow")
        }
        return program
    }
}
