import Basics
import Foundation

@testable import Configuration

/// The smallest valid recipe.
let minimal = "dataset: {root: data}\n"

/// What an action throws, as the user reads it; "" where it succeeds.
func message(_ action: () throws -> some Any) -> String {
    do {
        _ = try action()
        return ""
    } catch {
        return "\(error)"
    }
}

/// The message of a recipe in a file called `r.yaml`.
func recipeMessage(_ yaml: String, _ overrides: String...) -> String {
    message { try Recipe.resolve(yaml: yaml, path: "r.yaml", overrides: overrides) }
}

/// Files in a new folder that is gone when `body` returns.
func withFiles<Result>(_ files: [String: String], _ body: (_ folder: String) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("picoflow-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, text) in files {
        let file = folder.appendingPathComponent(name)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }
    return try body(folder.path)
}

let repositoryRoot = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

/// Paths of the YAML files below a folder of the repository, sorted.
func yamlFiles(below folder: String) -> [String] {
    let root = repositoryRoot + "/" + folder
    let names = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
    return names.filter { $0.hasSuffix(".yaml") }.sorted().map { root + "/" + $0 }
}
