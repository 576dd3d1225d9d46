import Basics
import Configuration

/// A training sample from an image and its label map: random scale, crop with padding, horizontal flip, colour jitter.
///
/// A pure function of its arguments, in integer arithmetic: the same seed gives the same bytes in every process and on
/// every machine. Only the part of the image that the crop keeps is resized and jittered. Where the scaled image is
/// smaller than the crop, it stands in the crop's upper left and the rest is padding, with the ignore label beneath it.
///
/// - Parameters:
///   - image: the whole image.
///   - label: classes and `IgnoreLabel.value`, of the image's size.
///   - settings: `crop` is the result's `[height, width]`.
///   - seed: the ticket's; every draw derives from it.
///   - padding: the colour that input normalisation turns into about zero.
/// - Returns: image and label map of the crop's size.
/// - Throws: `UserError` where the sizes of image and label differ or the settings make no sense.
public func augment(
    _ image: Image, _ label: LabelMap, settings: AugmentationSettings, seed: UInt64, padding: RGB8
) throws -> (image: Image, label: LabelMap) {
    guard image.width == label.width, image.height == label.height else {
        throw UserError(
            "the image is \(image.width)x\(image.height) but its label map is \(label.width)x\(label.height)")
    }
    let plan = try AugmentationPlan(width: image.width, height: image.height, settings: settings, seed: seed)
    return plan.apply(to: ImagePart(image), label, at: (0, 0), padding: padding)
}

/// What a sample's crop keeps of its files, decoded: of an image's file only that.
///
/// Where the image is to become at most half as large, a JPEG's decoder shrinks it 2, 4 or 8 times while it transforms,
/// which also averages pixels that `augment` of a decoded image would skip; elsewhere the augmented bytes are the same.
public struct CropSource {
    private let plan: AugmentationPlan
    private let image: ImagePart
    private let label: LabelMap
    /// Of the label map's part, in the whole.
    private let corner: (left: Int, top: Int)

    /// - Parameters:
    ///   - image: the file's bytes.
    ///   - name: what messages call it.
    ///   - settings: as of `augment`, as is `seed`.
    ///   - labels: reads a region of the label map, given the image's width and height.
    /// - Throws: `UserError` that names the file, and what `labels` throws.
    public init(
        _ image: SharedBytes, name: String, settings: AugmentationSettings, seed: UInt64,
        labels: (_ region: PixelRegion, _ width: Int, _ height: Int) throws -> LabelMap
    ) throws {
        let (width, height) = try ImageFile.size(image, name: name)
        plan = try AugmentationPlan(width: width, height: height, settings: settings, seed: seed)
        let shrink = ImageFile.canShrink(image) ? plan.window.shrink(ofWidth: width, height: height) : 1
        let region = plan.window.region(ofWidth: width, height: height, shrink: shrink)
        self.image = ImagePart(
            try ImageFile.decode(image, region: region, shrink: shrink, name: name), region: region, shrink: shrink,
            width: width, height: height)
        let labelled = plan.window.region(ofWidth: width, height: height, shrink: 1)
        label = try labels(labelled, width, height)
        corner = (labelled.left, labelled.top)
    }

    /// The sample, as `augment` describes it.
    public func augmented(padding: RGB8) -> (image: Image, label: LabelMap) {
        plan.apply(to: image, label, at: corner, padding: padding)
    }
}

/// The colour whose normalised value is nearest to zero: the mean of an input normalisation given as fractions.
public func paddingColor(mean: [Float]) -> RGB8 {
    precondition(mean.count == 3, "a mean of red, green and blue")
    let bytes = mean.map { UInt8(min(max(($0 * 255).rounded(), 0), 255)) }
    return RGB8(bytes[0], bytes[1], bytes[2])
}

/// What was drawn for one sample.
struct AugmentationPlan: Equatable {
    let cropWidth: Int
    let cropHeight: Int
    let window: ScaledWindow
    let jitter: ColorJitter

    /// Draws scale, row, column, flip and jitter, in this order.
    init(width: Int, height: Int, settings: AugmentationSettings, seed: UInt64) throws {
        try Self.check(settings)
        cropHeight = settings.crop[0]
        cropWidth = settings.crop[1]
        var random = KeyedRandom(seed: seed, purpose: "augment")
        let scale = random.uniform(settings.scale[0], settings.scale[1])
        let scaledWidth = max(1, Int((Float(width) * scale).rounded()))
        let scaledHeight = max(1, Int((Float(height) * scale).rounded()))
        let top = random.below(max(0, scaledHeight - cropHeight) + 1)
        let left = random.below(max(0, scaledWidth - cropWidth) + 1)
        let flipped = random.uniform() < settings.flip
        window = ScaledWindow(
            scaledWidth: scaledWidth, scaledHeight: scaledHeight, left: left, top: top,
            width: min(cropWidth, scaledWidth), height: min(cropHeight, scaledHeight), flipped: flipped)
        jitter = ColorJitter(settings: settings, random: &random)
    }

    /// - Parameters:
    ///   - image: holds what the window needs.
    ///   - label: the same of the label map, its corner at `corner` of the whole.
    func apply(
        to image: ImagePart, _ label: LabelMap, at corner: (left: Int, top: Int), padding: RGB8
    ) -> (image: Image, label: LabelMap) {
        let newImage = Image(width: cropWidth, height: cropHeight) { target in
            let base = target.baseAddress!.assumingMemoryBound(to: UInt8.self)
            jitter.apply(width: window.width, height: window.height, into: base, stride: cropWidth * 3) { rows, done in
                image.forEachRow(of: window, in: rows, done)
            }
            for y in 0..<cropHeight {
                for x in (y < window.height ? window.width : 0)..<cropWidth {
                    let pixel = base + (y * cropWidth + x) * 3
                    pixel[0] = padding.red
                    pixel[1] = padding.green
                    pixel[2] = padding.blue
                }
            }
        }
        let newLabel = LabelMap(width: cropWidth, height: cropHeight) { target in
            let base = target.baseAddress!.assumingMemoryBound(to: UInt8.self)
            label.resize(
                window: window, at: corner, of: (image.width, image.height), into: base, stride: cropWidth)
            for y in 0..<cropHeight {
                let from = y < window.height ? window.width : 0
                (base + y * cropWidth + from).update(repeating: IgnoreLabel.value, count: cropWidth - from)
            }
        }
        return (newImage, newLabel)
    }

    /// Settings arrive in tickets: what would trap or fill the memory here is refused. Recipes are checked more closely
    /// where they are read.
    private static func check(_ settings: AugmentationSettings) throws {
        let sides = 1...ImageLimits.standard.side
        guard settings.crop.count == 2, settings.crop.allSatisfy(sides.contains),
            settings.crop[0] * settings.crop[1] <= ImageLimits.standard.pixels
        else {
            throw UserError(
                "augmentation.crop \(settings.crop) is not [height, width] with sides in \(sides) and at most "
                    + "\(ImageLimits.standard.pixels) pixels")
        }
        guard settings.scale.count == 2, settings.scale.allSatisfy({ $0 > 0 && $0 <= 64 }),
            settings.scale[0] <= settings.scale[1]
        else {
            throw UserError(
                "augmentation.scale \(settings.scale) is not [smallest, largest], both above 0 and up to 64")
        }
        let factors = [settings.brightness, settings.contrast, settings.saturation]
        guard factors.allSatisfy({ $0 >= 0 && $0 <= 8 }), settings.hue >= 0, settings.hue <= 0.5 else {
            throw UserError("augmentation: brightness, contrast and saturation lie in 0...8 and hue in 0...0.5")
        }
    }
}
