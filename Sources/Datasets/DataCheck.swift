import Basics
import Configuration
import Dispatch
import Foundation
import Imaging

/// Reads every file of a dataset before a run depends on it.
public enum DataCheck {
    /// Files that are read at a time between two calls of `progress`.
    private static let chunk = 64

    /// Opens the dataset that the settings name and checks all its splits.
    ///
    /// - Throws: `UserError` where there is no such dataset; what is wrong *in* it is in the report.
    public static func run(
        _ settings: DatasetSettings, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws -> DataCheckReport {
        let index = try Dataset.open(settings)
        var report = run(index, progress: progress)
        for (key, split) in [("dataset.split", settings.split), ("dataset.evaluationSplit", settings.evaluationSplit)] {
            let what: String
            if let listing = try? index.listing(of: split) {
                guard listing.labelFolder == nil else { continue }
                what = "has no label maps in split '\(split)' (\(key))"
            } else {
                let names = index.splits.map(\.name).joined(separator: ", ")
                let hint = DatasetSource.hint(forSplit: split, of: index.kind).map { "; \($0)" } ?? ""
                what = "has no split '\(split)' (\(key)); there are \(names)\(hint)"
            }
            report.problems.append(.init(split: split, file: index.root, what: what))
        }
        return report
    }

    /// Checks all splits of an open dataset, on all cores; the report does not depend on their number.
    public static func run(
        _ index: DatasetIndex, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) -> DataCheckReport {
        var report = DataCheckReport(kind: index.kind.rawValue, root: index.root)
        let total = index.splits.reduce(0) { $0 + $1.samples.count }
        var done = 0
        progress(done, total)
        for split in index.splits {
            var counted = DataCheckReport.Split(name: split.name, classes: index.classNames)
            for path in split.imagesWithoutLabels {
                report.problems.append(.init(split: split.name, file: path, what: "has no label map"))
            }
            for path in split.labelsWithoutImages {
                report.problems.append(.init(split: split.name, file: path, what: "has no image"))
            }
            for start in stride(from: 0, to: split.samples.count, by: chunk) {
                let samples = split.samples[start..<min(start + chunk, split.samples.count)]
                for finding in read(Array(samples), mapping: index.labelMapping) {
                    counted.add(finding)
                    for problem in finding.problems {
                        report.problems.append(.init(split: split.name, file: problem.file, what: problem.what))
                    }
                }
                done += samples.count
                progress(done, total)
            }
            report.splits.append(counted)
        }
        return report
    }

    /// What one sample's files hold.
    struct Finding: Sendable {
        var size: String?
        /// Pixels per class; nil where the label map cannot be counted.
        var pixels: [Int64]?
        var ignored: Int64 = 0
        /// Whether EXIF says to turn the image.
        var isTurned = false
        /// Whether the image has 16 bits a channel.
        var isDeep = false
        var problems: [(file: String, what: String)] = []
    }

    private static func read(_ samples: [SampleFiles], mapping: LabelMapping) -> [Finding] {
        let findings = Findings(count: samples.count)
        DispatchQueue.concurrentPerform(iterations: samples.count) { i in
            findings.set(i, examine(samples[i], mapping: mapping))
        }
        return findings.all
    }

    private static func examine(_ files: SampleFiles, mapping: LabelMapping) -> Finding {
        var finding = Finding()
        func attempt<R>(_ file: String, _ body: () throws -> R) -> R? {
            do { return try body() } catch {
                let text = "\(error)"
                finding.problems.append(
                    (file, text.hasPrefix(file + ": ") ? String(text.dropFirst(file.count + 2)) : text))
                return nil
            }
        }
        let image = attempt(files.imagePath) {
            let bytes = try ImageFile.readBytes(files.imagePath)
            finding.isTurned = Orientation(ofJPEG: bytes) != .upright
            finding.isDeep = PNG.isDeep(bytes)
            return try ImageFile.decode(bytes, name: files.imagePath)
        }
        finding.size = image.map { "\($0.width)x\($0.height)" }
        guard let labelPath = files.labelPath,
            let label = attempt(labelPath, { try Dataset.readLabel(labelPath, mapping: mapping) })
        else { return finding }
        if let image, image.width != label.width || image.height != label.height {
            finding.problems.append(
                (labelPath, "is \(label.width)x\(label.height) but its image is \(image.width)x\(image.height)"))
        }
        var histogram = [Int64](repeating: 0, count: 256)
        label.values.withUnsafeBytes { values in
            for i in 0..<values.count { histogram[Int(values[i])] += 1 }
        }
        finding.pixels = Array(histogram[..<mapping.classes])
        finding.ignored = histogram[Int(IgnoreLabel.value)]
        return finding
    }

    /// One slot per sample, filled by whoever examines it; `@unchecked Sendable` because the lock guards all access.
    private final class Findings: @unchecked Sendable {
        private let lock = NSLock()
        private var slots: [Finding]

        init(count: Int) { slots = Array(repeating: Finding(), count: count) }

        func set(_ index: Int, _ finding: Finding) {
            lock.lock()
            defer { lock.unlock() }
            slots[index] = finding
        }

        var all: [Finding] {
            lock.lock()
            defer { lock.unlock() }
            return slots
        }
    }
}
