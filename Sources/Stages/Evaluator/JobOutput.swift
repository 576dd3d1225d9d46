import Basics
import Foundation

/// How a job speaks: its result on standard output, as lines that come one by one or as JSON at its end, and what else
/// there is to say on standard error.
struct JobOutput {
    let isJSON: Bool
    let isQuiet: Bool

    /// Takes `--json yes` and `--quiet yes` out of a job's words, where they stand before a `--`.
    init(takenFrom words: inout [String]) {
        var found: Set<String> = []
        var rest: [String] = []
        var index = 0
        while index < words.count, words[index] != "--" {
            if ["--json", "--quiet"].contains(words[index]), index + 1 < words.count {
                if words[index + 1] == "yes" { found.insert(words[index]) }
                index += 2
            } else {
                rest.append(words[index])
                index += 1
            }
        }
        words = rest + words[index...]
        isJSON = found.contains("--json")
        isQuiet = found.contains("--quiet")
    }

    /// A line of the result for people; shows at once.
    func line(_ text: String) {
        guard !isJSON else { return }
        print(text)
        showStandardOutput()
    }

    /// The whole result for programs.
    func finish(_ result: some Encodable) throws {
        if isJSON { print(try result.prettyJSON()) }
    }

    /// What is neither result nor error.
    func note(_ text: String) {
        if !isQuiet { writeToStandardError(text + "\n") }
    }

    /// A counter, where the lines of the result are none themselves.
    func progress(_ verb: String) -> WorkProgress {
        WorkProgress(verb, quiet: isQuiet || (!isJSON && isatty(STDOUT_FILENO) == 1))
    }
}
