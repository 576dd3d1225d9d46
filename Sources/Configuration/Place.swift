/// Where a value was written; every message about a configuration begins with one.
public enum Place: Sendable, Equatable, CustomStringConvertible {
    /// A line of a file, or the file as a whole where the trouble is what it does not say.
    case file(String, line: Int?)
    /// An argument of the command line, spelled as the user typed it: `--set schedule.batch=4`.
    case option(String)

    public var description: String {
        switch self {
        case .file(let path, let line?): "\(path):\(line)"
        case .file(let path, nil): path
        case .option(let text): text
        }
    }
}
