import Models
import NN
import Tensors

/// What is in a file of weights, for programs: what `picoflow import --json` prints.
public struct ImportFacts: Encodable, Sendable {
    public struct TensorFacts: Encodable, Sendable {
        public var name: String
        public var shape: [Int]
        public var dtype: String
    }

    /// A network that the file's tensors fit.
    public struct Fitting: Encodable, Sendable {
        public var head: String
        public var backbone: String
        /// Of the file's head, where that fits too.
        public var classes: Int?
    }

    /// A tensor that was not taken because its shape is another.
    public struct Difference: Encodable, Sendable {
        public var name: String
        public var shape: [Int]
        public var expected: [Int]

        init(_ shape: StateMismatch.Shape) {
            (name, self.shape, expected) = (shape.name, shape.state, shape.network)
        }
    }

    /// What a recipe's network took of it; names are the network's.
    public struct Taken: Encodable, Sendable {
        public var head: String
        public var backbone: String
        public var loaded: [String]
        public var values: Int
        /// At their first values, for the file has none.
        public var missing: [String]
        /// The same, for the file's are for another number of classes, or of another head.
        public var ofOtherClasses: [Difference]
        public var ofOtherHeads: [Difference]
        public var classes: Int
        public var classesOfFile: Int?
        /// Names of the file that the network has no use for.
        public var ignored: [String]
        /// False where the recipe's dataset is not there, so that nothing says how many classes it has.
        public var isNumberOfClassesKnown: Bool
        /// The file that was written.
        public var output: String?
    }

    public var file: String
    public var format: String
    /// What stands beside the tensors.
    public var besides: [String]
    /// Without a recipe: all of them, and the networks that they fit.
    public var tensors: [TensorFacts]?
    public var fits: [Fitting]?
    /// With a recipe.
    public var taken: Taken?

    init(_ file: WeightFile) {
        (self.file, format, besides) = (file.path, file.format, file.besides)
    }
}
