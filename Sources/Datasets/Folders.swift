import Basics
import Foundation

/// Listing of image folders, and the pairing of images with label maps.
enum Folders {
    static let imageExtensions = ["jpg", "jpeg", "png"]
    static let labelExtensions = ["png"]

    /// A file, and the name under which its counterpart is sought.
    typealias Named = (stem: String, path: String)

    static func join(_ folder: String, _ name: String) -> String {
        if name.hasPrefix("/") || folder.isEmpty { return name }
        return folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }

    /// Pairs the images and label maps of two folders by their names without extension; hidden and other files are passed
    /// over.
    ///
    /// - Throws: `UserError` where a folder cannot be listed, or two images differ only in their extension.
    static func pair(split: String, images: String, labels: String?, in tree: DatasetTree) throws -> SplitListing {
        pair(
            split: split, imageFolder: images, labelFolder: labels,
            images: try files(in: images, extensions: imageExtensions, of: tree),
            labels: try labels.map { try files(in: $0, extensions: labelExtensions, of: tree) })
    }

    /// - Throws: `UserError` where images and label maps are in one folder: a label map would be an image too.
    static func checkApart(images: String, labels: String) throws {
        guard DurableFile.real(images) != DurableFile.real(labels) else {
            throw UserError(
                "\(images): holds images and label maps together; move the label maps to a folder of their own")
        }
    }

    /// Pairs images and label maps by their stems.
    ///
    /// - Parameters:
    ///   - images: in any order; the listing is in that of the stems' bytes.
    ///   - labels: nil where the split has none.
    static func pair(
        split: String, imageFolder: String, labelFolder: String?, images: [Named], labels: [Named]?
    ) -> SplitListing {
        var listing = SplitListing(
            name: split, imageFolder: imageFolder, labelFolder: labelFolder, samples: [], imagesWithoutLabels: [],
            labelsWithoutImages: [])
        var labelOf: [String: String] = [:]  // looked up only, never iterated
        for (stem, path) in labels ?? [] { labelOf[stem] = path }
        for (stem, path) in sorted(images) {
            let label = labelOf[stem]
            if labels != nil && label == nil {
                listing.imagesWithoutLabels.append(path)
            } else {
                listing.samples.append(
                    SampleFiles(id: listing.samples.count, name: stem, imagePath: path, labelPath: label))
            }
        }
        let stems = Set(images.map(\.stem))
        listing.labelsWithoutImages = sorted(labels ?? []).filter { !stems.contains($0.stem) }.map(\.path)
        return listing
    }

    /// Pairs the images and label maps that a list names; others in their folders belong to other splits.
    ///
    /// - Parameter names: the list's lines.
    /// - Throws: `UserError` where the list names what has neither, or something twice.
    static func pair(
        split: String, list: String, names: [String], imageFolder: String, labelFolder: String, images: [Named],
        labels: [Named]
    ) throws -> SplitListing {
        let known = Set(images.map(\.stem)).union(labels.map(\.stem))
        // Lists written by hand have blanks around names, and some files' names end in one.
        let names = names.map { known.contains($0) ? $0 : $0.trimmingCharacters(in: .whitespaces) }
        var named = Set<String>()
        for name in names where !named.insert(name).inserted { throw UserError("\(list): names '\(name)' twice") }
        let images = images.filter { named.contains($0.stem) }
        let labels = labels.filter { named.contains($0.stem) }
        if let lost = names.first(where: { !known.contains($0) }) {
            throw UserError(
                "\(list): names '\(lost)', which has neither image in \(imageFolder) nor label map in \(labelFolder)")
        }
        return pair(
            split: split, imageFolder: imageFolder, labelFolder: labelFolder, images: images, labels: labels)
    }

    /// Splits of one folder of images and one of label maps, by a list of names each.
    ///
    /// - Parameter labelExtensions: of the label maps' files.
    /// - Throws: `UserError` where a list is missing, with how the dataset is got, and what `files` and `pair` throw.
    static func pair(
        lists: [(split: String, path: String)], images: String, labels: String, labelExtensions: [String],
        source: DatasetSource, in tree: DatasetTree
    ) throws -> [SplitListing] {
        let imageFiles = try files(in: images, extensions: imageExtensions, of: tree)
        let labelFiles = try files(in: labels, extensions: labelExtensions, of: tree)
        return try lists.map { split, list in
            guard tree.isFile(list) else {
                throw source.error("\(list): no such file; a list of names is expected there")
            }
            return try pair(
                split: split, list: list, names: tree.lines(of: list), imageFolder: images, labelFolder: labels,
                images: imageFiles, labels: labelFiles)
        }
    }

    /// A folder's files of some kinds, in the order of their names' bytes.
    ///
    /// - Parameter ending: what the names end in before the extension; it is no part of the stem.
    /// - Throws: `UserError` where the folder cannot be listed, or two names differ only in their extension.
    static func files(
        in folder: String, extensions: [String], ending: String = "", of tree: DatasetTree
    ) throws -> [Named] {
        let names = try tree.names(in: folder, expecting: extensions.joined(separator: "/") + " files")
        let found = sorted(
            names.compactMap { name -> Named? in
                guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")),
                    extensions.contains(name[name.index(after: dot)...].lowercased()),
                    name[..<dot].hasSuffix(ending)
                else { return nil }
                return (String(name[..<dot].dropLast(ending.count)), join(folder, name))
            })
        for (a, b) in zip(found, found.dropFirst()) where a.stem == b.stem {
            throw UserError("\(a.path) and \(b.path) have the same name; remove one of them")
        }
        return found
    }

    private static func sorted(_ files: [Named]) -> [Named] {
        files.sorted { $0.stem.utf8.lexicographicallyPrecedes($1.stem.utf8) }
    }
}
