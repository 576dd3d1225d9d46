/// What TensorBoard's table of hyper-parameters shows of a run: one row of settings, beside it the numbers that they led to.
///
/// The messages are those of `tensorboard/plugins/hparams/plugin_data.proto` and `api.proto`. A run is a *session*; its row
/// is complete when its end is there, and shows as running before.
public struct HyperParameters: Sendable, Equatable {
    public enum Value: Sendable, Equatable {
        case text(String)
        case flag(Bool)
        case number(Double)
    }

    /// In the order of the table's columns.
    public var values: [(name: String, value: Value)]
    /// Tags of scalars in the same folder of event files that are shown beside them.
    public var results: [String]

    public init(_ values: [(name: String, value: Value)], results: [String]) {
        self.values = values
        self.results = results
    }

    public static func == (a: HyperParameters, b: HyperParameters) -> Bool {
        a.results == b.results && a.values.elementsEqual(b.values) { $0 == $1 }
    }

    static let plugin = "hparams"

    /// Which columns there are: an `Experiment`.
    func experiment(at time: Double) -> [UInt8] {
        message(2) { experiment in
            experiment.double(3, time)
            for (name, value) in values {
                experiment.message(4) { info in
                    info.string(1, name)
                    info.integer(4, value.dataType)
                }
            }
            for tag in results {
                experiment.message(5) { info in
                    info.message(1) { $0.string(2, tag) }
                    info.string(3, tag)
                }
            }
        }
    }

    /// The row: a `SessionStartInfo`.
    func start(at time: Double) -> [UInt8] {
        message(3) { start in
            for (name, value) in values {
                // An entry of a map: key and value.
                start.message(1) { entry in
                    entry.string(1, name)
                    entry.message(2) { value.write(into: &$0) }
                }
            }
            start.double(5, time)
        }
    }

    /// A `SessionEndInfo` of success.
    static func success(at time: Double) -> [UInt8] {
        HyperParameters([], results: []).message(4) { info in
            info.integer(1, 1)
            info.double(2, time)
        }
    }

    /// An `HParamsPluginData` of version 0, which is left out.
    private func message(_ field: UInt8, _ body: (inout ProtobufWriter) -> Void) -> [UInt8] {
        var data = ProtobufWriter()
        data.message(field, body)
        return data.bytes
    }
}

extension HyperParameters.Value {
    fileprivate var dataType: UInt64 {
        switch self {
        case .text: 1
        case .flag: 2
        case .number: 3
        }
    }

    /// As `google.protobuf.Value`.
    fileprivate func write(into writer: inout ProtobufWriter) {
        switch self {
        case .number(let number): writer.double(2, number)
        case .text(let text): writer.string(3, text)
        case .flag(let flag): writer.bool(4, flag)
        }
    }
}

extension EventFile {
    /// Begins a session of a run with these settings.
    public func begin(_ parameters: HyperParameters) {
        let time = now
        plugin(
            HyperParameters.plugin, tag: "_hparams_/experiment", content: parameters.experiment(at: time))
        plugin(
            HyperParameters.plugin, tag: "_hparams_/session_start_info", content: parameters.start(at: time))
    }

    /// Ends it: nothing follows.
    public func succeed() {
        plugin(
            HyperParameters.plugin, tag: "_hparams_/session_end_info", content: HyperParameters.success(at: now))
    }
}
