import Basics
import Foundation
import Supervisor

/// What needs a network but no pool is done by `picoflow-evaluator`, which links libtorch; `picoflow` does not.
enum EvaluatorJob {
    /// Becomes `picoflow-evaluator`, so that its output, its exit code and the terminal's signals are its own.
    ///
    /// - Throws: `UserError` where the program cannot be started; does not return otherwise.
    static func run(_ arguments: [String]) throws -> Never {
        let folder = try SupervisorRunner.Environment.ofThisProcess().executables
        let program = folder + "/picoflow-evaluator"
        guard access(program, X_OK) == 0 else {
            throw UserError("\(program) is not there; build it or install it beside picoflow")
        }
        fflush(nil)
        var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
        words.append(nil)
        execv(program, words)
        let reason = String(cString: strerror(errno))
        words.forEach { free($0) }
        throw UserError("cannot start \(program): \(reason)")
    }
}
