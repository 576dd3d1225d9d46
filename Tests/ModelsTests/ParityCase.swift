import Foundation

/// One file of the parity kit, as far as a network's case goes.
struct ParityCase: Decodable {
    struct Reference: Decodable {
        var package: String?
        /// Where it is no package: a repository and its branch.
        var project: String?
        var branch: String?
        var entry: String?
    }
    struct Input: Decodable {
        var name: String
        var shape: [Int]
    }
    struct StateEntry: Decodable {
        var name: String
        var shape: [Int]

        init(from decoder: any Decoder) throws {
            var pair = try decoder.unkeyedContainer()
            name = try pair.decode(String.self)
            shape = try pair.decode([Int].self)
        }
    }
    struct Samples: Decodable {
        var index: [Int]
        /// nil stands for not-a-number.
        var value: [Double?]
    }
    /// What is known of a tensor: summary and samples at flat indices.
    struct Summary: Decodable {
        var shape: [Int]
        var mean: Double
        var std: Double
        var min: Double
        var max: Double
        var samples: Samples
    }
    struct Gradient: Decodable {
        var shape: [Int]
        var norm: Double
        var maxAbs: Double
        var samples: Samples
    }
    struct RunningStatistics: Decodable {
        var runningMean: Summary
        var runningVar: Summary
        var numBatchesTracked: Int
    }
    /// Loss and gradients of one pass; weights and running statistics stand in `train` only.
    struct Training: Decodable {
        var lossWeights: [String: Double]?
        var loss: Double
        var lossTerms: [String: Double]
        var gradientNormAll: Double
        var gradients: [String: Gradient]
        var withoutGradient: [String]?
        var runningStats: [String: RunningStatistics]?
    }

    var format: String
    var `case`: String
    var reference: Reference
    var arguments: [String: JSONValue]
    var input: Input
    var state: [StateEntry]
    /// Buffers that keep what the network computes for them.
    var keptBuffers: [String]?
    /// How many norms there are by kind and constants, as "BatchNorm eps=1e-05 momentum=0.1".
    var normLayers: [String: Int]?
    var outputs: [String: Summary]
    var taps: [String: Summary]?
    var train: Training?
    var trainFrozen: Training?
    /// Of the outputs, for networks that classify masks.
    var loss: MaskLoss?
}

/// A value of a case's `arguments`, whatever its type.
enum JSONValue: Decodable, Equatable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case list([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let flag = try? value.decode(Bool.self) {
            self = .bool(flag)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let text = try? value.decode(String.self) {
            self = .string(text)
        } else if let list = try? value.decode([JSONValue].self) {
            self = .list(list)
        } else {
            self = .object(try value.decode([String: JSONValue].self))
        }
    }

    var int: Int? {
        if case .number(let number) = self { Int(exactly: number) } else { nil }
    }

    var ints: [Int]? {
        guard case .list(let list) = self else { return nil }
        let ints = list.compactMap(\.int)
        return ints.count == list.count ? ints : nil
    }

    var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    var bool: Bool? {
        if case .bool(let flag) = self { flag } else { nil }
    }

    var number: Double? {
        if case .number(let number) = self { number } else { nil }
    }

    var object: [String: JSONValue]? {
        if case .object(let object) = self { object } else { nil }
    }
}

/// The folder with the cases, and what is in it.
enum ParityFolder {
    /// `PICOFLOW_PARITY_DIR`, or the copy of the kit beside this file.
    static var path: String {
        ProcessInfo.processInfo.environment["PICOFLOW_PARITY_DIR"]
            ?? URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Parity").path
    }

    /// Names of the cases, sorted; nil where the folder is missing.
    static var cases: [String]? {
        guard let files = try? FileManager.default.contentsOfDirectory(atPath: path) else { return nil }
        return files.filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }.sorted()
    }

    /// Decodes what a case's file says; keys are snake case there.
    static func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: data)
    }

    static func data(_ name: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: path).appendingPathComponent(name + ".json"))
    }
}
