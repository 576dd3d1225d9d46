import Foundation

/// The Cityscapes project's own evaluation, in the Python of the PATH: `evalPixelLevelSemanticLabeling` of cityscapesscripts.
public enum CityscapesScript {
    public struct Result: Decodable {
        /// IoU by train id; nil where the script has no number.
        public var classes: [Double?]
        public var mean: Double
    }

    public static let isThere = Python.has("cityscapesscripts")

    /// - Parameters:
    ///   - dataset: holds `gtFine/val/CITY/*_gtFine_labelIds.png`.
    ///   - results: holds a prediction per label map, found as their server finds it.
    public static func evaluate(_ results: String, against dataset: String) throws -> Result {
        let output = try Python.run(
            ["-c", script], environment: ["CITYSCAPES_DATASET": dataset, "CITYSCAPES_RESULTS": results])
        return try JSONDecoder().decode(Result.self, from: Data(output.utf8))
    }

    private static let script = """
        import glob, json, math
        from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as evaluation
        from cityscapesscripts.helpers.labels import trainId2label
        args = evaluation.args
        args.evalInstLevelScore, args.quiet, args.JSONOutput = False, True, False
        truths = sorted(glob.glob(args.groundTruthSearch))
        found = evaluation.evaluateImgLists([evaluation.getPrediction(args, truth) for truth in truths], truths, args)
        def number(value): return None if math.isnan(value) else value
        print(json.dumps({
            "classes": [number(found["classScores"][trainId2label[i].name]) for i in range(19)],
            "mean": number(found["averageScoreClasses"])}))
        """
}
