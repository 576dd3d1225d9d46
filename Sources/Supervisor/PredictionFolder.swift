import Basics
import Datasets
import Foundation
import Imaging

/// Where an evaluation's predictions are written, as the dataset's test server wants them.
struct PredictionFolder {
    let path: String
    private let submission: Submission
    /// By the samples' places in the split.
    private let files: [String]

    /// Makes the folder.
    ///
    /// - Throws: `UserError` where two images would be written to one file, or something into a folder of the dataset's own
    ///   files, or where the folder cannot be made.
    init(_ path: String, for samples: [SampleFiles], of index: DatasetIndex) throws {
        self.path = path
        let submission = index.submission
        self.submission = submission
        let files = samples.map { path + "/" + submission.fileName(of: $0) }
        self.files = files
        var sources: [String: String] = [:]
        for file in index.files { sources[DurableFile.real(file)] = file }
        var taken: [String: String] = [:]
        for (file, sample) in zip(files, samples) {
            if let source = sources[DurableFile.real(file)] {
                throw UserError(
                    "\(path): the prediction of \(sample.imagePath) would overwrite \(source); name another folder")
            }
            if let other = taken.updateValue(sample.imagePath, forKey: file) {
                throw UserError("\(other) and \(sample.imagePath) would both be written to \(file)")
            }
        }
        let folders = files.map { ($0 as NSString).deletingLastPathComponent }
        if let folder = index.ownFolder(among: folders) {
            throw UserError("\(folder) holds images or label maps of the dataset; name another folder")
        }
        try DurableFile.makeFolder(path)
    }

    /// Writes one image's classes.
    ///
    /// - Throws: `UserError` that names the file or what is wrong with the classes.
    func write(_ labels: LabelMap, ofSample index: Int) throws {
        try ImageFile.write(submission.encode(labels), to: files[index])
    }
}
