import Configuration
import Foundation

extension DatasetSettings {
    /// The same dataset on a host that has it elsewhere.
    ///
    /// - Parameter folder: stands for `root`; a description inside the old root is looked for at the same place in it.
    public func moved(to folder: String) -> DatasetSettings {
        var settings = absolutePaths()
        let old = settings.root.hasSuffix("/") ? settings.root : settings.root + "/"
        settings.root = URL(fileURLWithPath: folder).standardizedFileURL.path
        if let description = settings.description, description.hasPrefix(old) {
            settings.description = settings.root + "/" + description.dropFirst(old.count)
        }
        return settings
    }

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
