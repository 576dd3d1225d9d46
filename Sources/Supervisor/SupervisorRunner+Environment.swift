import Configuration
import Foundation
import StageKit

extension SupervisorRunner {
    /// What the outside world supplies.
    public struct Environment: Sendable {
        /// Where the stage executables are.
        public var executables: String
        public var variables: [String: String]
        /// False in tests: signals are the process's.
        public var watchesSignals = true

        public init(executables: String, variables: [String: String], watchesSignals: Bool = true) {
            self.executables = executables
            self.variables = variables
            self.watchesSignals = watchesSignals
        }

        /// The stages beside our own executable, our own variables.
        public static func ofThisProcess() throws -> Environment {
            Environment(executables: try StageCommand.ownFolder(), variables: ProcessInfo.processInfo.environment)
        }
    }

    /// The files of a run that a supervisor writes.
    public struct RunFiles {
        public var directory: String
        /// Nil where nothing of it belongs into a journal: an evaluation beside a run.
        public var journal: Journal?
        /// Where the processes are listed; nil lists them nowhere.
        public var processes: String?
        /// What the list says of the recipe that they work on.
        public var recipeHash: String?

        public init(directory: String, journal: Journal?, processes: String?, recipeHash: String? = nil) {
            self.directory = directory
            self.journal = journal
            self.processes = processes
            self.recipeHash = recipeHash
        }

        func log(of replica: Replica) -> String { "\(directory)/logs/\(replica).log" }
    }
}
