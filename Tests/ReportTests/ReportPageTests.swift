import Basics
import Configuration
import Foundation
import StageKit
import TestSupport
import Testing
import Wire

@testable import Report
@testable import Supervisor

/// Pages on run directories that the test writes.
@Suite struct ReportPageTests {
    private let folder = try! TemporaryFolder("report")

    /// A run directory; what is not given is not there.
    @discardableResult
    private func run(
        _ name: String, recipe: (inout Recipe) -> Void = { _ in }, journal: [JournalEntry] = [],
        steps: [StepMetrics] = [], evaluation: String? = nil, classes: [String]? = nil
    ) throws -> String {
        let path = folder(name)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        var settings = Recipe()
        settings.dataset.root = "/data"
        recipe(&settings)
        try folder.write(settings.yaml(), to: name + "/recipe.yaml")
        try folder.write("stages: {}\n", to: name + "/topology.yaml")
        let lines = try journal.map { String(decoding: try $0.wireJSON(), as: UTF8.self) + "\n" }
        try folder.write(lines.joined(), to: name + "/journal.jsonl")
        if !steps.isEmpty {
            let lines = try steps.map { String(decoding: try $0.wireJSON(), as: UTF8.self) + "\n" }
            try folder.write(lines.joined(), to: name + "/metrics.jsonl")
        }
        if let evaluation { try folder.write(evaluation, to: name + "/evaluation.json") }
        if let classes {
            try DatasetSummary(classes: classes, palette: classes.map { _ in [1, 2, 3] }, images: 5).write(
                to: path + "/dataset.json")
        }
        return path
    }

    private let began = JournalEntry.epoch(
        .init(epoch: Epoch(1), time: "2026-03-04T05:06:07.890Z", from: nil, computeThreads: 2))

    private func page(_ paths: String...) throws -> String {
        let html = try ReportPage(runs: paths).html
        #expect(unbalanced(html) == nil)
        return html
    }

    /// The first tag that is closed wrongly or never.
    private func unbalanced(_ html: String) -> String? {
        let void: Set<String> = ["meta", "br"]
        var open: [String] = []
        var rest = html[...]
        // What is within them is no HTML.
        for raw in ["script", "style"] {
            while let start = rest.range(of: "<\(raw)>"), let end = rest.range(of: "</\(raw)>") {
                rest.removeSubrange(start.lowerBound..<end.upperBound)
            }
        }
        while let start = rest.firstIndex(of: "<") {
            guard let end = rest[start...].firstIndex(of: ">") else { return String(rest[start...].prefix(40)) }
            let tag = rest[rest.index(after: start)..<end]
            rest = rest[rest.index(after: end)...]
            let name = tag.drop { $0 == "/" }.prefix { $0.isLetter || $0.isNumber }.lowercased()
            if tag.hasPrefix("!") || void.contains(name) || tag.hasSuffix("/") { continue }
            if tag.hasPrefix("/") {
                guard open.popLast() == name else { return String(tag) }
            } else {
                open.append(name)
            }
        }
        return open.last
    }

    @Test func stateOfARunIsSaidWithWhatToDo() throws {
        let cases: [(String, [JournalEntry], String)] = [
            ("none", [], ">not started<"), ("cut", [began], ">cut off<"),
            ("done", [began, .ended("finished at step 3")], ">finished<"),
            ("held", [began, .ended("stopped, checkpoint of step 2 in x")], ">stopped<"),
            (
                "bad", [began, .ended("failed: loader-1: <no> image & no label")],
                "loader-1: &lt;no&gt; image &amp; no label"
            ),
            ("again", [began, .ended("failed: x"), began], ">cut off<"),
        ]
        for (name, journal, text) in cases {
            let html = try page(run(name, journal: journal))
            #expect(html.contains(text), "\(name)")
            #expect(html.contains("No step has been trained") && html.contains("No evaluation has been made"))
            #expect(html.contains("picoflow launch --resume") == !["none", "done"].contains(name), "\(name)")
        }
    }

