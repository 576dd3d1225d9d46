import Basics
import Configuration
import Foundation
import StageKit
import Tensors
import Wire

/// The evaluator stage: a pool worker that labels images with a checkpoint's network and counts what it got right.
///
/// Pool `evaluation`: `EvaluationTicket` in; as that asks, tensor `confusion` int64 `[classes, classes]` out, rows are
/// labels and columns predictions, and `labels` uint8 `[H, W]`. It reads images and checkpoints from files itself.
public struct Evaluator {
    private let runtime: StageRuntime

    public init(_ runtime: StageRuntime) { self.runtime = runtime }

    /// Works until it is drained or stopped.
    public func run() throws {
        // Results depend on the number of threads in their last bits: it is the topology's, not the machine's.
        try Torch.setThreads(runtime.configuration.threads)
        let device = runtime.configuration.device
        try Torch.checkDevice(device)

        // The image in hand and the next one, so that no time is lost between them.
        let worker = try runtime.poolWorker(.evaluation, credit: 2)
        runtime.report(.running)
        let work = EvaluationWork(device: device)
        try worker.run { ticket, _ in
            let request = try JSONDecoder().decode(EvaluationTicket.self, from: ticket.body)
            let step = Checkpoint.step(inPath: request.checkpoint)
            return try runtime.execute(step: step, "image \(request.image) of \(request.split)") {
                try Self.execute(request, work)
            }
        }
    }

    static func execute(_ request: EvaluationTicket, _ work: EvaluationWork) throws -> TicketOutput {
        let outcome = try work.execute(request)
        var tensors: [WireTensor] = []
        if let confusion = outcome.confusion {
            tensors.append(
                try WireTensor(
                    name: "confusion", dtype: .int64, shape: [confusion.classes, confusion.classes],
                    bytes: .init(confusion.counts)))
        }
        if let labels = outcome.labels {
            tensors.append(
                try WireTensor(
                    name: "labels", dtype: .uint8, shape: [labels.height, labels.width], bytes: labels.values))
        }
        return TicketOutput(tensors: tensors)
    }
}
