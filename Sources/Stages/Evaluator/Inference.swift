import Basics
import Configuration
import Imaging
import Models
import Tensors

/// A trained network applied to images of any size: at several scales and mirrored, if asked for, and by a sliding window
/// where the scaled image exceeds it.
///
/// Passes are averaged as probabilities, at the image's own size. Every pass takes one image or window at a time, so
/// results depend neither on a batch nor on other images.
public struct Inference {
    public let network: any SegmentationNetwork
    public let settings: EvaluationSettings
    private let window: SlidingWindow?
    private let precision: ModelSettings.Precision
    private let device: Device

    /// - Parameters:
    ///   - network: in evaluation mode; it is moved to the device.
    ///   - window: `[height, width]` of the sliding window; nil takes each scaled image at once.
    ///   - precision: the run's.
    /// - Throws: `UserError` for scales or a window that cannot be.
    public init(
        network: any SegmentationNetwork, settings: EvaluationSettings, window: [Int]? = nil,
        precision: ModelSettings.Precision = .float32,
        device: Device = .cpu
    ) throws {
        guard !settings.scales.isEmpty else { throw UserError("evaluate.scales is empty; [1] is the image's own size") }
        if let scale = settings.scales.first(where: { !($0 > 0 && $0 <= Self.largestScale) }) {
            throw UserError("evaluate.scales has \(scale); scales are above 0 and at most \(Self.largestScale)")
        }
        if let window {
            guard window.count == 2, window.allSatisfy({ $0 > 0 }) else {
                throw UserError("an evaluation's window is \(window); it must be a height and a width above 0")
            }
        }
        try network.to(device)
        self.network = network
        self.settings = settings
        self.window = window.map { SlidingWindow(size: Size2D($0[0], $0[1])) }
        self.precision = precision
        self.device = device
    }

    /// Published protocols end at 1.75 or 2; a misplaced decimal point should not take the machine's memory.
    static let largestScale: Float = 8

    /// The most probable class of every pixel, at the image's own size.
    public func labels(of image: Image) throws -> LabelMap {
        let classes = try scores(of: image).argmax(dim: 1).to(.uint8)  // [1, H, W]
        return try LabelMap(width: image.width, height: image.height, values: classes.bytes())
    }

    /// Probabilities of the classes, `[1, classes, H, W]`, at the image's own size.
    public func probabilities(of image: Image) throws -> Tensor {
        let scores = try scores(of: image)
        return isSinglePass ? try withoutGradient { try network.probabilities(scores) } : scores
    }

    private var isSinglePass: Bool { settings.scales.count == 1 && !settings.flip }

    /// Resized logits of a single pass, whose order is that of the probabilities; the passes' mean probabilities
    /// otherwise.
    private func scores(of image: Image) throws -> Tensor {
        try withoutGradient {
            let pixels = try Tensor(
                adopting: image.pixels, dtype: .uint8, shape: [1, image.height, image.width, 3]
            ).to(device)
            let input = try network.inputNormalization(pixels)  // [1, 3, H, W]
            let size = Size2D(image.height, image.width)
            if isSinglePass { return try logits(input, scale: settings.scales[0], size: size) }

            var sum: Tensor?
            for scale in settings.scales {
                for mirrored in settings.flip ? [false, true] : [false] {
                    let seen = mirrored ? try input.flip([3]) : input
                    var probabilities = try network.probabilities(logits(seen, scale: scale, size: size))
                    if mirrored { probabilities = try probabilities.flip([3]) }
                    sum = try sum?.add_(probabilities) ?? probabilities
                }
            }
            let passes = settings.scales.count * (settings.flip ? 2 : 1)
            return try sum! * (1 / Double(passes))
        }
    }

    /// Logits of one pass at `size`, `[1, classes, H, W]`. The image is resized bilinearly, as are the logits: in one step
    /// from the network's own resolution, or from the windows' once these are put together.
    private func logits(_ input: Tensor, scale: Float, size: Size2D) throws -> Tensor {
        var seen = input
        if scale != 1 {
            let height = max(1, Int((Float(size.height) * scale).rounded()))
            let width = max(1, Int((Float(size.width) * scale).rounded()))
            seen = try input.interpolate(Size2D(height, width), .bilinear(alignCorners: false))
        }
        let scaled = Size2D(seen.size(2), seen.size(3))
        guard let window, window.isExceeded(by: scaled) else { return try logits(seen, resizedTo: size) }
        let scores = try window.scores(of: seen) { part in
            try logits(part, resizedTo: Size2D(part.size(2), part.size(3)))
        }
        return scaled == size
            ? scores : try scores.interpolate(size, .bilinear(alignCorners: network.alignCorners))
    }

    private func logits(_ input: Tensor, resizedTo size: Size2D) throws -> Tensor {
        let scores = try precision.compute(on: device) {
            try network.scores(network.features(input)).main.widened()
        }
        return try network.resized(scores, from: Size2D(input.size(2), input.size(3)), to: size)
    }
}
