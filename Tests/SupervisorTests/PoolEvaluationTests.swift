import Basics
import Configuration
import Foundation
import Imaging
import StageKit
import Synchronization
import TestSupport
import Testing
import Wire

@testable import Supervisor

/// The evaluation's consumer over real sockets; evaluators are threads that answer what the test says.
@Suite struct PoolEvaluationTests {
    /// A dataset of which only the listing is read, and what the evaluation told its session.
    private final class Rig: Sendable {
        let folder: TemporaryFolder
        let endpoint: Endpoint
        let context = Context()
        let stop = StopToken()
        let progress = Mutex<[String]>([])
        let loss = Mutex<(@Sendable (String, Bool) -> Void)?>(nil)
        private let workers = Mutex<[PoolWorker]>([])

        init(images: Int) throws {
            folder = try TemporaryFolder("evaluation")
            endpoint = try Endpoint("ipc://\(folder("s"))")
            for name in ["val", "valannot", "wild", "none", "noneannot"] {
                try FileManager.default.createDirectory(atPath: folder(name), withIntermediateDirectories: true)
            }
            for index in 0..<images {
                for name in ["val/\(index)", "valannot/\(index)", "wild/\(index)"] {
                    try folder.write("", to: name + ".png")
                }
            }
            try folder.write(
                """
                classes: [sky, person, road]
                splits:
                  val: {images: val, labels: valannot}
                  wild: {images: wild}
                """, to: "dataset.yaml")
        }

        deinit { for worker in workers.withLock({ $0 }) { worker.stop() } }

        func session(
            trained classes: [String] = ["sky", "person", "road"],
            onProgress: @escaping @Sendable (Int) -> Void = { _ in }
        ) -> EvaluationSession {
            var recipe = Recipe()
            recipe.dataset.kind = .folder
            recipe.dataset.description = folder("dataset.yaml")
            return EvaluationSession(
                recipe: recipe, classes: classes, checkpoint: folder("checkpoint"), endpoint: endpoint,
                sender: Sender(run: "fake", name: "evaluation"), context: context, epoch: Epoch(1),
                pool: Configuration.PoolSettings(), stop: stop,
                progress: { [self] done, total in
                    progress.withLock { $0.append("\(done)/\(total)") }
                    onProgress(done)
                }, onWorkerLoss: { [self] body in loss.withLock { $0 = body } })
        }

        /// Starts an evaluator.
        @discardableResult
        func work(
            as name: String, _ answer: @escaping @Sendable (EvaluationTicket, TicketContext) throws -> TicketOutput
        ) throws -> PoolWorker {
            let worker = try PoolWorker(
                consumers: [endpoint], as: Sender(run: "fake", name: name), credit: 2, context: context,
                onEvent: { print("evaluator \(name): \($0)") })
            workers.withLock { $0.append(worker) }
            let thread = Thread {
                do {
                    try worker.run { ticket, context in
                        try answer(JSONDecoder().decode(EvaluationTicket.self, from: ticket.body), context)
                    }
                } catch {
                    print("evaluator \(name): \(error)")
                }
            }
            thread.start()
            return worker
        }
    }

    /// Image i has 10 + i right pixels of class 0 and one of class 2 that is taken for class 0; class 1 is absent.
    private static func confusion(_ image: Int) throws -> TicketOutput {
        let counts: [Int64] = [Int64(10 + image), 0, 0, 0, 0, 0, 1, 0, 0]
        return TicketOutput(tensors: [
            try WireTensor(name: "confusion", dtype: .int64, shape: [3, 3], bytes: SharedBytes(counts))
        ])
    }

