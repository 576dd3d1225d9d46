import Foundation
import TestSupport

/// The commands of one page, typed one after another into one shell, in a clone.
struct PageScript {
    /// What became of a command that did not do what its page says.
    struct Failure: CustomStringConvertible {
        var command: DocumentedCommand
        var reason: String
        /// The end of what it said.
        var output: String
        var description: String { "\(command)\n\(reason)\n\(output)" }
    }

    private let clone: Clone
    private let steps: [(command: DocumentedCommand, treatment: Treatment?)]

    private let path: String

    /// - Parameters:
    ///   - steps: each command with what the table says of it, nil where it is run as it stands.
    ///   - isFirst: whether it is the page that tells its reader to put the executables on the PATH; others rely on it.
    init(_ steps: [(command: DocumentedCommand, treatment: Treatment?)], isFirst: Bool, in clone: Clone) throws {
        self.clone = clone
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        self.path = isFirst ? path : clone.play.folder(".build/release") + ":" + path
        self.steps = steps
        try? FileManager.default.removeItem(atPath: clone.scratch)
        try FileManager.default.createDirectory(atPath: clone.scratch, withIntermediateDirectories: true)
    }

    /// Longest that a page may take, in seconds: many times what it does on a machine of its own.
    private static let limit = 400

    func run() throws -> [Failure] {
        try clone.play.folder.write(text(), to: "scratch/page")
        // `timeout` ends all that the page started, where that takes too long.
        let process = try PicoFlowProcess(
            ["--kill-after=5", "\(Self.limit)", "bash", "scratch/page"], program: "/usr/bin/timeout",
            in: clone.play.folder,
            environment: clone.play.environment.merging([
                "HOME": clone.play.folder("home"), "PATH": path, "PICOFLOW_BIN": try PicoFlowProcess.executables(),
            ]) { $1 })
        _ = try process.wait(.seconds(Self.limit + 30))
        return failures()
    }

    private func failures() -> [Failure] {
        var ends: [Int: String] = [:]
        for line in (clone.play.folder.read("scratch/ends") ?? "").split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1)
            if let index = words.first.flatMap({ Int($0) }) { ends[index] = String(words.last ?? "") }
        }
        return steps.indices.compactMap { index in
            if case .not? = steps[index].treatment { return nil }
            let end = ends[index] ?? "it did not end within \(Self.limit) s"
            guard end != "0" else { return nil }
            let said = clone.play.folder.read("scratch/output-\(index)") ?? ""
            return Failure(
                command: steps[index].command, reason: Int(end).map { "exit code \($0)" } ?? end,
                output: said.split(separator: "\n", omittingEmptySubsequences: false).suffix(15)
                    .joined(separator: "\n"))
        }
    }

    // MARK: The shell's text

    private func text() throws -> String {
        var lines = [
            "# How command N ended: a status, or what went wrong.",
            "end() { echo \"$1 $2\" >> scratch/ends; }", Self.finish,
            "beside=() port=\(clone.port)",
        ]
        for (index, step) in steps.enumerated() {
            let command = step.command.text
            switch step.treatment {
            case nil: lines += try typed(command, index)
            case .with(let words)?: lines += try typed(command + " " + words, index)
            case .instead(let other, because: _)?: lines += try typed(other, index)
            case .beside(let words, let condition)?: lines += try begun(command + " " + words, index, condition)
            case .until(let condition, let other)?:
                lines += try begun(other ?? command, index, condition) + ["finish \(index)"]
            case .not?: break
            }
        }
        lines.append("for index in \"${beside[@]}\"; do finish $index; done")
        return lines.joined(separator: "\n") + "\n"
    }

    /// Ends a process beside the page by SIGTERM, which a run takes for a stop, and notes how it ended.
    private static let finish = """
        finish() {
            local process=process_$1
            [ -n "${!process}" ] || return
            kill "${!process}" 2>/dev/null
            wait "${!process}"
            local status=$?
            # What only shows a run may die of the signal.
            [ $status != 143 ] || status=0
            end $1 $status
            unset $process
        }
        """

    /// In the shell itself, so that what it exports holds for the next; a file of its own keeps its mistakes to itself.
    private func typed(_ command: String, _ index: Int) throws -> [String] {
        try clone.play.folder.write(command + "\n", to: "scratch/command-\(index)")
        return [". scratch/command-\(index) > scratch/output-\(index) 2>&1 < /dev/null; end \(index) $?"]
    }

    private func begun(_ command: String, _ index: Int, _ condition: String) throws -> [String] {
        try clone.play.folder.write("exec \(command)\n", to: "scratch/command-\(index)")
        return [
            "( . scratch/command-\(index) ) > scratch/output-\(index) 2>&1 < /dev/null &",
            "process_\(index)=$!; output=scratch/output-\(index); beside+=(\(index))",
            "until \(condition); do kill -0 $process_\(index) 2> /dev/null || break; sleep 0.1; done",
            "\(condition) || { wait $process_\(index); end \(index) \"ended with $? before: \(escaped(condition))\"; "
                + "unset process_\(index); }",
        ]
    }

    private func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "\"", with: "\\\"").replacingOccurrences(of: "$", with: "\\$")
    }
}
