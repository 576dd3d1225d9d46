import Basics
import Foundation

/// The newest lines of a run's logs, of all its processes in the order of time or of one of them.
struct RunLogs: Encodable {
    /// Whose logs there are.
    var names: [String]
    var lines: [String]

    /// Of all logs together; the newest of a log that is written fast come from these bytes at its end.
    static let maxLines = 300
    private static let maxFiles = 64
    private static let tail: UInt64 = 64 << 10

    /// - Parameter name: one of `names`; nil for all.
    init(folder: String, of name: String? = nil) {
        let files = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter {
            $0.hasSuffix(".log")
        }
        let all = files.map { String($0.dropLast(4)) }.sorted()
        names = all
        // Of very many processes those that said something last.
        let wanted =
            name.map { name in all.filter { $0 == name } }
            ?? all.map { (name: $0, time: Self.changed("\(folder)/\($0).log")) }
            .sorted { $0.time > $1.time }.prefix(Self.maxFiles).map(\.name).sorted()
        var stamped: [(time: Substring, place: Int, line: Substring)] = []
        for name in wanted {
            var time: Substring = ""
            for line in Self.end(of: "\(folder)/\(name).log") {
                // What has no time of its own, a crash report for one, stays with the line before it.
                if let own = Self.time(of: line) { time = own }
                stamped.append((time, stamped.count, line))
            }
        }
        stamped.sort { ($0.time, $0.place) < ($1.time, $1.place) }
        lines = stamped.suffix(Self.maxLines).map { String($0.line.prefix(2000)) }
    }

    /// `2025-03-01T12:00:00.123Z` at a line's beginning.
    private static func time(of line: Substring) -> Substring? {
        let stamp = line.prefix(24)
        guard stamp.utf8.count == 24, stamp.last == "Z", stamp.dropFirst(10).first == "T" else { return nil }
        return stamp
    }

    /// When it was last written, in nanoseconds since 1970.
    private static func changed(_ path: String) -> Int {
        var status = stat()
        guard stat(path, &status) == 0 else { return 0 }
        return status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec
    }

    private static func end(of path: String) -> [Substring] {
        guard let (end, isCut) = fileTail(path, bytes: tail) else { return [] }
        let lines = String(decoding: end, as: UTF8.self).split(whereSeparator: \.isNewline)
        // The first of a tail may be cut.
        return Array(isCut ? lines.dropFirst() : lines[...])
    }
}
