import Basics
import Foundation

/// A TensorBoard event file, written as a run goes on. `tensorboard --logdir RUN/events` shows it.
///
/// A folder has one writer at a time and a new file for each of its starts, numbered, as TensorBoard reads a folder's files one
/// after the other. Nothing of a run depends on these files: what keeps one from being written is told once, and the run
/// goes on without.
///
/// Not thread-safe: one thread owns it. Lines are written out when a second has passed or 64 KiB have gathered, and at the end;
/// what a crash loses is shown again by the steps that follow a resume.
public final class EventFile {
    private let path: String
    private let clock: () -> Double
    private let onTrouble: (String) -> Void
    private var descriptor: Int32 = -1
    private var buffer: [UInt8] = []
    private var written: Double

    private static let bufferLimit = 64 << 10

    /// How many steps share a point of those curves that are many: of each class, for instance. TensorBoard shows a thousand
    /// points of a curve.
    public static func stretch(iterations: Int) -> UInt64 { UInt64(max(1, iterations / 1000)) }

    /// Begins a file.
    ///
    /// - Parameters:
    ///   - folder: made where missing.
    ///   - step: what earlier files say of later steps is void: the run goes on after this one. Nil where it all stands.
    ///   - clock: seconds since 1970.
    ///   - onTrouble: hears, once, one line on why nothing is written any more.
    public init(
        folder: String, continuingAfter step: UInt64?,
        clock: @escaping () -> Double = { Date().timeIntervalSince1970 }, onTrouble: @escaping (String) -> Void
    ) {
        self.clock = clock
        self.onTrouble = onTrouble
        written = clock()
        let earlier = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).compactMap(Self.number)
        path = folder + "/" + Self.name((earlier.max() ?? 0) + 1)
        do {
            try DurableFile.makeFolder(folder)
            descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
            guard descriptor >= 0 else { throw DurableFile.systemError("cannot make", path) }
        } catch {
            onTrouble("no TensorBoard events: \(error)")
            return
        }
        append(.version)
        if let step { append(.start(after: step)) }
        flush()
    }

    deinit {
        flush()
        if descriptor >= 0 { close(descriptor) }
    }

    /// Seconds since 1970.
    var now: Double { clock() }

    /// Numbers of one step by tag, in their order; those that are not finite are shown as such.
    public func scalars(_ scalars: [(tag: String, value: Double)], step: UInt64) {
        append(.scalars(scalars, step: step))
    }

    /// Markdown, on disk when this returns.
    public func text(_ tag: String, _ text: String, step: UInt64) {
        append(.text(tag: tag, text, step: step))
        flush()
    }

    /// A PNG's or JPEG's bytes.
    public func image(_ tag: String, _ bytes: [UInt8], width: Int, height: Int, step: UInt64) {
        append(.image(tag: tag, bytes, width: width, height: height, step: step))
    }

    /// What one of TensorBoard's plugins reads of a whole run, on disk when this returns.
    func plugin(_ name: String, tag: String, content: [UInt8]) {
        append(.plugin(name, tag: tag, content: content))
        flush()
    }

    /// Writes out what has gathered.
    public func flush() {
        written = clock()
        guard descriptor >= 0, !buffer.isEmpty else { return }
        do {
            try buffer.withUnsafeBytes { try DurableFile.writeAll($0, to: descriptor, path: path) }
        } catch {
            close(descriptor)
            descriptor = -1
            onTrouble("no TensorBoard events any more: \(error)")
        }
        buffer.removeAll(keepingCapacity: true)
    }

    private func append(_ record: EventRecord) {
        guard descriptor >= 0 else { return }
        let now = clock()
        buffer += record.framed(wallTime: now)
        // A clock that was set back is no reason to wait.
        if buffer.count >= Self.bufferLimit || abs(now - written) >= 1 { flush() }
    }

    /// TensorBoard takes what has `tfevents` in its name and reads in the names' order.
    private static func name(_ number: Int) -> String { "events.out.tfevents.\(number.digits(10)).picoflow" }

    private static func number(_ name: String) -> Int? {
        let parts = name.split(separator: ".")
        guard parts.count == 5, name.hasPrefix("events.out.tfevents."), parts[4] == "picoflow" else { return nil }
        return Int(parts[3])
    }
}

extension EventFile {
    /// A step's losses, learning rate, speed, and what contrast met.
    ///
    /// - Parameter lambda: the weight of the contrastive loss in the whole.
    public func append(_ metrics: StepMetrics, lambda: Double) {
        let total = metrics.ce + (metrics.auxiliary ?? 0) + lambda * (metrics.nce ?? 0)
        var values: [(tag: String, value: Double)] = [("loss/total", total), ("loss/cross-entropy", metrics.ce)]
        if let auxiliary = metrics.auxiliary { values.append(("loss/auxiliary", auxiliary)) }
        if let nce = metrics.nce { values.append(("loss/contrast", nce)) }
        values += [
            ("lr", metrics.lr), ("images per second", metrics.imagesPerSecond),
            ("anchors/contributing", Double(metrics.contributing)), ("anchors/skipped", Double(metrics.skipped)),
        ]
        let drawn = metrics.contributing + metrics.skipped
        if let hard = metrics.hard, drawn > 0 { values.append(("anchors/hard share", Double(hard) / Double(drawn))) }
        if let positive = metrics.positiveSimilarity { values.append(("similarity/positives", positive)) }
        if let negative = metrics.negativeSimilarity { values.append(("similarity/negatives", negative)) }
        values += [
            ("milliseconds/step", metrics.milliseconds), ("milliseconds/waited for samples", metrics.waitedForSamples),
            ("milliseconds/waited for gradients", metrics.waitedForGradients),
        ]
        scalars(values, step: metrics.step)
    }
}
