import Basics
import Foundation
import Imaging
import TestSupport
import Testing

@testable import Datasets

@Suite struct CityscapesScriptTests {
    /// Every label id occurs in the label maps, those that are ignored too, but one evaluated class neither in them nor in
    /// the predictions, and one in the predictions alone.
    @Test(.enabled(if: CityscapesScript.isThere, "the Python package cityscapesscripts is needed"))
    func numbersEqualThoseOfTheProjectsScript() throws {
        let folder = try TemporaryFolder("cityscapes")
        let ids = Submission.cityscapes.values
        let (absent, onlyPredicted) = (16, 14)  // train, truck
        var matrix = ConfusionMatrix(classes: 19)
        var random = KeyedRandom(seed: 19, purpose: "cityscapes")
        for (city, frame) in [("aachen", 19), ("aachen", 20), ("bochum", 19)] {
            let name = "\(city)_000000_0000\(frame)"
            let truth = labels(97, 41) { x, y in
                // Stripes of all ids, so that predictions can be mostly right.
                let id = UInt8((x + y / 7) % 34)
                return id == ids[absent] || id == ids[onlyPredicted] ? 0 : id
            }
            let prediction = labels(97, 41) { x, y in
                let right = ids.firstIndex(of: truth[x, y])
                if let right, random.below(4) > 0 { return UInt8(right) }
                let any = random.below(19)
                return UInt8(any == absent ? 0 : any)
            }
            for folders in ["gtFine/val/\(city)", "out"] {
                try FileManager.default.createDirectory(atPath: folder(folders), withIntermediateDirectories: true)
            }
            let sample = SampleFiles(
                id: 0, name: name, imagePath: "leftImg8bit/val/\(city)/\(name)_leftImg8bit.png", labelPath: nil)
            try ImageFile.write(PNG.encode(truth), to: folder("gtFine/val/\(city)/\(name)_gtFine_labelIds.png"))
            let submission = Submission.cityscapes
            try ImageFile.write(submission.encode(prediction), to: folder("out/" + submission.fileName(of: sample)))
            try matrix.accumulate(prediction: prediction, label: Cityscapes.labelIDMapping.apply(to: truth, file: name))
        }
        let theirs = try CityscapesScript.evaluate(folder("out"), against: folder.path)
        #expect(matrix.iou == theirs.classes)
        #expect(theirs.classes[absent] == nil && theirs.classes[onlyPredicted] == 0)
        let mean = try #require(matrix.meanIoU)
        #expect(abs(mean - theirs.mean) < 1e-14 && mean > 0.3 && mean < 0.9)
    }
}
