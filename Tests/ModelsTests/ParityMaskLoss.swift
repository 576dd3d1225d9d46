import Foundation
import Tensors
import Testing

@testable import Models

/// What a case says of MaskFormer's loss: terms, costs of matching and the assignment.
struct MaskLoss: Decodable {
    struct Image: Decodable {
        /// One row per query, one column per target.
        var cost: [[Double]]
        var query: [Int]
        var target: [Int]
    }
    /// Of a network's case: the same masks for every image.
    struct Target: Decodable { var classLabels: [Int] }

    var weights: [String: Double]
    var noObjectWeight: Double
    var termsUnweighted: [String: Double]
    var loss: Double
    var images: [Image]
    var target: Target?

    func criterion(classes: Int) throws -> SetCriterion {
        var own = SetCriterion.Weights()
        own.classification = weights["loss_cross_entropy"] ?? .nan
        own.mask = weights["loss_mask"] ?? .nan
        own.dice = weights["loss_dice"] ?? .nan
        own.nothing = noObjectWeight
        return try SetCriterion(classes: classes, weights: own)
    }

    /// The kit's `band_masks`: diagonal bands of cells, as many masks, and a band of none, `[count, height, width]`.
    static func bandMasks(_ height: Int, _ width: Int, count: Int, cell: Int, dtype: DType) throws
        -> Tensor
    {
        let values = (0..<count * height * width).map { index -> Double in
            let (y, x) = (index / width % height, index % width)
            return (y / cell + x / (cell + 4)) % (count + 1) == index / (height * width) ? 1 : 0
        }
        return try Tensor(values, shape: [count, height, width]).to(dtype)
    }
}

extension ParityCheck {
    /// The loss of a network's outputs, in their own type.
    mutating func compare(_ expected: MaskLoss, _ found: [String: Tensor]) throws {
        guard let classLogits = found["class_queries_logits"],
            let maskLogits = found["masks_queries_logits"],
            let labels = expected.target?.classLabels
        else { return fail("loss: no masks, or no target") }
        let size = parity.input.shape
        let masks = try MaskLoss.bandMasks(
            size[2], size[3], count: 3, cell: 16, dtype: maskLogits.dtype)
        try compare(
            expected, MaskPrediction(classes: classLogits, masks: maskLogits),
            [MaskTarget](repeating: MaskTarget(classes: labels, masks: masks), count: size[0]),
            within: 2e-5)
    }

    mutating func compare(
        _ expected: MaskLoss, _ prediction: MaskPrediction, _ targets: [MaskTarget],
        within share: Double
    ) throws {
        let criterion = try expected.criterion(classes: prediction.classes.size(2) - 1)
        try criterion.to(prediction.classes.dtype)
        for (index, image) in expected.images.enumerated() {
            let costs: [Double] = try criterion.costs(prediction, image: index, targets[index]).to(
                .float64
            ).array()
            for (found, cost) in zip(costs, image.cost.joined()) {
                near("image \(index) cost", found, cost, within: share, relative: true)
            }
            let pairs = try criterion.match(prediction, image: index, targets[index])
            if pairs.map(\.row) != image.query || pairs.map(\.column) != image.target {
                fail("image \(index): matched \(pairs), not \(image.query) with \(image.target)")
            }
        }
        let terms = try criterion.terms(prediction, targets)
        for (name, term) in [
            ("loss_cross_entropy", terms.classification), ("loss_mask", terms.mask),
            ("loss_dice", terms.dice),
        ] {
            near(name, try term.item(), expected.termsUnweighted[name], within: share, relative: true)
        }
        near(
            "loss", try criterion(prediction, targets).item(), expected.loss, within: share,
            relative: true)
    }
}

extension ParityTests {
    /// The loss by itself, with its gradients: in float64, where only the order of additions differs.
    func checkMaskFormerLoss(_ data: Data) throws {
        struct Inputs: Decodable {
            struct Stream: Decodable {
                var name: String
                var shape: [Int]
            }
            struct Masks: Decodable {
                var rule: String
                var counts: [Int]
            }
            var classLogits: Stream
            var maskLogits: Stream
            var targetMasks: Masks
            var classLabels: [[Int]]
        }
        struct LossCase: Decodable {
            var inputs: Inputs
            var loss: MaskLoss
            var gradients: [String: ParityCase.Gradient]
        }
        let parity = try ParityFolder.decode(LossCase.self, from: data)
        // "band_masks(40, 48, count, 8)"
        let rule = parity.inputs.targetMasks.rule.split { !$0.isNumber }.compactMap { Int($0) }
        try #require(rule.count == 3)
        func leaf(_ stream: Inputs.Stream) throws -> Tensor {
            var random = ParityFormula.Stream(stream.name)
            let values = (0..<stream.shape.reduce(1, *)).map { _ in 4 * random.uniform() - 2 }
            return try Tensor(values, shape: stream.shape).requiresGrad(true)
        }
        let prediction = MaskPrediction(
            classes: try leaf(parity.inputs.classLogits), masks: try leaf(parity.inputs.maskLogits))
        let targets = try zip(parity.inputs.classLabels, parity.inputs.targetMasks.counts).map {
            classes, count in
            MaskTarget(
                classes: classes,
                masks: try MaskLoss.bandMasks(
                    rule[0], rule[1], count: count, cell: rule[2], dtype: .float64))
        }

        // No network, so no outputs: only what is compared below.
        let header = #"{"format": "", "case": "maskformer_loss", "reference": {}, "arguments": {}, "#
        let rest = #""input": {"name": "input", "shape": []}, "state": [], "outputs": {}}"#
        var check = ParityCheck(
            try ParityFolder.decode(ParityCase.self, from: Data((header + rest).utf8)))
        try check.compare(parity.loss, prediction, targets, within: 1e-9)
        let criterion = try parity.loss.criterion(classes: prediction.classes.size(2) - 1)
        try criterion.to(.float64)
        try criterion(prediction, targets).backward()
        for (name, tensor) in [("class_logits", prediction.classes), ("mask_logits", prediction.masks)] {
            let expected = try #require(parity.gradients[name])
            let gradient: [Double] = try #require(try tensor.grad).array()
            let norm = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
            check.near("norm of \(name)", norm, expected.norm, within: 1e-7, relative: true)
            for (index, value) in zip(expected.samples.index, expected.samples.value) {
                check.near("\(name)[\(index)]", gradient[index], value, within: 1e-7 * expected.maxAbs)
            }
        }
        print(check.summary)
        #expect(check.failures.isEmpty, "\(check.failures.prefix(8).joined(separator: "; "))")
    }
}
