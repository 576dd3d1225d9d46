/// What stages need to know of the dataset without opening it. The command line fills it in before anything starts,
/// so a wrong folder is one message there and not one per stage.
public struct DatasetSummary: Codable, Sendable, Equatable {
    /// Class names in the order of their numbers.
    public var classes: [String]
    /// Red, green and blue of each class.
    public var palette: [[UInt8]]
    /// Images in the training split.
    public var images: Int

    public init(classes: [String], palette: [[UInt8]], images: Int) {
        self.classes = classes
        self.palette = palette
        self.images = images
    }
}
