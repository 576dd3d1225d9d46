import Tensors

/// Position embeddings of files, which may be for another grid of patches than the network's. How many there are does not
/// say of which, so PicoFlow's files have it in their metadata.
extension VisionTransformer {
    /// The metadata's key of the grid, `9x16` for 9 rows of 16 patches.
    static let gridKey = "position_grid"

    /// Takes timm's weights, whose position embeddings it resizes to its own grid; leaves out the classifier if this
    /// network has none. Where a file does not say its grid, as many positions as here are of the grid here, and others of
    /// a square one.
    public func ownNames(_ published: NamedTensors) -> NamedTensors {
        ownNames(published) { $0.shape == positions.shape ? config.grid : Self.squareGrid(of: $0) }
    }

    /// Backbones are published for square images, so that as many positions may still be of another grid.
    public func ownNames(ofBackbone published: NamedTensors) -> NamedTensors {
        ownNames(published) { Self.squareGrid(of: $0) }
    }

    /// - Parameter guess: the grid of positions that do not say theirs.
    private func ownNames(_ published: NamedTensors, guessing guess: (Tensor) -> Size2D?) -> NamedTensors {
        var own = classifier == nil ? published.renamed { $0.hasPrefix("head.") ? nil : $0 } : published
        guard let given = own["pos_embed"], given.dim == 3, given.size(2) == config.width else { return own }
        // What is of no grid keeps its shape, and loading says that it does not fit.
        if let grid = Self.statedGrid(of: given, own.metadata) ?? guess(given), grid != config.grid,
            let resized = try? withoutGradient({ try Self.resized(given.to(.float32), from: grid, to: config.grid) })
        {
            own["pos_embed"] = resized
            own.metadata[Self.gridKey] = "\(config.grid)"
        }
        return own
    }

    /// What the metadata say, unless it is no grid of as many positions.
    private static func statedGrid(of positions: Tensor, _ metadata: [String: String]) -> Size2D? {
        let sides = (metadata[gridKey] ?? "").split(separator: "x").map { Int($0) }
        let count = positions.size(1) - 1
        guard sides.count == 2, let height = sides[0], let width = sides[1], height > 0, width > 0 else { return nil }
        // Divided, as a file's numbers may be too large to multiply.
        return count % height == 0 && count / height == width ? Size2D(height, width) : nil
    }

    /// Of published weights: as many rows as columns.
    private static func squareGrid(of positions: Tensor) -> Size2D? {
        let count = positions.size(1) - 1
        let side = Int(Double(max(0, count)).squareRoot().rounded())
        return side > 0 && side * side == count ? Size2D(side) : nil
    }
}
