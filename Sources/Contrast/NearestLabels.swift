/// Brings labels to the resolution of the embeddings by nearest neighbour, as torch's `interpolate(mode="nearest")`
/// does it: `source = min(floor(target * (in / out)), in - 1)` in Float32.
///
/// Labels sampled at another stride than the features have would pair embeddings with their neighbours' classes.
///
/// - Parameter labels: at the resolution of the image crop.
/// - Throws: `ContrastError.shape` if the grid is empty in one of the directions and the result is not.
public func nearestLabelGrid(_ labels: LabelGrid, height: Int, width: Int) throws -> LabelGrid {
    guard height >= 0, width >= 0, (labels.height > 0 && labels.width > 0) || height * width == 0 else {
        throw ContrastError.shape("cannot resize labels of \(labels.height)x\(labels.width) to \(height)x\(width)")
    }
    let rows = nearestSources(from: labels.height, to: height)
    let columns = nearestSources(from: labels.width, to: width)
    var values: [UInt8] = []
    values.reserveCapacity(labels.images * height * width)
    for image in 0..<labels.images {
        for row in rows {
            let start = (image * labels.height + row) * labels.width
            for column in columns { values.append(labels.values[start + column]) }
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
