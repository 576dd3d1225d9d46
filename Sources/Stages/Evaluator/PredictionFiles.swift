import Basics
import Foundation

/// One image or video to predict, and the files that come of it.
struct PredictionFiles {
    enum Kind: Equatable {
        case image
        case video
    }

    let source: String
    let kind: Kind
    let overlay: String
    /// Of a video a folder of a map per frame; nil where none are asked for.
    let labels: String?
    let besides: String?

    /// All that is written but a video's label maps.
    var results: [String] { [overlay, labels, besides].compactMap { $0 } }

    /// Where they are written; a video's label maps in a folder of their own.
    var folders: [String] {
        let isVideo = kind == .video
        let parents = [overlay, besides, isVideo ? nil : labels].compactMap(\.self)
            .map { ($0 as NSString).deletingLastPathComponent }
        return parents + [isVideo ? labels : nil].compactMap(\.self)
    }

    private static let imageEndings = ["jpg", "jpeg", "png"]
    private static let videoEndings = [
        "3gp", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "ogv", "ts", "webm", "wmv",
    ]

    /// What is asked for, folders replaced by the images and videos in them, by name.
    ///
    /// - Throws: `UserError` where there is nothing to predict, two results would be written to the same file, or one of
    ///   the sources be overwritten.
    static func all(of options: PredictJob.Options) throws -> [PredictionFiles] {
        guard !options.images.isEmpty else { throw UserError("predict needs at least one image") }
        let found = try options.images.flatMap(expanded)
        let sources = Set(found.map { DurableFile.real($0) })
        let sourceFolders = Set(sources.map { ($0 as NSString).deletingLastPathComponent })
        var taken: [String: String] = [:]
        return try found.map { source in
            let name = ((source as NSString).lastPathComponent as NSString).deletingPathExtension
            let kind = kind(of: source)
            let ending = kind == .video ? "mp4" : "png"
            let files = PredictionFiles(
                source: source, kind: kind, overlay: "\(options.out)/\(name)-overlay.\(ending)",
                labels: options.labels.map { "\($0)/\(name)" + (kind == .video ? "" : ".png") },
                besides: options.sideBySide ? "\(options.out)/\(name)-side-by-side.\(ending)" : nil)
            for path in files.results {
                let real = DurableFile.real(path)
                if let other = taken.updateValue(source, forKey: real) {
                    throw UserError("\(other) and \(source) would both be written to \(path); predict them apart")
                }
                guard !sources.contains(real) else {
                    throw UserError("\(path) is one of the images and would be overwritten; name another folder")
                }
            }
            // Its frames' maps would have such names as frames have.
            if kind == .video, let folder = files.labels, sourceFolders.contains(DurableFile.real(folder)) {
                throw UserError("\(folder) holds images that might be overwritten; name another folder")
            }
            return files
        }
    }

    private static func kind(of path: String) -> Kind {
        videoEndings.contains((path as NSString).pathExtension.lowercased()) ? .video : .image
    }

    private static func expanded(_ path: String) throws -> [String] {
        // What is not there, or no image, is said when it is read.
        guard isFolder(path) else { return [path] }
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: path)
        } catch {
            throw UserError("\(path): cannot be read: \(systemWords(error))")
        }
        // Hidden ones are no images: `._1.jpg` is what a Mac keeps beside 1.jpg.
        let wanted = names.filter {
            !$0.hasPrefix(".") && (imageEndings + videoEndings).contains(($0 as NSString).pathExtension.lowercased())
        }
        guard !wanted.isEmpty else {
            throw UserError("\(path): holds no .jpg, .jpeg or .png image and no video")
        }
        return wanted.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }.map { path + "/" + $0 }
    }
}
