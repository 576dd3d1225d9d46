import Basics
import Configuration
import Foundation
import Tensors

/// How a recipe's precision is computed: parameters stay float32, and the forward pass runs under autocast. What leaves
/// the network is float32 again, so losses, softmax over classes and embeddings are in any precision.
extension ModelSettings.Precision {
    /// Runs a part of a network's forward pass in this precision; where gradients are wanted, all of the part records.
    public func compute<R>(on device: Device, _ body: () throws -> R) throws -> R {
        try withAutocast(self == .bf16 ? .bfloat16 : nil, on: device, body)
    }

    /// What a user should know where this precision slows training down instead of speeding it up: on a CPU that has no
    /// instructions for it.
    ///
    /// - Parameter cpuinfo: Linux's description of the processors; a text that is none says nothing.
    public func warning(on device: Device, cpuinfo: String = Self.cpuinfo()) -> String? {
        guard self == .bf16, device == .cpu else { return nil }
        let lines = cpuinfo.split(separator: "\n").filter { $0.hasPrefix("flags") || $0.hasPrefix("Features") }
        guard let flags = lines.first?.split(separator: " ") else { return nil }
        // x86 names two sets of instructions, Arm one.
        guard !["avx512_bf16", "amx_bf16", "bf16"].contains(where: { flags.contains(Substring($0)) }) else {
            return nil
        }
        return "model.precision is bf16, for which this CPU has no instructions: float32 is faster here"
    }

    public static func cpuinfo() -> String { (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? "" }
}

extension Decoded {
    /// With scores in float32 at least.
    public func widened() throws -> Decoded {
        let auxiliary = try scores.auxiliary.map {
            Scores.Auxiliary(scores: try $0.scores.widened(), weight: $0.weight)
        }
        return Decoded(scores: Scores(main: try scores.main.widened(), auxiliary: auxiliary), masks: masks)
    }
}
