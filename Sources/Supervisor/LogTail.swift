import Basics
import Foundation

enum LogTail {
    /// The last line of a log that says something, without its time and name where it has them.
    static func lastLine(of path: String) -> String? {
        // A crash's report may be long, its last line is not.
        guard let end = fileTail(path, bytes: 16 << 10)?.data else { return nil }
        let text = String(decoding: end, as: UTF8.self)
        return text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }.last {
            !$0.isEmpty
        }
        .map { String($0.prefix(300)) }
    }
}
