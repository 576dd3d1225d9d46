import Basics
import Datasets
import Foundation
import TestSupport
import Testing

import StageKit
@testable import Supervisor

@Suite struct EvaluationReportTests {
    /// Class 0 right in 90 of 100 pixels, class 2 in 30 of 40; class 1 is neither labelled nor predicted.
    private func report(step: UInt64? = 400, images: Int = 40) throws -> EvaluationReport {
        let matrix = try ConfusionMatrix(classes: 3, counts: [90, 0, 10, 0, 0, 0, 10, 0, 30])
        return EvaluationReport(
            matrix, classes: ["sky", "person", "road sign"], split: "val", images: images, step: step)
    }

    @Test func tableIsAlignedAndNamesAbsentClasses() throws {
        #expect(
            try report().table == """
                val, 40 images, step 400

                class               IoU  accuracy
                ---------------------------------
                sky             81.82 %   90.00 %
                person           absent    absent
                road sign       60.00 %   75.00 %
                ---------------------------------
                mIoU            70.91 %
                mean accuracy             82.50 %
                pixel accuracy            85.71 %
                """)
    }

    @Test func jsonHasTheNamesThatProgramsRead() throws {
        #expect(
            try report().prettyJSON() == """
                {
                  "classes" : [
                    {
                      "iou" : 0.8181818181818182,
                      "name" : "sky"
                    },
                    {
                      "iou" : null,
                      "name" : "person"
                    },
                    {
                      "iou" : 0.6,
                      "name" : "road sign"
                    }
                  ],
                  "confusion" : [
                    [
                      90,
                      0,
                      10
                    ],
                    [
                      0,
                      0,
                      0
                    ],
                    [
                      10,
                      0,
                      30
                    ]
                  ],
                  "images" : 40,
                  "mIoU" : 0.7090909090909091,
                  "meanAccuracy" : 0.825,
                  "pixelAccuracy" : 0.8571428571428571,
                  "split" : "val",
                  "step" : 400
                }
                """)
    }

    @Test func splitWithoutLabelsHasNoNumbersAndSaysSo() throws {
        let report = EvaluationReport(
            nil, classes: ["sky", "person"], split: "test", images: 3, step: 7, written: "out")
        #expect(
            report.table == """
                test, 3 images, step 7

                The split has no label maps, so there is no mIoU: only its keepers can measure it.

                3 label maps written to out
                """)
        let json = try report.prettyJSON()
        #expect(json.contains("\"mIoU\" : null") && json.contains("\"written\" : \"out\""))
    }

    @Test func unknownStepIsLeftOut() throws {
        let report = try report(step: nil, images: 1)
        let json = try report.prettyJSON()
        #expect(!json.contains("step"))
        #expect(report.table.hasPrefix("val, 1 image\n"))
    }

    @Test func classPredictedButNotLabelledCountsInTheMean() throws {
        let matrix = try ConfusionMatrix(classes: 2, counts: [3, 1, 0, 0])
        let report = EvaluationReport(matrix, classes: ["a", "b"], split: "val", images: 1, step: nil)
        #expect(report.classes[1].iou == 0)
        #expect(report.accuracy(of: 1) == nil)
        #expect(report.mIoU == 0.375)
    }

    @Test func nothingCountedIsSaidSo() throws {
        let report = EvaluationReport(ConfusionMatrix(classes: 1), classes: ["a"], split: "val", images: 1, step: nil)
        #expect(report.table.contains("mIoU            absent"))
        #expect(try report.prettyJSON().contains("\"mIoU\" : null"))
    }

    @Test func whatIsSavedInTheRunIsReadBack() throws {
        let folder = try TemporaryFolder("report")
        #expect(EvaluationReport.newest(inRun: folder.path) == nil)
        let report = try report()
        try report.save(inRun: folder.path)
        #expect(try folder.read("evaluation.json") == report.prettyJSON() + "\n")
        #expect(EvaluationReport.newest(inRun: folder.path) == report)
        // Absent means, and what is not there.
        let unmeasured = EvaluationReport(nil, classes: ["sky"], split: "test", images: 3, step: nil, written: "out")
        try unmeasured.save(inRun: folder.path)
        #expect(EvaluationReport.newest(inRun: folder.path) == unmeasured)
    }

    // MARK: Which checkpoint

    @Test func checkpointsAreChosenByStepOrFolder() throws {
        let folder = try TemporaryFolder("choice")
        #expect(throws: (any Error).self) { try Checkpoint.chosen(nil, inRun: folder.path) }
        for (step, complete) in [(100, true), (200, true), (300, false)] {
            let path = "checkpoints/step-000\(step)"
            try FileManager.default.createDirectory(atPath: folder(path), withIntermediateDirectories: true)
            try folder.write("", to: path + "/model.safetensors")
            if complete { try folder.write("{\"step\": \(step)}", to: path + "/manifest.json") }
        }
        func chosen(_ choice: String?) -> String {
            do { return try Checkpoint.chosen(choice, inRun: folder.path) } catch { return "\(error)" }
        }
        #expect(chosen(nil) == folder("checkpoints/step-000200"))
        #expect(chosen("100") == folder("checkpoints/step-000100"))
        #expect(chosen("step-000100") == folder("checkpoints/step-000100"))
        #expect(chosen(folder("checkpoints/step-000100")) == folder("checkpoints/step-000100"))
        #expect(chosen("300").hasSuffix("no complete checkpoint of step 300; those there are: 100, 200"))
        #expect(chosen("elsewhere").hasPrefix("elsewhere: is no checkpoint"))
        #expect(Checkpoint.step(ofFolder: folder("checkpoints/step-000200")) == 200)
        #expect(Checkpoint.step(ofFolder: folder("checkpoints/step-000300")) == nil)
    }
}
