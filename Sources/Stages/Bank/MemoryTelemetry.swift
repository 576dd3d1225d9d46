import Basics
import Contrast
import Foundation
import StageKit

/// What event files show of the memory: how full it is, class by class, and at checkpoints some of its embeddings for
/// TensorBoard's projector.
///
/// A folder of event files of the bank's own, `RUN/events/bank-1`. The memory does not depend on it: what cannot be written is
/// told once and left out.
///
/// `@unchecked Sendable`: only the log server's thread uses it, from the first record on.
public final class MemoryTelemetry: @unchecked Sendable {
    private let folder: String
    private let classes: [String]
    /// Training's steps, of which the last one has no checkpoint of the memory.
    private let last: UInt64
    private let stretch: UInt64
    private let after: UInt64?
    private let onTrouble: @Sendable (String) -> Void
    private var file: EventFile?
    private var hasTold = false

    /// - Parameters:
    ///   - folder: made where missing.
    ///   - classes: their names.
    ///   - step: training goes on after this one; nil where the bank goes on with its log as it is.
    ///   - iterations: of the whole training.
    ///   - onTrouble: hears, once, why something cannot be written.
    public init(
        folder: String, classes: [String], continuingAfter step: UInt64?, iterations: Int,
        onTrouble: @escaping @Sendable (String) -> Void
    ) {
        self.folder = folder
        self.classes = classes
        after = step
        last = UInt64(iterations)
        stretch = EventFile.stretch(iterations: iterations)
        self.onTrouble = onTrouble
    }

    /// The memory after a step.
    func note(_ memory: Memory, step: UInt64) {
        if step % stretch == 0 || step == last {
            let file = events()
            file.scalars(
                classes.indices.flatMap { c in
                    [
                        (
                            tag: "memory pixels by class/\(classes[c])",
                            value: Double(memory.filled(ClassID(c), .pixels))
                        ),
                        (
                            tag: "memory regions by class/\(classes[c])",
                            value: Double(memory.filled(ClassID(c), .regions))
                        ),
                    ]
                }, step: step)
        }
        guard step == last else { return }
        file?.flush()
        project(memory, step: step)
    }

    /// The memory as a checkpoint has it.
    func project(_ memory: Memory, step: UInt64) {
        guard memory.totalFilled > 0 else { return }
        // The projector is shown for folders with event files.
        _ = events()
        do {
            try ProjectorFiles(memory, classes: classes, step: step).write(to: folder)
        } catch {
            tell("no embeddings for TensorBoard's projector: \(errorLine(error))")
        }
    }

    private func events() -> EventFile {
        if let file { return file }
        let made = EventFile(folder: folder, continuingAfter: after) { [weak self] in self?.tell($0) }
        file = made
        return made
    }

    private func tell(_ trouble: String) {
        guard !hasTold else { return }
        hasTold = true
        onTrouble(trouble)
    }
}
