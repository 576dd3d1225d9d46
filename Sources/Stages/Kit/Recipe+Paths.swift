import Basics
import Configuration
import Foundation

extension DatasetSettings {
    /// What messages call the dataset: its folder, or the description of one that has none of its own.
    public var place: String { root.isEmpty ? description ?? "" : root }

    /// The same dataset on a host that has it elsewhere.
    ///
    /// - Parameter folder: stands for `root`, or for the description's folder where the root is empty; a description inside the
    ///   old one is looked for at the same place in it.
    public func moved(to folder: String) -> DatasetSettings {
        var settings = absolutePaths()
        var old = settings.root
        if old.isEmpty { old = settings.description.map { ($0 as NSString).deletingLastPathComponent } ?? "" }
        if !old.hasSuffix("/") { old += "/" }
        settings.root = absolutePath(folder)
        if let description = settings.description, description.hasPrefix(old) {
            settings.description = settings.root + "/" + description.dropFirst(old.count)
        }
        return settings
    }

    /// The same dataset for a process with another working directory.
    ///
    /// - Returns: `root` and `description` as absolute paths. What is empty stays so: that is a choice, not a place.
    public func absolutePaths() -> DatasetSettings {
        var settings = self
        settings.root = absolute(root)
        settings.description = description.map(absolute)
        return settings
    }
}

extension Recipe {
    /// The same recipe for a process with another working directory.
    public func absolutePaths() -> Recipe {
        var recipe = self
        recipe.dataset = dataset.absolutePaths()
        recipe.model.pretrained = model.pretrained.map(absolute)
        return recipe
    }
}

private func absolute(_ path: String) -> String {
    path.isEmpty ? path : absolutePath(path)
}
