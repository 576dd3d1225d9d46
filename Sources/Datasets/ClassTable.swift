import Basics
import Foundation

/// A run's classes, as `classes.json` in its directory: names and colours are at hand where the dataset is not.
public struct ClassTable: Codable, Sendable, Equatable {
    public var classes: [ClassInfo]

    public init(classes: [ClassInfo]) { self.classes = classes }

    public static func path(inRun directory: String) -> String { directory + "/classes.json" }

    /// Writes the table whole or not at all.
    public func write(toRun directory: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try DurableFile.write(
            String(decoding: encoder.encode(self), as: UTF8.self) + "\n", to: Self.path(inRun: directory))
    }

    /// The table of a run; nil where the run has none.
    ///
    /// - Throws: `UserError` that names the file if it is damaged.
    public static func read(fromRun directory: String) throws -> ClassTable? {
        let path = path(inRun: directory)
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        do {
            return try JSONDecoder().decode(ClassTable.self, from: data)
        } catch {
            throw UserError("\(path): is no table of classes as a run writes it")
        }
    }
}
