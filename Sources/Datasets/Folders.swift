import Basics
import Foundation

/// Listing of image folders.
enum Folders {
    static let imageExtensions = ["jpg", "jpeg", "png"]
    static let labelExtensions = ["png"]

    static func exists(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }

    static func join(_ folder: String, _ name: String) -> String {
        if name.hasPrefix("/") || folder.isEmpty { return name }
        return folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }

    /// Pairs images and label maps by their names without extension; hidden and other files are passed over.
    ///
    /// - Throws: `UserError` where a folder cannot be listed, or two images differ only in their extension.
    static func pair(split: String, images: String, labels: String?) throws -> SplitListing {
        let imageFiles = try files(in: images, extensions: imageExtensions)
        let labelFiles = try labels.map { try files(in: $0, extensions: labelExtensions) }
        var listing = SplitListing(
            name: split, imageFolder: images, labelFolder: labels, samples: [], imagesWithoutLabels: [],
            labelsWithoutImages: [])
        var labelOf: [String: String] = [:]  // looked up only, never iterated
        for (stem, path) in labelFiles ?? [] { labelOf[stem] = path }
        for (stem, path) in imageFiles {
            let label = labelOf[stem]
            if labelFiles != nil && label == nil {
                listing.imagesWithoutLabels.append(path)
            } else {
                listing.samples.append(
                    SampleFiles(id: listing.samples.count, name: stem, imagePath: path, labelPath: label))
            }
        }
        let stems = Set(imageFiles.map(\.stem))
        listing.labelsWithoutImages = (labelFiles ?? []).filter { !stems.contains($0.stem) }.map(\.path)
        return listing
    }

    private static func files(in folder: String, extensions: [String]) throws -> [(stem: String, path: String)] {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            throw UserError(
                "\(folder): cannot be listed; a folder of \(extensions.joined(separator: "/")) files is expected")
        }
        let found = names.compactMap { name -> (stem: String, path: String)? in
            guard !name.hasPrefix("."), let dot = name.lastIndex(of: "."),
                extensions.contains(name[name.index(after: dot)...].lowercased())
            else { return nil }
            return (String(name[..<dot]), join(folder, name))
        }
        .sorted { $0.stem.utf8.lexicographicallyPrecedes($1.stem.utf8) }
        for (a, b) in zip(found, found.dropFirst()) where a.stem == b.stem {
            throw UserError("\(a.path) and \(b.path) have the same name; remove one of them")
        }
        return found
    }
}