    @Test func classesAndConfusionAreThoseOfTheNewestEvaluation() throws {
        // Labelled 80 road, 20 sky; 10 road taken for sky; 'car' is absent.
        let json = """
            {"split": "val", "images": 3, "step": 9, "mIoU": 0.77, "pixelAccuracy": 0.9, "meanAccuracy": 0.9375,
             "classes": [{"name": "road", "iou": 0.875}, {"name": "sky", "iou": 0.6667}, {"name": "car", "iou": null}],
             "confusion": [[70, 10, 0], [0, 20, 0], [0, 0, 0]]}
            """
        let path = try run("a", journal: [began], evaluation: json, classes: ["road", "sky", "car"])
        let html = try page(path)
        for text in [
            "mIoU on val at step 9", "87.5 %", "66.7 %", "absent", "80.0 %", "sky <small>12.5 %</small>",
            "road taken for sky: 12.5 %", "road taken for sky <small>10.0 % of all pixels",
        ] { #expect(html.contains(text), "\(text)") }
        // A record without a matrix, as earlier versions wrote them, has its IoUs.
        let old = try page(
            run("b", journal: [began], evaluation: json.replacingOccurrences(of: "confusion", with: "other")))
        #expect(old.contains("87.5 %") && !old.contains("<svg class=matrix"))
    }

    @Test func runsAreComparedByNameAndByTheirRecipes() throws {
        func evaluation(_ iou: Double) -> String {
            #"{"split": "val", "images": 3, "step": 9, "mIoU": \#(iou), "classes": [{"name": "road", "iou": \#(iou)}]}"#
        }
        let first = try run("x/run", journal: [began], evaluation: evaluation(0.25))
        let second = try run("y/run", recipe: { $0.seed = 7 }, journal: [began], evaluation: evaluation(0.5))
        let third = try run("z", journal: [began])
        let html = try page(first, second, third)
        #expect(html.contains("3 runs compared"))
        #expect(html.contains("\(first)</span>") && html.contains("\(second)</span>"), "two folders have one name")
        #expect(
            html.contains("<code>seed</code>")
                && !html.contains("<code>schedule.lr</code></th><td class=text><code>0.01</code></td><td"))
        #expect(html.contains("class=\"bar best\" style=\"--v:0.500\""))
        #expect(html.contains("not evaluated"))
        let same = try page(first, first)
        #expect(same.contains("The runs have one and the same recipe."))
    }

    @Test func curvesFollowTheStepsAndLeaveOutWhatIsNoNumber() throws {
        let steps = (1...1000 as ClosedRange<UInt64>).map {
            StepMetrics(step: $0, lr: 0.1, ce: $0 == 500 ? .nan : Double($0), imagesPerSecond: 4)
        }
        let html = try page(run("curves", journal: [began], steps: steps))
        #expect(!html.contains("nan") && html.contains("<b>cross-entropy</b>"))
        #expect(!html.contains("<b>contrastive loss</b>"), "a run by cross-entropy has none")
        let curve = Curve("ce", color: 0, steps.map { ($0.step, $0.ce) })
        #expect(curve.points.count <= Curve.limit)
        #expect(curve.points.last?.step == 1000 && curve.points.first?.low == 1)
        for point in curve.points { #expect(point.low <= point.mean && point.mean <= point.high) }
    }

    @Test func axesHaveRoundMarksThatEncloseTheValues() {
        var random = KeyedRandom(seed: 1, purpose: "axes")
        for _ in 0..<500 {
            let low = Double(random.uniform(-5, 5)) * Foundation.pow(10, Double(random.below(9) - 4))
            let high = low + Double(random.uniform(0.01, 5)) * Foundation.pow(10, Double(random.below(9) - 4))
            let marks = CurvePlot.nice(low, high, about: 4)
            #expect(marks.count >= 2 && marks.count <= 8, "\(low) to \(high): \(marks)")
            let slack = (high - low) * 1e-6
            #expect(marks.first! <= low + slack && marks.last! >= high - slack, "\(low) to \(high): \(marks)")
        }
        #expect(CurvePlot.nice(1, 1, about: 4).isEmpty && CurvePlot.nice(.nan, 1, about: 4).isEmpty)
    }

    @Test func numbersAreWrittenForReaders() {
        #expect(
            [0, 0.0412, 0.5, 12.345, 1024, 0.00003].map(HTMLText.number) == [
                "0", "0.0412", "0.5", "12.35", "1,024", "3e-05",
            ])
        #expect(HTMLText.grouped(-1_234_567) == "-1,234,567")
        #expect(HTMLText.percent(nil) == "absent" && HTMLText.percent(0.4127) == "41.3 %")
        #expect(HTMLText.escape("<a href='x'>&\"") == "&lt;a href=&#39;x&#39;&gt;&amp;&quot;")
        // A quotation mark with a circumflex ends an attribute like one without.
        #expect(HTMLText.escape("x\"\u{302} y") == "x&quot;\u{302} y")
    }
}