    private func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "no error"
        } catch { return "\(error)" }
    }

    @Test func matricesOfAllImagesAddUp() throws {
        // More than are issued at once.
        let rig = try Rig(images: 150)
        let tickets = Mutex<[EvaluationTicket]>([])
        for name in ["evaluator-1", "evaluator-2"] {
            try rig.work(as: name) { ticket, _ in
                tickets.withLock { $0.append(ticket) }
                return try Self.confusion(ticket.image)
            }
        }
        let found = try PoolEvaluation().evaluate(rig.session())
        let right = (0..<150).reduce(0) { $0 + 10 + $1 }
        let expected = EvaluationReport(
            try .init(classes: 3, counts: [Int64(right), 0, 0, 0, 0, 0, 150, 0, 0]),
            classes: ["sky", "person", "road"],
            split: "val", images: 150, step: nil)
        #expect(found == EvaluationResult(report: expected))
        #expect(found.report.table.contains("person           absent    absent"))
        #expect(rig.progress.withLock { $0 } == (0...150).map { "\($0)/150" })
        let seen = tickets.withLock { $0 }
        #expect(Set(seen.map(\.image)) == Set(0..<150))
        #expect(seen.allSatisfy { $0.split == "val" && $0.checkpoint == rig.folder("checkpoint") })
        #expect(seen.allSatisfy { $0.dataset.description == rig.folder("dataset.yaml") && $0.dataset.root.isEmpty })
    }

    @Test func ticketsOfALostEvaluatorGoToAnotherAndCountOnce() throws {
        let rig = try Rig(images: 9)
        let lost = Mutex(false)
        let taken = DispatchSemaphore(value: 0)
        try rig.work(as: "evaluator-1") { ticket, _ in
            let first = lost.withLock { lost in
                defer { lost = true }
                return !lost
            }
            if first {
                // Reported dead while it executes; its own answer comes after the other has begun, and is one too many.
                rig.loss.withLock { $0 }?("evaluator-1", false)
                try rig.work(as: "evaluator-2") { ticket, _ in
                    taken.signal()
                    return try Self.confusion(ticket.image)
                }
                taken.wait()
            }
            return try Self.confusion(ticket.image)
        }
        let found = try PoolEvaluation().evaluate(rig.session())
        #expect(found.report.images == 9)
        #expect(rig.progress.withLock { $0.last } == "9/9")
    }

    @Test func stopEndsTheWait() throws {
        let rig = try Rig(images: 3)
        let text = message {
            // No evaluator will ever come.
            _ = try PoolEvaluation().evaluate(rig.session { _ in rig.stop.request(.stop) })
        }
        #expect(text == "the evaluation was stopped")
    }

    @Test func failureNamesTheImage() throws {
        let rig = try Rig(images: 3)
        try rig.work(as: "evaluator-1") { ticket, _ in
            if ticket.image == 1 { throw UserError("out of memory") }
            return try Self.confusion(ticket.image)
        }
        let text = message { _ = try PoolEvaluation().evaluate(rig.session()) }
        #expect(text == "\(rig.folder("val/1.png")): cannot be evaluated (evaluator-1): out of memory")
    }

    @Test func answerThatIsNoConfusionMatrixNamesTheWorker() throws {
        for (counts, shape) in [([1, 2, 3, 4], [2, 2]), ([-1, 0, 0, 0, 0, 0, 0, 0, 0], [3, 3])] as [([Int64], [Int])] {
            let rig = try Rig(images: 1)
            try rig.work(as: "evaluator-1") { _, _ in
                TicketOutput(tensors: [
                    try WireTensor(name: "confusion", dtype: .int64, shape: shape, bytes: SharedBytes(counts))
                ])
            }
            #expect(
                message { _ = try PoolEvaluation().evaluate(rig.session()) }.hasPrefix(
                    "evaluator-1 answered ticket 0 with"))
        }
    }

    @Test func splitsThatCannotBeMeasuredAreExplained() throws {
        let rig = try Rig(images: 2)
        func text(_ split: String) -> String {
            message { _ = try PoolEvaluation(split: split).evaluate(rig.session()) }
        }
        #expect(
            text("wild").hasSuffix(
                "split 'wild' has no label maps to evaluate against; 'picoflow eval --write DIR' writes its predictions"
            ))
        #expect(text("vall").contains("no split 'vall' (has val, wild); did you mean 'val'?"))
        let empty = try Rig(images: 0)
        #expect(
            message { _ = try PoolEvaluation().evaluate(empty.session()) }.contains(
                "holds no .jpg, .jpeg or .png image"))
    }

    @Test func classesThatWereRenumberedSinceTheTrainingAreRefused() throws {
        let rig = try Rig(images: 2)
        for names in ["road, person, sky", "sky, person", "sky, person, road, car", "person, sea, road"] {
            let trained = names.split(separator: ", ").map(String.init)
            #expect(
                message { _ = try PoolEvaluation().evaluate(rig.session(trained: trained)) }
                    == "\(rig.folder("dataset.yaml")): its classes are no longer those that the run was trained on, "
                    + "\(names); --set dataset.description=FILE names a description that has them")
        }
        // A new name is the user's to give.
        try rig.work(as: "evaluator-1") { ticket, _ in try Self.confusion(ticket.image) }
        let found = try PoolEvaluation().evaluate(rig.session(trained: ["heaven", "person", "road"]))
        #expect(found.report.table.contains("sky"))
    }

    // MARK: Predictions

    /// 3x2 pixels, all of class `image % 3`.
    private static func predictions(_ image: Int) throws -> [WireTensor] {
        [
            try WireTensor(
                name: "labels", dtype: .uint8, shape: [2, 3],
                bytes: SharedBytes([UInt8](repeating: UInt8(image % 3), count: 6)))
        ]
    }

    @Test func predictionsAreWrittenBesideTheNumbers() throws {
        let rig = try Rig(images: 5)
        try rig.work(as: "evaluator-1") { ticket, _ in
            #expect(ticket.measures && ticket.returnsLabels)
            return TicketOutput(tensors: try Self.confusion(ticket.image).tensors + Self.predictions(ticket.image))
        }
        let out = rig.folder("out")
        let found = try PoolEvaluation(writingTo: out).evaluate(rig.session())
        #expect(found.report.table.hasSuffix("5 label maps written to \(out)"))
        #expect(found.report.table.contains("mIoU"))
        for image in 0..<5 {
            let written = try ImageFile.readLabels("\(out)/\(image).png")
            #expect(written.width == 3 && written.height == 2)
            #expect(written.values.array() as [UInt8] == [UInt8](repeating: UInt8(image % 3), count: 6))
        }
    }

    @Test func splitWithoutLabelsCanBeWritten() throws {
        let rig = try Rig(images: 2)
        try rig.work(as: "evaluator-1") { ticket, _ in
            #expect(!ticket.measures && ticket.returnsLabels)
            return TicketOutput(tensors: try Self.predictions(ticket.image))
        }
        let out = rig.folder("out")
        let found = try PoolEvaluation(split: "wild", writingTo: out).evaluate(rig.session())
        #expect(found.report.table.contains("has no label maps, so there is no mIoU"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: out).sorted() == ["0.png", "1.png"])
    }

    @Test func predictionsOverwriteNoFileOfTheDataset() throws {
        let rig = try Rig(images: 2)
        for folder in ["val", "valannot", "out/../val"] {
            let text = message { _ = try PoolEvaluation(writingTo: rig.folder(folder)).evaluate(rig.session()) }
            #expect(text.contains("would overwrite") && text.hasSuffix("name another folder"), "\(text)")
        }
        let text = message {
            _ = try PoolEvaluation(split: "wild", writingTo: rig.folder("valannot")).evaluate(rig.session())
        }
        #expect(text.contains("would overwrite"), "a file of another split: \(text)")
        try rig.folder.write("", to: "file")
        for file in ["file", "file/x"] {
            let text = message { _ = try PoolEvaluation(writingTo: rig.folder(file)).evaluate(rig.session()) }
            #expect(text.hasPrefix("cannot make folder"), "\(text)")
        }
    }

    @Test func answersThatAreNoPredictionsNameTheirWorker() throws {
        let wrong: [[WireTensor]] = [
            [], [try WireTensor(name: "labels", dtype: .uint8, shape: [2], bytes: SharedBytes([0, 1] as [UInt8]))],
            // There are three classes.
            [try WireTensor(name: "labels", dtype: .uint8, shape: [1, 2], bytes: SharedBytes([0, 3] as [UInt8]))],
        ]
        for tensors in wrong {
            let rig = try Rig(images: 1)
            try rig.work(as: "evaluator-1") { _, _ in TicketOutput(tensors: tensors) }
            let text = message {
                _ = try PoolEvaluation(split: "wild", writingTo: rig.folder("out")).evaluate(rig.session())
            }
            #expect(text.contains("evaluator-1 answered ticket 0 with"), "\(text)")
        }
    }

    @Test func datasetPathsBecomeAbsoluteButEmptyOnesStay() {
        var settings = DatasetSettings()
        settings.root = "some/../data"
        settings.description = "data/dataset.yaml"
        let here = FileManager.default.currentDirectoryPath
        #expect(settings.absolutePaths().root == here + "/data")
        #expect(settings.absolutePaths().description == here + "/data/dataset.yaml")
        settings.root = ""
        settings.description = nil
        #expect(settings.absolutePaths() == settings)
    }
}
