import Basics
import Configuration

/// How a dataset is got, which ends every message about a part of it that is not there.
struct DatasetSource: Sendable {
    /// A sentence without its full stop: who gives it out, what to download, what to name as `dataset.root`.
    let hint: String

    init(_ hint: String) { self.hint = hint }

    /// What was expected where, and how to get it.
    func error(_ what: String) -> UserError { UserError("\(what); \(hint)") }

    /// - Throws: `UserError` where there is no such folder.
    func checkRoot(_ root: String, in tree: DatasetTree) throws {
        guard !root.isEmpty else { throw error("dataset.root is not set") }
        guard tree.isFolder(root) else { throw error("\(root): \(whyNoFolder(root)) (dataset.root)") }
    }

    /// The folder that holds a dataset's folders: `root`, or the one below it that its archive unpacks to.
    ///
    /// - Parameters:
    ///   - below: such folders, from `root`.
    ///   - mark: a folder that stands in every one of them.
    /// - Throws: `UserError` where neither has `mark`.
    func base(of root: String, orIn below: [String], having mark: String, in tree: DatasetTree) throws -> String {
        try checkRoot(root, in: tree)
        let candidates = [root] + below.map { Folders.join(root, $0) }
        guard let base = candidates.first(where: { tree.isFolder(Folders.join($0, mark)) }) else {
            throw error("\(root): has no folder \(mark), nor has a folder \(below.joined(separator: " or ")) in it")
        }
        return base
    }
}

extension DatasetSource {
    /// How a part of a dataset is got that may be missing while the rest is there; nil for a split that it does not publish.
    static func hint(forSplit split: String, of kind: DatasetSettings.Kind) -> String? {
        switch (kind, split) {
        case (.ade20k, "test"): ADE20K.testSource.hint
        case (.camvid, "train"), (.camvid, "val"), (.camvid, "test"): CamVid.source.hint
        case (.cityscapes, "train"), (.cityscapes, "val"), (.cityscapes, "test"): Cityscapes.source.hint
        case (.ade20k, _), (.camvid, _), (.cityscapes, _), (.cocoStuff, _), (.folder, _), (.pascalContext, _): nil
        }
    }
}
