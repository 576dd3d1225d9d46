import Basics
import Foundation
import TestSupport
import Testing

@testable import Supervisor

@Suite struct SweepTests {
    private let folder = try! TemporaryFolder("sweep")

    private func recipe(_ name: String, _ more: String = "") throws -> String {
        try folder.write("dataset: {kind: camvid, root: data}\nseed: 7\n" + more, to: "\(name).yaml")
        return folder("\(name).yaml")
    }

    @Test func allCombinationsWithEachSeed() throws {
        let plan = try SweepPlan(
            recipes: [recipe("pico")],
            over: ["sampler.strategy=random,hardest", "augmentation.crop=[48, 64],[96, 128]"], seeds: 2,
            overrides: ["schedule.iterations=5"])
        #expect(
            plan.variants.map(\.name) == [
                "strategy=random crop=[48, 64]", "strategy=random crop=[96, 128]", "strategy=hardest crop=[48, 64]",
                "strategy=hardest crop=[96, 128]",
            ])
        #expect(plan.cells.map(\.seed) == [0, 0, 0, 0, 1, 1, 1, 1])
        #expect(plan.cells[1].name == "strategy=random-crop=-96--128--seed-0")
        let last = plan.cells[7].recipe
        #expect(last.seed == 1 && last.sampler.strategy == .hardest && last.augmentation.crop == [96, 128])
        #expect(last.schedule.iterations == 5)
    }

    @Test func severalRecipesAreVariants() throws {
        let recipes = [try recipe("ce", "contrast: {enabled: false}\n"), try recipe("pico")]
        let plan = try SweepPlan(recipes: recipes, over: [], seeds: 1, overrides: [])
        #expect(plan.cells.map(\.name) == ["ce-seed-0", "pico-seed-0"])
        #expect(plan.cells.map(\.recipe.contrast.enabled) == [false, true])
        #expect(plan.cells.map(\.recipe.seed) == [0, 0])
        let one = try SweepPlan(recipes: [recipes[1]], over: ["model.width=0.5,1"], seeds: 1, overrides: [])
        #expect(one.variants.map(\.name) == ["width=0.5", "width=1"])
        let alike = try SweepPlan(
            recipes: [recipes[1]],
            over: ["contrast.enabled=false,true", "synthesis.enabled=true", "sampler.strategy=random"], seeds: 1,
            overrides: [])
        #expect(
            alike.variants.map(\.name) == [
                "contrast.enabled=false synthesis.enabled=true strategy=random",
                "contrast.enabled=true synthesis.enabled=true strategy=random",
            ])
    }

    @Test(arguments: [
        ("sampler.strategy", "KEY=VALUE,VALUE"), ("seed=1,2", "--seeds"), ("model.width=1,", "a value is empty"),
        ("model.width=1,1", "twice"), ("model.widht=1,2", "did you mean 'model.width'?"),
        ("model.width=1,wide", "'model.width' must be"),
    ])
    func wrongAxesAreNamed(axis: String, reason: String) throws {
        let path = try recipe("pico")
        let error = #expect(throws: UserError.self) {
            try SweepPlan(recipes: [path], over: [axis], seeds: 1, overrides: [])
        }
        #expect("\(error!)".contains(reason), "\(error!)")
        #expect(throws: UserError.self) { try SweepPlan(recipes: [path], over: [], seeds: 0, overrides: []) }
        let seed = #expect(throws: UserError.self) {
            try SweepPlan(recipes: [path], over: [], seeds: 2, overrides: ["seed=7"])
        }
        #expect(seed?.description.contains("--seeds says how many") == true)
        let twice = #expect(throws: UserError.self) {
            try SweepPlan(recipes: [path], over: ["model.width=1,2", "model.width=3"], seeds: 1, overrides: [])
        }
        #expect(twice?.description.hasPrefix("--over model.width: stands there twice") == true)
        // Two folders of one name would be one run.
        try FileManager.default.createDirectory(atPath: folder("other"), withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: path, toPath: folder("other/pico.yaml"))
        #expect(throws: UserError.self) {
            try SweepPlan(recipes: [path, folder("other/pico.yaml")], over: [], seeds: 1, overrides: [])
        }
    }

    @Test func spreadsLeaveOutWhatIsNotThere() {
        #expect(Spread([]).text == "–" && Spread([nil]).text == "–")
        #expect(Spread([0.25, nil]).text == "25.00")
        // 1, 2, 4: mean 7/3, deviation sqrt((16 + 1 + 25) / 9 / 2).
        #expect(Spread([0.01, 0.02, 0.04]).text == "2.33 ± 1.53")
        #expect(Spread([0.01, 0.02, 0.04]).signed == "+2.33 ± 1.53")
    }

    @Test func classesOfSeveralDatasetsAreTakenByName() throws {
        let recipes = [try recipe("one"), try recipe("other")]
        let plan = try SweepPlan(recipes: recipes, over: [], seeds: 1, overrides: [])
        let results = [[("road", 0.1), ("car", 0.2)], [("sky", 0.3), ("road", 0.4)]].enumerated().map { variant, iou in
            SweepResult(
                variant: variant, seed: 0,
                evaluation: EvaluationReport(
                    split: "val", images: 1, classes: iou.map { .init(name: $0.0, iou: $0.1) }, mIoU: 0.5),
                seconds: 1)
        }
        let table = SweepTable(plan, results)
        #expect(
            table.markdown.hasSuffix("| road | 10.00 | 40.00 |\n| car | 20.00 | – |\n| sky | – | 30.00 |"),
            "\(table.markdown)")
        #expect(
            table.runsCSV.split(separator: "\n").map { String($0.suffix(12)) }.dropFirst() == [
                "1.0,0.1,0.2,", "1.0,0.4,,0.3",
            ])
    }

    @Test func tablesCompareSeedBySeed() throws {
        let recipes = [try recipe("ce"), try recipe("a,b")]
        let plan = try SweepPlan(recipes: recipes, over: [], seeds: 2, overrides: [])
        func result(_ variant: Int, _ seed: Int, _ iou: Double, _ car: Double?) -> SweepResult {
            SweepResult(
                variant: variant, seed: seed,
                evaluation: EvaluationReport(
                    split: "val", images: 1,
                    classes: [.init(name: "road", iou: iou), .init(name: "car", iou: car)], mIoU: iou,
                    pixelAccuracy: 0.5),
                seconds: 61)
        }
        var results = [result(0, 0, 0.20, nil), result(1, 0, 0.23, 0.5), result(0, 1, 0.30, nil)]
        let partial = SweepTable(plan, results).markdown
        #expect(partial.hasPrefix("Partial: 3 of 4 runs have finished.\n"))
        results.append(result(1, 1, 0.31, nil))
        let table = SweepTable(plan, results)
        #expect(
            table.markdown == """
                | variant | runs | mIoU | mIoU against ce, seed by seed | pixel accuracy | mean accuracy | training time |
                |---|---|---|---|---|---|---|
                | ce | 2 | 25.00 ± 7.07 |  | 50.00 ± 0.00 | – | 1 min 01 s |
                | a,b | 2 | 27.00 ± 5.66 | +2.00 ± 1.41 | 50.00 ± 0.00 | – | 1 min 01 s |

                | IoU | ce | a,b |
                |---|---|---|
                | road | 25.00 ± 7.07 | 27.00 ± 5.66 |
                | car | – | 50.00 |
                """)
        let lines = table.csv.split(separator: "\n")
        let columns = "mIoU,pixelAccuracy,meanAccuracy,seconds,IoU road,IoU car"
        #expect(
            lines[0] == "variant,runs,"
                + columns.split(separator: ",").map { "\($0),\($0) deviation" }.joined(separator: ","))
        let cells = lines[2].split(separator: ",", omittingEmptySubsequences: false).dropFirst(3).map { Double($0) }
        let expected: [Double?] = [0.27, 0.0566, 0.5, 0, nil, nil, 61, 0, 0.27, 0.0566, 0.5, nil]
        #expect(lines[2].hasPrefix("\"a,b\",2,") && cells.count == expected.count)
        for (cell, value) in zip(cells, expected) {
            #expect((cell == nil) == (value == nil) && abs((cell ?? 0) - (value ?? 0)) < 1e-4, "\(lines[2])")
        }
        #expect(table.runsCSV.split(separator: "\n").last == "\"a,b\",1,0.31,0.5,,61.0,0.31,")
    }
}
