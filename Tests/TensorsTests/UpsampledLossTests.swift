import Basics
import Testing

@testable import Tensors

/// The fused loss against resizing and cross-entropy as two operators.
@Suite(.serialized) struct UpsampledLossTests {
    private static let ignored = 255

    private func scores(_ shape: [Int], seed: UInt64 = 1, scale: Float = 4) throws -> Tensor {
        var random = KeyedRandom(seed: seed, purpose: "scores")
        return try Tensor((0..<shape.reduce(1, *)).map { _ in random.uniform(-1, 1) * scale }, shape: shape)
            .channelsLast()
    }

    /// Every fifth pixel or so is ignored.
    private func labels(_ images: Int, _ size: Size2D, classes: Int) throws -> Tensor {
        var random = KeyedRandom(seed: 2, purpose: "labels")
        let values = (0..<images * size.height * size.width).map { _ -> UInt8 in
            let draw = random.next()
            return draw % 5 == 0 ? UInt8(Self.ignored) : UInt8((draw >> 8) % UInt64(classes))
        }
        return try Tensor(values, shape: [images, size.height, size.width])
    }

    private func plain(_ scores: Tensor, _ labels: Tensor, _ size: Size2D, _ alignCorners: Bool) throws -> Tensor {
        try scores.interpolate(size, .bilinear(alignCorners: alignCorners))
            .narrow(dim: 2, start: 0, length: labels.size(1)).narrow(dim: 3, start: 0, length: labels.size(2))
            .crossEntropy(labels.to(.int64), ignoring: Self.ignored, reduction: .sum)
    }

    private func differentiated(_ scores: Tensor, _ loss: (Tensor) throws -> Tensor) throws -> (Double, Tensor) {
        let leaf = try scores.detach().clone().requiresGrad(true)
        let value = try loss(leaf)
        try value.backward(gradient: Tensor.scalar(0.25, dtype: scores.dtype))
        return (try value.item(), try #require(try leaf.grad))
    }

    struct Case: CustomStringConvertible, Sendable {
        var images = 2, classes = 11
        var low: Size2D, full: Size2D
        var kept: Size2D?
        var description: String { "\(images)x\(classes) \(low) -> \(full)" }
    }

    /// Strides 16, 8, 4, odd sizes, a single score, more classes than fit a register, few pixels, no resizing, a
    /// smaller size than the scores', and what a network pads.
    static let cases = [
        Case(low: Size2D(15, 20), full: Size2D(240, 320)), Case(low: Size2D(8, 9), full: Size2D(59, 71)),
        Case(classes: 19, low: Size2D(16, 33), full: Size2D(64, 132)), Case(low: Size2D(1, 1), full: Size2D(17, 33)),
        Case(images: 1, classes: 150, low: Size2D(13, 7), full: Size2D(52, 28)),
        Case(classes: 1, low: Size2D(3, 4), full: Size2D(9, 13)), Case(low: Size2D(4, 5), full: Size2D(1, 1)),
        Case(classes: 2, low: Size2D(24, 40), full: Size2D(24, 40)),
        Case(classes: 3, low: Size2D(40, 50), full: Size2D(21, 30)),
        Case(low: Size2D(5, 6), full: Size2D(80, 96), kept: Size2D(71, 83)),
        Case(images: 3, classes: 255, low: Size2D(2, 3), full: Size2D(11, 40)),
    ]

    /// In float64 the reference has no rounding of its own to speak of.
    @Test(arguments: cases, [false, true])
    func isResizingAndCrossEntropyToRounding(_ sizes: Case, _ alignCorners: Bool) throws {
        let scores = try scores([sizes.images, sizes.classes, sizes.low.height, sizes.low.width])
        // One class leaves no label that is wrong to give.
        let labels = try labels(sizes.images, sizes.kept ?? sizes.full, classes: sizes.classes)
        let (loss, gradient) = try differentiated(scores) {
            try $0.upsampledCrossEntropy(
                labels, size: sizes.full, alignCorners: alignCorners, ignoring: Self.ignored)
        }
        let (expected, reference) = try differentiated(scores.to(.float64)) {
            try plain($0, labels, sizes.full, alignCorners)
        }
        #expect(abs(loss - expected) <= 2e-6 * abs(expected) + 1e-6, "\(loss) \(expected)")
        #expect(gradient.isContiguous(.channelsLast) && gradient.shape == scores.shape)
        let difference = try (gradient.to(.float64) - reference).abs().max().item()
        // Sums of some hundred terms in float32.
        let size = try reference.abs().max().item()
        #expect(difference <= 4e-6 * size + 1e-7, "\(difference) of \(size)")
    }

    /// The gradient against differences of the fused loss itself.
    @Test func gradientIsTheSlopeOfTheLoss() throws {
        let scores = try scores([1, 5, 3, 4], scale: 1)
        let labels = try labels(1, Size2D(12, 17), classes: 5)
        func loss(_ scores: Tensor) throws -> Tensor {
            try scores.upsampledCrossEntropy(
                labels, size: Size2D(12, 17), alignCorners: false, ignoring: Self.ignored)
        }
        let gradient: [Float] = try differentiated(scores) { try loss($0) * 4.0 }.1.contiguous().array()
        let values: [Float] = try scores.contiguous().array()
        for index in values.indices {
            func at(_ offset: Float) throws -> Double {
                var moved = values
                moved[index] += offset
                return try loss(Tensor(moved, shape: scores.shape)).item()
            }
            let step: Float = 0.05  // the loss is about 300: its float32 has an error of 3e-5
            let slope = (try at(step) - at(-step)) / Double(2 * step)
            #expect(abs(slope - Double(gradient[index])) < 5e-3, "\(index): \(slope) \(gradient[index])")
        }
    }

    /// Loss and gradient of some scores.
    private func measured(_ scores: Tensor, _ labels: Tensor) throws -> (Double, Tensor) {
        try differentiated(scores) {
            try $0.upsampledCrossEntropy(
                labels, size: Size2D(160, 121), alignCorners: false, ignoring: Self.ignored)
        }
    }

    /// In a process of its own: the number of threads is the process's, and other tests' sums depend on it.
    @Test func threadsDoNotChangeBits() async {
        await #expect(processExitsWith: .success) {
            let tests = UpsampledLossTests()
            let (scores, labels) = (
                try tests.scores([3, 19, 40, 30]), try tests.labels(3, Size2D(160, 121), classes: 19)
            )
            try Torch.setThreads(1)
            let (loss, gradient) = try tests.measured(scores, labels)
            for threads in [2, 3, 7] {
                try Torch.setThreads(threads)
                #expect(Torch.sharingThreads == threads)
                let (again, other) = try tests.measured(scores, labels)
                #expect(again == loss)
                #expect(try other.isEqual(to: gradient))
            }
        }
    }

