import Foundation
import Tensors
import Testing

/// Every case of the parity kit that this target can judge: the networks that exist, and the fill formula itself.
@Suite("Parity", .serialized) struct ParityTests {
    /// Cases that are no networks; other suites read them.
    static let elsewhere = [
        "contrast_loss": "Contrast's tests", "contrast_reference": "Contrast's tests", "optim": "NN's tests",
        "miou": "Datasets' tests",
    ]

    @Test(arguments: ParityFolder.cases ?? []) func parity(_ name: String) throws {
        let data = try ParityFolder.data(name)
        if name == "fill" { return try checkFill(data) }
        if let suite = Self.elsewhere[name] { return print("parity \(name): not a network; see \(suite)") }
        if name == "maskformer_loss" { return try checkMaskFormerLoss(data) }
        guard try ParityFolder.decode(Kind.self, from: data).state != nil else {
            Issue.record("parity \(name): neither a network nor known")
            return
        }
        let parity = try ParityFolder.decode(ParityCase.self, from: data)
        try #require(try ParityModels.make(parity) != nil, "parity \(name): no such network")
        var check = ParityCheck(parity)
        try check.run()
        print(check.summary)
        #expect(check.failures.isEmpty, "\(name): \(check.failures.prefix(8).joined(separator: "; "))")
    }

    @Test func parityFolderIsThereOrSaidToBeMissing() {
        guard let cases = ParityFolder.cases else {
            return print("parity: skipped, no folder \(ParityFolder.path); PICOFLOW_PARITY_DIR names another")
        }
        #expect(!cases.isEmpty, "\(ParityFolder.path) holds no case")
    }

    /// Only a network's case has a state.
    private struct Kind: Decodable { var state: [ParityCase.StateEntry]? }

    private func checkFill(_ data: Data) throws {
        struct Fill: Decodable {
            struct Entry: Decodable {
                var name: String
                var shape: [Int]
                var value: [Double]
                var last: Double
                var sum: Double
            }
            var tensors: [Entry]
        }
        for entry in try ParityFolder.decode(Fill.self, from: data).tensors {
            let values =
                entry.name == "input"
                ? ParityFormula.input(entry.name, shape: entry.shape)
                : ParityFormula.values(entry.name, shape: entry.shape)
            for (found, expected) in zip(values, entry.value) { #expect(Double(found) == expected, "\(entry.name)") }
            #expect(Double(values[values.count - 1]) == entry.last, "\(entry.name)")
            let sum = values.reduce(0.0) { $0 + Double($1) }
            // Another order of additions in float64.
            #expect(abs(sum - entry.sum) <= 1e-9 * Double(values.count), "\(entry.name)")
        }
    }
}

/// The suite's own tools, without the kit.
struct ParityToolsTests {
    /// Worked values from the kit's README, to the 10 digits printed there.
    @Test func formulaGivesTheWorkedValues() {
        let input = ParityFormula.input("input", shape: [1, 3, 2, 2])
        #expect(near(input, [-1.6087267399, 0.6094415188, -1.185503006], last: -0.0396838188))
        let cases: [(String, [Int], [Double], Double)] = [
            ("conv1.weight", [64, 3, 7, 7], [0.0081451125, 0.0443011075, -0.0862088054], -0.0542581901),
            ("layer1.0.conv1.weight", [64, 64, 1, 1], [0.1810775846, 0.0388258472, 0.1859224439], -0.1365780383),
            ("blocks.0.0.conv_dw.weight", [32, 1, 3, 3], [0.8046056032, 0.9845991135, 0.9711800814], 0.2069351673),
            ("fc.weight", [1000, 512], [-0.0023506247, 0.0569919161, 0.0372819938], -0.0380796716),
            ("fc.bias", [1000], [-0.0044697402, -0.0038536428, -0.0439873934], -0.0336189754),
            ("bn1.weight", [64], [0.9301019907, 1.162204504, 1.0345939398], 0.9922562242),
            ("bn1.running_mean", [64], [0.0468899831, 0.0201237313, 0.0084194895], -0.0715202466),
            ("bn1.running_var", [64], [1.07115376, 1.143376708, 1.2353894711], 1.1281403303),
            ("pos_embed", [1, 577, 192], [-0.2719314098, 0.0075602531, 0.4991070628], -0.1023687124),
            ("decoder.proj_patch", [192, 192], [-0.2448687553, -0.1599892974, 0.3740541339], 0.440461874),
        ]
        for (name, shape, first, last) in cases {
            #expect(near(ParityFormula.values(name, shape: shape), first, last: last), "\(name)")
        }
    }

    @Test func comparisonSeesOneWrongSample() throws {
        let text = """
            {"format": "t", "case": "t", "reference": {}, "arguments": {}, "input": {"name": "input", "shape": [1]},
             "state": [], "outputs": {"out": {"shape": [4], "mean": 2.5, "std": 1.118033988749895, "min": 1, "max": 4,
             "samples": {"index": [0, 2], "value": [1, SAMPLE]}}}}
            """
        for (sample, failures) in [("3", 0), ("3.00005", 0), ("3.01", 1), ("null", 1)] {
            let data = Data(text.replacingOccurrences(of: "SAMPLE", with: sample).utf8)
            let parity = try ParityFolder.decode(ParityCase.self, from: data)
            var check = ParityCheck(parity)
            try check.compare("out", Tensor([1, 2, 3, 4] as [Float]), parity.outputs["out"]!, share: 1e-4)
            #expect(check.failures.count == failures, "\(sample)")
        }
    }

    private func near(_ values: [Float], _ first: [Double], last: Double) -> Bool {
        zip(values, first).allSatisfy { abs(Double($0) - $1) < 1e-10 }
            && abs(Double(values[values.count - 1]) - last) < 1e-10
    }
}
