import Basics
import CStatFS
import Configuration
import Foundation
import Imaging

/// Listings of large datasets, kept from one process to the next.
///
/// Loaders and evaluators, each in its own process, begin by listing the dataset; of tens of thousands of files on a file share
/// that takes a while. The first to do it leaves a file under the user's cache folder, never in the dataset's, which may be
/// read-only. The file says what was looked at (`DatasetTree`), so a folder or list that has changed since is noticed by its
/// times, and the dataset is listed anew. A file that is damaged, or of another version, is as good as none; so is a cache folder
/// that cannot be written.
public struct IndexCache: Sendable {
    private let folder: String
    /// Smaller datasets are not kept: they are listed as quickly as a cache is read.
    private let fewest: Int

    /// `$XDG_CACHE_HOME/picoflow`, or `.cache/picoflow` in the home folder; nil where the environment names neither.
    public static let standard: IndexCache? = {
        let environment = ProcessInfo.processInfo.environment
        if let cache = environment["XDG_CACHE_HOME"], cache.hasPrefix("/") { return IndexCache(cache + "/picoflow") }
        guard let home = environment["HOME"], home.hasPrefix("/") else { return nil }
        return IndexCache(home + "/.cache/picoflow")
    }()

    public init(_ folder: String, fewest: Int = 1000) {
        self.folder = folder
        self.fewest = fewest
    }

    /// File systems' clocks are as coarse as two seconds (FAT's; NFS's and ext4's are finer): a change so soon after the look
    /// could leave the times as they were seen.
    private static let settled: TimeInterval = 2

    /// The listing that was kept for these settings, if what it was made from is still the same.
    func index(of settings: DatasetSettings) -> DatasetIndex? {
        guard let data = FileManager.default.contents(atPath: path(for: settings)) else { return nil }
        return KeptIndex.read(data, of: settings)
    }

    /// Keeps a listing; what stands in its way is no error, as nothing depends on it.
    ///
    /// - Parameters:
    ///   - witnesses: all that the reader looked at.
    ///   - began: when it began to look.
    func keep(
        _ index: DatasetIndex, of settings: DatasetSettings, seen witnesses: [DatasetTree.Witness], at began: Date
    ) {
        guard index.splits.reduce(0, { $0 + $1.samples.count }) >= fewest else { return }
        let latest = Int64((began.timeIntervalSince1970 - Self.settled) * 1e9)
        let isSettled = witnesses.allSatisfy { witness in
            witness.stamp.map { max($0.modified, $0.changed) < latest } ?? true
        }
        guard isSettled, !witnesses.contains(where: { Self.isFUSE($0.path) }),
            let bytes = KeptIndex.bytes(of: index, settings, witnesses)
        else { return }
        let aside = "\(folder)/\(UUID().uuidString).partial"
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try bytes.write(to: URL(fileURLWithPath: aside))
            guard rename(aside, path(for: settings)) == 0 else { throw DurableFile.systemError("cannot rename", aside) }
        } catch {
            unlink(aside)
        }
    }

    /// Whether a path leads through FUSE, whose clients of object stores make up a folder's times: no change shows there.
    private static func isFUSE(_ path: String) -> Bool {
        var system = statfs()
        return statfs(path, &system) == 0 && system.f_type == 0x6573_5546
    }

    /// One file per dataset, so a changed one replaces the former.
    private func path(for settings: DatasetSettings) -> String {
        "\(folder)/index-\(SHA256.hex(KeptIndex.key(of: settings).joined(separator: "\0")).prefix(32))"
    }
}

/// The file: a line with the version, a line with the SHA-256 of the rest, and the rest: the head's length (8 bytes, little
/// endian), the head as JSON, and of each sample its name, the rest of its image's path and, where the split has labels, the
/// rest of its label map's path, each ended by a zero byte.
struct KeptIndex: Codable {
    /// Counted up with every change of what a reader accepts or makes of a dataset: a kept listing does not meet the reader.
    private static let version = "picoflow dataset index 4\n"

    struct Split: Codable {
        var name: String
        var imageFolder: String
        var labelFolder: String?
        var samples: Int
    }

