import Foundation

extension Encodable {
    /// The value as JSON for readers and other programs: indented, keys sorted, so that equal values are equal texts.
    public func prettyJSON() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
