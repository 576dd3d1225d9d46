import Foundation

enum LogTail {
    /// The last line of a log that says something, without its time and name where it has them.
    static func lastLine(of path: String) -> String? {
        guard let file = FileHandle(forReadingAtPath: path) else { return nil }
        defer { try? file.close() }
        // A crash's report may be long, its last line is not.
        let end = (try? file.seekToEnd()) ?? 0
        try? file.seek(toOffset: end > 16 << 10 ? end - (16 << 10) : 0)
        let text = String(decoding: (try? file.readToEnd()) ?? Data(), as: UTF8.self)
        return text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }.last {
            !$0.isEmpty
        }
        .map { String($0.prefix(300)) }
    }
}
