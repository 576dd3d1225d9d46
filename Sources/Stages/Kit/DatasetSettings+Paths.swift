import Configuration
import Foundation

extension DatasetSettings {
    /// The same dataset for a process with another working directory.
    ///
    /// - Returns: `root` and `description` as absolute paths. What is empty stays so: that is a choice, not a place.
    public func absolutePaths() -> DatasetSettings {
        func absolute(_ path: String) -> String {
            path.isEmpty ? path : URL(fileURLWithPath: path).standardizedFileURL.path
        }
        var settings = self
        settings.root = absolute(root)
        settings.description = description.map(absolute)
        return settings
    }
}