    @Test func labelTypesAndMemoryOrdersGiveTheSameBits() throws {
        let (scores, labels) = (try scores([3, 19, 40, 30]), try labels(3, Size2D(160, 121), classes: 19))
        let (loss, gradient) = try measured(scores, labels)
        let (wide, fromWide) = try measured(scores, labels.to(.int64))
        #expect(try wide == loss && fromWide.isEqual(to: gradient))
        let (rows, fromRows) = try measured(scores.contiguous(), labels)
        #expect(try rows == loss && fromRows.isEqual(to: gradient))
    }

    @Test func largeScoresNeitherOverflowNorLoseTheirLoss() throws {
        let scores = try scores([1, 4, 4, 4], scale: 3000)
        let labels = try labels(1, Size2D(16, 16), classes: 4)
        let (loss, gradient) = try differentiated(scores) {
            try $0.upsampledCrossEntropy(labels, size: Size2D(16, 16), alignCorners: false, ignoring: Self.ignored)
        }
        let (expected, _) = try differentiated(scores.to(.float64)) { try plain($0, labels, Size2D(16, 16), false) }
        #expect(abs(loss / expected - 1) < 1e-5)
        #expect(try gradient.isFinite().all())
        // A NaN shows in the loss, so that a run notices.
        let spoiled = try (scores * Double.nan).upsampledCrossEntropy(
            labels, size: Size2D(16, 16), alignCorners: false, ignoring: Self.ignored)
        #expect(try spoiled.item().isNaN)
    }

    @Test func ignoredPixelsTrainNothing() throws {
        let labels = try Tensor.full([2, 32, 48], Self.ignored, dtype: .uint8)
        let (loss, gradient) = try differentiated(scores([2, 3, 4, 6])) {
            try $0.upsampledCrossEntropy(labels, size: Size2D(32, 48), alignCorners: false, ignoring: Self.ignored)
        }
        #expect(loss == 0)
        #expect(try gradient.abs().max().item() == 0)
    }

    @Test func badInputsAreNamed() throws {
        let scores = try scores([2, 3, 4, 6])
        func loss(_ labels: Tensor, _ size: Size2D) throws {
            _ = try scores.upsampledCrossEntropy(labels, size: size, alignCorners: false, ignoring: Self.ignored)
        }
        let good = try labels(2, Size2D(32, 48), classes: 3)
        try loss(good, Size2D(32, 48))
        let wrong = #expect(throws: TensorError.self) {
            try loss(labels(2, Size2D(32, 48), classes: 4), Size2D(32, 48))
        }
        #expect(wrong.map { "\($0)".contains("label 3 among scores of 3 classes") } == true)
        #expect(throws: TensorError.self) { try loss(good, Size2D(31, 48)) }
        #expect(throws: TensorError.self) { try loss(labels(1, Size2D(32, 48), classes: 3), Size2D(32, 48)) }
        #expect(throws: TensorError.self) { try loss(good.to(.float32), Size2D(32, 48)) }
    }
}
