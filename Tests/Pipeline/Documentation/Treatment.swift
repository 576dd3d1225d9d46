/// How a documented command is tested; one that has no row is run as it stands.
enum Treatment {
    /// Run with words behind it that make it short, or fit for a test's machine.
    case with(String)
    /// Run beside the commands that follow, to the end of its page or its own, with words behind it. The next command waits
    /// for a condition of the shell; `$output` is the file of what it says.
    case beside(String = "", once: String)
    /// The same, but ended as soon as the condition holds; another command in its place where one is given.
    case until(String, of: String? = nil)
    /// Something else is run, and why.
    case instead(String, because: String)
    /// Nothing is run, and why.
    case not(because: String)
}

/// A row of the table of what is not run as it stands.
struct TreatmentRow {
    /// What commands begin with; of several rows the longest counts.
    var command: String
    var treatment: Treatment
    /// Modules of Python without which it is left out.
    var needs: [String] = []

    init(_ command: String, needs: [String] = [], _ treatment: Treatment) {
        self.command = command
        self.treatment = treatment
        self.needs = needs
    }

    /// The row of a command, by its index.
    static func index(of command: String, in table: [TreatmentRow]) -> Int? {
        table.indices.filter { command == table[$0].command || command.hasPrefix(table[$0].command + " ") }
            .max { table[$0].command.count < table[$1].command.count }
    }
}
