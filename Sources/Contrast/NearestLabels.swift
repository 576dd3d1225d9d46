/// Brings labels to the resolution of the embeddings: each takes the label of the pixel that its place in the image is
/// nearest to, where cross-entropy's bilinear upsampling puts the score of the same place.
///
/// Any other pixel would have the two losses ask different classes of one feature. Torch's `interpolate(mode: "nearest")`
/// takes the upper left corner of what a feature covers; at stride 16 on CamVid one label in ten is another one there, of
/// pedestrians and signs every second. Without aligned corners this is its mode `nearest-exact`.
///
/// - Parameters:
///   - labels: at the resolution of the image crop.
///   - extent: height and width of what the features are of, where a network pads crops at the bottom and right; what the
///     padding shows has the label 255.
///   - alignCorners: whether scores are upsampled so that the corners' are the corners' of the image.
/// - Throws: `ContrastError.shape` if the grid is empty in one of the directions and the result is not.
public func nearestLabelGrid(
    _ labels: LabelGrid, height: Int, width: Int, extent: (height: Int, width: Int)? = nil, alignCorners: Bool
) throws -> LabelGrid {
    let extent = extent ?? (labels.height, labels.width)
    guard height >= 0, width >= 0, (labels.height > 0 && labels.width > 0) || height * width == 0 else {
        throw ContrastError.shape("cannot resize labels of \(labels.height)x\(labels.width) to \(height)x\(width)")
    }
    let rows = nearestSources(from: extent.height, to: height, alignCorners: alignCorners)
    let columns = nearestSources(from: extent.width, to: width, alignCorners: alignCorners)
    var values: [UInt8] = []
    values.reserveCapacity(labels.images * height * width)
    for image in 0..<labels.images {
        for row in rows {
            let start = (image * labels.height + row) * labels.width
            for column in columns {
                let isInside = row < labels.height && column < labels.width
                values.append(isInside ? labels.values[start + column] : ClassID.ignore.rawValue)
            }
        }
    }
    return try LabelGrid(images: labels.images, height: height, width: width, values: values)
}

/// The source index of each target index along one axis; places are rounded to the nearest, halves up.
func nearestSources(from input: Int, to output: Int, alignCorners: Bool) -> [Int] {
    (0..<output).map { index in
        // In integers, so that no size is too large to be exact.
        alignCorners
            ? (2 * index * (input - 1) + output - 1) / max(2 * (output - 1), 1)
            : (2 * index + 1) * input / (2 * output)
    }
}