    var key: [String]
    var witnesses: [DatasetTree.Witness]
    var root: String
    var classes: [ClassInfo]
    var mapping: LabelMapping
    var splits: [Split]

    /// What a listing depends on besides the files. A relative path means another dataset in another working directory.
    static func key(of settings: DatasetSettings) -> [String] {
        let paths = [settings.root, settings.description ?? ""]
        let isAbsolute = paths.allSatisfy { $0.isEmpty || $0.hasPrefix("/") }
        return [settings.kind.rawValue] + paths + [isAbsolute ? "" : FileManager.default.currentDirectoryPath]
    }

    /// - Returns: nil for a listing with orphans, which is about to be mended.
    static func bytes(
        of index: DatasetIndex, _ settings: DatasetSettings, _ witnesses: [DatasetTree.Witness]
    ) -> Data? {
        guard index.splits.allSatisfy({ $0.imagesWithoutLabels.isEmpty && $0.labelsWithoutImages.isEmpty }) else {
            return nil
        }
        let head = KeptIndex(
            key: key(of: settings), witnesses: witnesses, root: index.root, classes: index.classes,
            mapping: index.labelMapping,
            splits: index.splits.map {
                Split(
                    name: $0.name, imageFolder: $0.imageFolder, labelFolder: $0.labelFolder, samples: $0.samples.count)
            })
        guard let json = try? JSONEncoder().encode(head) else { return nil }
        var body = Data()
        withUnsafeBytes(of: UInt64(json.count).littleEndian) { body.append(contentsOf: $0) }
        body.append(json)
        func append(_ text: Substring) {
            body.append(contentsOf: text.utf8)
            body.append(0)
        }
        for split in index.splits {
            for sample in split.samples {
                append(Substring(sample.name))
                guard sample.imagePath.hasPrefix(split.imageFolder) else { return nil }
                append(sample.imagePath.dropFirst(split.imageFolder.count))
                guard let labelFolder = split.labelFolder else { continue }
                guard let label = sample.labelPath, label.hasPrefix(labelFolder) else { return nil }
                append(label.dropFirst(labelFolder.count))
            }
        }
        return Data((version + digest(of: body) + "\n").utf8) + body
    }

    /// - Returns: nil for what is no whole file of this version, is of other settings, or of files that have changed since.
    static func read(_ data: Data, of settings: DatasetSettings) -> DatasetIndex? {
        let intro = version.utf8.count + 65
        guard data.count > intro + 8, data.prefix(version.utf8.count) == Data(version.utf8) else { return nil }
        let body = data.dropFirst(intro)
        guard data[data.startIndex + version.utf8.count..<body.startIndex - 1] == Data(digest(of: body).utf8) else {
            return nil
        }
        let length = body.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard let length = Int(exactly: length), length <= body.count - 8,
            let head = try? JSONDecoder().decode(KeptIndex.self, from: body.dropFirst(8).prefix(length)),
            head.key == key(of: settings), head.witnesses.allSatisfy(\.stillHolds)
        else { return nil }
        let texts = body.dropFirst(8 + length).withUnsafeBytes { bytes in
            bytes.split(separator: 0, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
        }
        var next = texts.makeIterator()
        var splits: [SplitListing] = []
        for split in head.splits {
            var listing = SplitListing(
                name: split.name, imageFolder: split.imageFolder, labelFolder: split.labelFolder, samples: [],
                imagesWithoutLabels: [], labelsWithoutImages: [])
            listing.samples.reserveCapacity(split.samples)
            for id in 0..<split.samples {
                guard let name = next.next(), let image = next.next() else { return nil }
                var label: String?
                if let folder = split.labelFolder {
                    guard let rest = next.next() else { return nil }
                    label = folder + rest
                }
                listing.samples.append(
                    SampleFiles(id: id, name: name, imagePath: split.imageFolder + image, labelPath: label))
            }
            splits.append(listing)
        }
        return DatasetIndex(
            kind: settings.kind, root: head.root, classes: head.classes, labelMapping: head.mapping, splits: splits)
    }

    private static func digest(of body: Data) -> String { body.withUnsafeBytes { SHA256.hex($0) } }
}
