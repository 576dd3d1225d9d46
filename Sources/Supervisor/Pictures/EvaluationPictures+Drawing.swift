import Basics
import Datasets
import Imaging

extension EvaluationPictures {
    /// Longest side of a tile: an eye sees what is wrong, and a strip is some hundred kilobytes.
    static let side = 320

    /// Draws what was chosen, from the dataset's own files.
    ///
    /// - Throws: `UserError` that names a file which cannot be read.
    init(
        _ selection: [PictureSelection.Chosen], of samples: [SampleFiles], in index: DatasetIndex, step: UInt64,
        split: String
    )
        throws
    {
        self.step = step
        self.split = split
        let palette = index.palette
        pictures = try selection.map { chosen in
            let files = samples[chosen.image]
            let (image, label) = try Dataset.readSample(files, mapping: index.labelMapping)
            let small = image.thumbnail(side: Self.side)
            let truth = label.thumbnail(side: Self.side)
            let prediction = chosen.prediction.thumbnail(side: Self.side)
            let strip = Image.strip([
                small, truth.colored(with: palette), prediction.colored(with: palette),
                try small.errors(of: prediction, against: truth),
            ])
            return Picture(
                image: chosen.image, name: files.name, mIoU: chosen.mIoU, choices: chosen.choices, width: small.width,
                height: small.height,
                // Of several splits two images may have one name.
                file: "\(chosen.image.digits(6))-\(files.name).png",
                png: try PNG.encode(strip))
        }
    }
}
