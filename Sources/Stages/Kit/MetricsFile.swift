import Basics
import Foundation
import Wire

/// `metrics.jsonl` of a run: one JSON object per step, appended by compute, and one per evaluation, by the supervisor.
///
/// Not thread-safe: the training loop owns it. A line is one `write`, so a reader sees whole lines; the file is not
/// synced per step: what a crash may lose since the last checkpoint is trained again.
public final class MetricsFile {
    private let file: LineFile

    /// Opens the file for appending.
    ///
    /// - Parameter step: lines of later steps, and a torn last line, are dropped: training goes on after this step and
    ///   will write them again. 0 starts anew. Evaluations stay: they are not done again.
    public init(path: String, continuingAfter step: UInt64) throws {
        let lock = try MetricsFile.lock(path)
        defer { withExtendedLifetime(lock) {} }
        if let old = FileManager.default.contents(atPath: path) {
            // From the end, as steps ascend: the whole of a long run takes seconds to decode, while an evaluation's line waits.
            let all = old.split(separator: UInt8(ascii: "\n"))
            var begun = all.count
            var tail: [Data] = []
            while begun > 0 {
                let line = MetricsFile.lines(in: all[begun - 1]).first
                if let metrics = line?.metrics, metrics.step <= step { break }
                if let line, line.metrics == nil { tail.append(line.bytes) }
                begun -= 1
            }
            let kept = all[..<begun] + tail.reversed()
            if kept.reduce(0, { $0 + $1.count + 1 }) != old.count {
                var bytes = Data()
                for line in kept {
                    bytes.append(line)
                    bytes.append(UInt8(ascii: "\n"))
                }
                try bytes.withUnsafeBytes { try DurableFile.write($0, to: path) }
            }
        }
        file = try LineFile(path: path)
    }

    /// Keeps out whoever would append while the file is replaced.
    private static func lock(_ path: String) throws -> FileLock {
        let folder = (path as NSString).deletingLastPathComponent
        return try FileLock(folder: folder, use: "\(path) is being replaced")
    }

    /// Appends an evaluation's line, whether or not compute has the file open.
    public static func append(_ scores: EvaluationScores, to path: String) throws {
        let lock = try lock(path)
        defer { withExtendedLifetime(lock) {} }
        let descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw DurableFile.systemError("cannot open", path) }
        defer { close(descriptor) }
        var line = Data(try scores.wireJSON() + [UInt8(ascii: "\n")])
        // A line that a power cut has torn must not take this one with it.
        var last: UInt8 = 0
        let end = lseek(descriptor, 0, SEEK_END)
        if end > 0, pread(descriptor, &last, 1, end - 1) == 1, last != UInt8(ascii: "\n") {
            line.insert(UInt8(ascii: "\n"), at: line.startIndex)
        }
        try DurableFile.append(line, to: descriptor, path: path)
    }

    /// Appends a step's line; on a full disk it waits.
    ///
    /// - Throws: where more lines wait than should.
    public func append(_ metrics: StepMetrics) throws { try file.append(metrics.wireJSON()) }

    /// Writes what waits.
    public func flush() throws { try file.flush() }

    /// Writes what waits, and makes all lines so far survive a power cut.
    public func sync() throws { try file.sync() }

    /// The steps of a metrics file, in its order; a torn last line is passed over.
    public static func read(path: String) throws -> [StepMetrics] {
        guard let bytes = FileManager.default.contents(atPath: path) else {
            throw UserError("cannot read \(path)")
        }
        return lines(in: bytes).compactMap(\.metrics)
    }

    /// The newest step of a metrics file, from its end: the whole of a long run takes seconds to read. Nil where there is none.
    public static func last(path: String) -> StepMetrics? {
        guard let end = fileTail(path, bytes: 1 << 16)?.data else { return nil }
        // A first line that is cut is no JSON and is passed over.
        return lines(in: end).last { $0.metrics != nil }?.metrics
    }

    /// Whole lines; those of evaluations have no metrics.
    private static func lines(in bytes: Data) -> [(bytes: Data, metrics: StepMetrics?)] {
        bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
            if let metrics = try? JSONDecoder().decode(StepMetrics.self, from: line) { return (Data(line), metrics) }
            return (try? JSONDecoder().decode(EvaluationScores.self, from: line)).map { _ in (Data(line), nil) }
        }
    }
}
