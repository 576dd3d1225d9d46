import Basics
import Foundation

/// The recipes in a folder and below it: every YAML file that does not stand in a folder `parts`, and is neither a topology
/// nor a dataset's description, which `picoflow init` writes beside a recipe.
public struct RecipeFolder: Sendable {
    public struct Entry: Sendable {
        /// From the working directory, or from the root.
        public let path: String
        /// From the folder, without `.yaml`.
        public let name: String
        public let recipe: Result<Recipe, any Error>
    }

    /// In the order of their names.
    public let entries: [Entry]

    /// Reads and resolves all of them.
    ///
    /// - Throws: `UserError` where there is no such folder or no recipe in it; what is wrong with a recipe is in its entry.
    public init(_ folder: String, overrides: [String] = []) throws {
        guard isFolder(folder) else {
            throw UserError(
                "\(folder): \(whyNoFolder(folder)); name one that holds recipes, such as PicoFlow's Configs")
        }
        let files = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        func path(of name: String) -> String { (folder as NSString).appendingPathComponent(name + ".yaml") }
        let names = files.filter { $0.hasSuffix(".yaml") && !$0.split(separator: "/").dropLast().contains("parts") }
            .map { String($0.dropLast(5)) }
            .filter { name in
                // What cannot be read is said of its entry.
                guard let root = try? Document.load(path(of: name)).root else { return true }
                return root["stages"] == nil && root["classes"] == nil
            }
            .sorted()
        guard !names.isEmpty else { throw UserError("\(folder): holds no recipe (.yaml)") }
        entries = names.map { name in
            let path = path(of: name)
            return Entry(
                path: path, name: name, recipe: Result { try Recipe.resolve(path: path, overrides: overrides) })
        }
    }
}
