import Basics
import Foundation
import Yams

/// `--set model=NAME`: another part than the recipe's own, one of `dataset`, `model`, `loss` and `schedule`.
///
/// NAME is that of a file beside the recipe's own part, without `.yaml`; or a path, from the working directory, where it has a
/// `/` or ends in `.yaml`. The recipe's own keys hold over the chosen part's as they do over its own part's.
struct PartChoice: Equatable {
    let part: String
    let value: String
    private let place: Place

    /// - Returns: nil for an override of keys: anything but one word or path under one of the four names.
    init?(_ override: String) {
        guard let equals = override.firstIndex(of: "="),
            RecipeParts.fields.contains(where: { $0.key == override[..<equals] })
        else { return nil }
        let text = String(override[override.index(after: equals)...])
        guard let scalar = (try? Yams.compose(yaml: text))?.scalar,
            scalar.string.first.map({ $0.isLetter || "./~".contains($0) }) == true, !scalar.isNull
        else { return nil }
        part = String(override[..<equals])
        value = scalar.string
        place = .option("--set " + oneLine(override))
    }

    /// The file that stands for the recipe's own part.
    ///
    /// - Throws: `UserError` where there is no such file, with the nearest name.
    func path(insteadOf own: String) throws -> String {
        if value.contains("/") || value.hasSuffix(".yaml") {
            guard FileManager.default.fileExists(atPath: value) else {
                throw UserError("\(place): there is no file \(value)")
            }
            return value
        }
        let folder = (own as NSString).deletingLastPathComponent
        let path = (folder as NSString).appendingPathComponent(value + ".yaml")
        guard FileManager.default.fileExists(atPath: path) else {
            let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder.isEmpty ? "." : folder)) ?? [])
                .filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }.sorted()
            let hint =
                nearestName(to: value, among: names).map { "did you mean '\($0)'?" }
                ?? "there are \(names.joined(separator: ", "))"
            throw UserError(
                "\(place): there is no part '\(value)' in \((folder as NSString).standardizingPath); \(hint)")
        }
        return path
    }

    func noSuchPart(in recipe: String) -> UserError {
        UserError("\(place): \(recipe) names no part '\(part)' that another could stand for; set single keys instead")
    }
}
