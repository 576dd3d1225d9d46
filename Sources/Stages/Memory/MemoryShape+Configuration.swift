import Contrast
import StageKit

extension StageConfiguration {
    /// The memory's extent, from the recipe and the dataset; bank and miners come to the same.
    public func memoryShape() throws -> MemoryShape {
        try MemoryShape(
            settings: recipe.contrast, classes: dataset.classes.count, dimension: recipe.model.embedding,
            images: dataset.images)
    }
}
