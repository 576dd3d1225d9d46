import Basics
import Imaging

/// What a dataset's test server wants to be sent: an 8-bit grey PNG per image, named after it, and what its pixels' values
/// stand for.
///
/// Where a dataset has no server, or one that takes class numbers, the values are the classes themselves.
public struct Submission: Sendable, Equatable {
    /// The value that is written for each class.
    public let values: [UInt8]

    public init(values: [UInt8]) { self.values = values }

    /// Cityscapes takes its label ids, not its train ids. Files may have any name that begins with the image's city,
    /// sequence and frame.
    public static let cityscapes = Submission(values: Cityscapes.labelIDs)

    /// ADE20K's scene parsing benchmark counts its 150 classes from 1, as its label maps do; 0 is none of them.
    public static let ade20k = Submission(values: Array(1...150))

    /// A sample's file: its image's name, as a PNG.
    public func fileName(of sample: SampleFiles) -> String {
        let name = sample.imagePath.split(separator: "/").last.map(String.init) ?? sample.name
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return name + ".png" }
        return name[..<dot] + ".png"
    }

    /// A map of classes as the PNG that is sent.
    ///
    /// - Throws: `UserError` for a value that is no class.
    public func encode(_ labels: LabelMap) throws -> [UInt8] {
        var highest: UInt8 = 0
        let written = LabelMap(width: labels.width, height: labels.height) { target in
            labels.values.withUnsafeBytes { source in
                for i in 0..<source.count {
                    highest = max(highest, source[i])
                    target[i] = Int(source[i]) < values.count ? values[Int(source[i])] : 0
                }
            }
        }
        guard Int(highest) < values.count else {
            throw UserError("a predicted class is \(highest); the classes are 0 to \(values.count - 1)")
        }
        return try PNG.encode(written)
    }
}

extension DatasetIndex {
    /// How predictions are sent to the dataset's server.
    public var submission: Submission {
        switch kind {
        case .ade20k: .ade20k
        case .cityscapes: .cityscapes
        case .camvid, .cocoStuff, .folder, .pascalContext: Submission(values: classes.indices.map(UInt8.init))
        }
    }
}
