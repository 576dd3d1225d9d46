import Foundation
import StageKit

/// The pictures that evaluations left in a run: `evaluations/step-NNNNNN/*.png`.
struct ImagePanels: Encodable {
    struct Panel: Encodable, Equatable {
        var name: String
        /// Below the dashboard's root.
        var path: String
    }

    /// Of the newest evaluation with pictures; nil before one.
    var step: UInt64?
    var panels: [Panel] = []

    /// A page of pictures, not an archive.
    static let limit = 24

    init(run: String) {
        let root = run + "/evaluations"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        // A folder that is still being written has another name.
        for step in names.compactMap({ Checkpoint.step(inPath: $0) }).sorted(by: >) {
            let folder = Checkpoint.folderName(step: step)
            let files = Self.pictures(in: root + "/" + folder)
            guard !files.isEmpty else { continue }
            self.step = step
            panels = files.prefix(Self.limit).map {
                Panel(name: String($0.dropLast(4)), path: "panels/\(folder)/\($0)")
            }
            return
        }
    }

    private static func pictures(in folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter { $0.hasSuffix(".png") }.sorted()
    }

    /// The file behind `FOLDER/NAME.png`, for names that the listing gave and no others.
    static func file(_ path: Substring, run: String) -> Data? {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, Checkpoint.step(inPath: String(parts[0])) != nil else { return nil }
        let folder = "\(run)/evaluations/\(parts[0])"
        guard pictures(in: folder).contains(String(parts[1])) else { return nil }
        return FileManager.default.contents(atPath: "\(folder)/\(parts[1])")
    }
}
