import Basics
import Foundation
import Imaging

/// A user's own dataset: folders of images and label maps, described by a YAML file.
///
/// ```yaml
/// classes:                       # in the order of their numbers: a name, or name and colour
///   - {name: road, color: [128, 64, 128]}
///   - building                   # colour from the generated palette
/// ignore: 255                    # label value or list of values left out of training and evaluation; 255 by default
/// labels: {7: road, 11: building, 0: ignore}   # where files use other values: class by name or number
/// splits:
///   train: {images: train/images, labels: train/labels}
///   val: {images: val/images, labels: val/labels}
///   wild: {images: wild}         # without labels: for prediction only
///   few: {images: train/images, labels: train/labels, list: few.txt}    # the samples named there, a line each
/// ```
///
/// Folders are relative to `dataset.root`, or to the description's own folder where no root is given. Images and label
/// maps share their names without extension. Lists are relative to the description's folder.
public enum FolderDataset {
    /// - Parameters:
    ///   - description: path of the YAML file (`dataset.description`).
    ///   - root: folder that relative folders start at (`dataset.root`); empty for the description's own.
    /// - Throws: `UserError` that begins with file and line of what is wrong, or with the folder that is.
    static func open(description: String?, root: String, in tree: DatasetTree) throws -> DatasetIndex {
        guard let path = description, !path.isEmpty else {
            throw UserError(
                "dataset.description is not set; a dataset of kind 'folder' needs a YAML file with classes and splits")
        }
        guard tree.isFile(path) else {
            throw UserError(
                "\(path): no such file (dataset.description), from the working directory; it says the folders, classes and colours of a "
                    + "dataset of your own; 'picoflow init' writes one for your images, 'picoflow data synthesize DIR' draws a dataset with one"
            )
        }
        let parsed = try FolderDescription(contentsOf: path)
        let base =
            root.isEmpty
            ? path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
                .joined(separator: "/") : root
        let start = base.isEmpty ? (path.hasPrefix("/") ? "/" : ".") : base
        if !root.isEmpty, !tree.isFolder(root) { throw UserError("\(root): \(whyNoFolder(root)) (dataset.root)") }
        let splits = try parsed.splits.map { split -> SplitListing in
            let images = Folders.join(start, split.images)
            let labels = split.labels.map { Folders.join(start, $0) }
            for folder in [images] + (labels.map { [$0] } ?? []) where !tree.isFolder(folder) {
                throw UserError("\(path):\(split.line): split '\(split.name)': no such folder: \(folder)")
            }
            if let labels { try Folders.checkApart(images: images, labels: labels) }
            let listing = try listing(split, images: images, labels: labels, description: path, in: tree)
            guard !listing.isEmpty else {
                throw UserError(
                    "\(path):\(split.line): split '\(split.name)': \(images) holds no .jpg, .jpeg or .png image")
            }
            return listing
        }
        return DatasetIndex(
            kind: .folder, root: start, classes: parsed.classes, labelMapping: parsed.mapping, splits: splits)
    }

    /// The folders' samples, or those of them that the split's list names.
    private static func listing(
        _ split: FolderDescription.Split, images: String, labels: String?, description path: String,
        in tree: DatasetTree
    ) throws -> SplitListing {
        guard let name = split.list else {
            return try Folders.pair(split: split.name, images: images, labels: labels, in: tree)
        }
        guard let labels else {
            throw UserError("\(path):\(split.line): split '\(split.name)': 'list' goes with 'labels'")
        }
        let list = Folders.join((path as NSString).deletingLastPathComponent, name)
        guard tree.isFile(list) else {
            throw UserError("\(path):\(split.line): split '\(split.name)': no such file: \(list)")
        }
        return try Folders.pair(
            split: split.name, list: list, names: tree.lines(of: list), imageFolder: images, labelFolder: labels,
            images: Folders.files(in: images, extensions: Folders.imageExtensions, of: tree),
            labels: Folders.files(in: labels, extensions: Folders.labelExtensions, of: tree))
    }
}
