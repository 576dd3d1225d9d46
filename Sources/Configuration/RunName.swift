import Foundation

/// Names run directories after their recipe: `quick-pico-3`.
public enum RunName {
    /// The first free name for a new run.
    ///
    /// It only proposes: whoever creates the directory must do so exclusively, and ask again with the new listing if
    /// somebody else was faster.
    ///
    /// - Parameters:
    ///   - recipePath: the recipe's file; its name without extension begins the run's.
    ///   - existing: names in the folder of runs, in any order; numbers are not reused while a higher one exists.
    public static func next(recipePath: String, existing: [String]) -> String {
        let prefix = stem(ofRecipe: recipePath) + "-"
        let taken = existing.compactMap { name -> Int? in
            guard name.hasPrefix(prefix), let number = Int32(name.dropFirst(prefix.count)) else { return nil }
            // `+7` and `07` are numbers too, but no names given here.
            return prefix + "\(number)" == name ? Int(number) : nil
        }
        return prefix + "\((taken.max() ?? 0) + 1)"
    }

    /// A recipe's name as runs bear it: its file's without extension, with `-` for what a shell or a manifest would take apart.
    public static func stem(ofRecipe path: String) -> String {
        let file = ((path as NSString).lastPathComponent as NSString).deletingPathExtension
        let stem = String(file.map { $0.isLetter || $0.isNumber || "-_.".contains($0) ? $0 : "-" })
        return stem.isEmpty ? "run" : stem
    }
}
