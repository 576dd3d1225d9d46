/// What stages need to know of the dataset without opening it. The command line fills it in before anything starts,
/// so a wrong folder is one message there and not one per stage.
public struct DatasetSummary: Codable, Sendable, Equatable {
    /// Class names in the order of their numbers.
    public var classes: [String]
    /// Red, green and blue of each class.
    public var palette: [[UInt8]]
    /// Images in the training split.
    public var images: Int
    /// Of the training split's file names, in their order, and of what label files' values mean: an image's number means
    /// the same file to all who agree on it. Nil in runs of versions that did not write it.
    public var digest: String?

    public init(classes: [String], palette: [[UInt8]], images: Int, digest: String? = nil) {
        self.classes = classes
        self.palette = palette
        self.images = images
        self.digest = digest
    }
}
