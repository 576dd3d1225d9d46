/// Brings labels to the resolution of the embeddings by nearest neighbour, as torch's `interpolate(mode="nearest")`
/// does it: `source = min(floor(target * (in / out)), in - 1)` in Float32.
///
/// Labels sampled at another stride than the features have would pair embeddings with their neighbours' classes.
///
/// - Parameters:
///   - labels: at the resolution of the image crop.
///   - extent: height and width of what the features are of, where a network pads crops at the bottom and right; what the
///     padding shows has the label 255.
/// - Throws: `ContrastError.shape` if the grid is empty in one of the directions and the result is not.
public func nearestLabelGrid(
    _ labels: LabelGrid, height: Int, width: Int, extent: (height: Int, width: Int)? = nil
) throws -> LabelGrid {
    let extent = extent ?? (labels.height, labels.width)
    guard height >= 0, width >= 0, (labels.height > 0 && labels.width > 0) || height * width == 0 else {
        throw ContrastError.shape("cannot resize labels of \(labels.height)x\(labels.width) to \(height)x\(width)")
    }
    let rows = nearestSources(from: extent.height, to: height)
    let columns = nearestSources(from: extent.width, to: width)
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

/// The source index of each target index along one axis.
func nearestSources(from input: Int, to output: Int) -> [Int] {
    guard output > 0 else { return [] }
    let scale = Float(input) / Float(output)
    return (0..<output).map { min(Int((Float($0) * scale).rounded(.down)), input - 1) }
}
