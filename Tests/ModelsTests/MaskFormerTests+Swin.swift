import Foundation
import NN
import Tensors
import Testing

@testable import Models

/// Swin's weights in the spellings of those who publish them.
extension MaskFormerTests {
    @Test func swinComesFromClassifiersOfImages() throws {
        let network = try small()
        var swin = SwinTransformer.Config.tiny.scaled(0.25)
        swin.depths = [1, 1, 2, 1]
        let other = try SwinTransformer(swin)
        try other.initialize(seed: 9, other.initialization)
        var published = other.stateDict().renamed {
            $0.hasPrefix("hidden_states_norms.") ? nil : "swin." + $0.dropFirst("model.".count)
        }
        published["classifier.weight"] = try Tensor.zeros([10, 192])
        try network.loadBackbone(published)
        let name = "model.encoder.layers.2.blocks.1.attention.self.relative_position_bias_table"
        let found = network.stateDict()["model.pixel_level_module.encoder." + name]
        #expect(try #require(found).isEqual(to: other.stateDict()[name]!))
    }

    /// Microsoft's names, which merge behind a stage, and newer timm's, which merge before the next one and keep no index.
    @Test(arguments: [false, true]) func swinTakesFusedProjections(_ mergesBefore: Bool) throws {
        let config = SwinTransformer.Config.tiny.scaled(0.25)
        let own = try SwinTransformer(config)
        try own.initialize(seed: 3, own.initialization)
        let state = own.stateDict()
        let loaded = try SwinTransformer(config)
        let differences = try loaded.load(
            loaded.ownNames(microsofts(state, mergesBefore: mergesBefore)), allowing: .missing)
        #expect(
            differences.missing.allSatisfy {
                $0.hasPrefix("hidden_states_norms.") || mergesBefore && $0.hasSuffix("relative_position_index")
            })
        for (name, tensor) in loaded.stateDict() where !name.hasPrefix("hidden_states_norms.") {
            #expect(try tensor.isEqual(to: state[name]!), "\(name)")
        }
    }

    /// As Microsoft publishes them for segmentation and detection: a norm behind each stage and none at the end.
    @Test func swinComesFromNetworksForSegmentation() throws {
        var swin = SwinTransformer.Config.tiny.scaled(0.25)
        swin.depths = [1, 1, 2, 1]
        let other = try SwinTransformer(swin)
        try other.initialize(seed: 9, other.initialization)
        let state = other.stateDict()
        // All begin as ones.
        for (name, tensor) in state where name.hasPrefix("hidden_states_norms.") {
            _ = try withoutGradient { try tensor.mul_(3) }
        }
        var file = try microsofts(state, forSegmentation: true).prefixed("backbone.")
        file["decode_head.conv_seg.weight"] = try Tensor.zeros([3, 8, 1, 1])
        #expect(file["backbone.norm3.weight"] != nil && file["backbone.norm.weight"] == nil)
        let network = try small()
        try network.loadBackbone(file)
        let found = network.stateDict().under("model.pixel_level_module.encoder.")
        for (name, tensor) in state where !name.hasPrefix("model.layernorm.") {
            #expect(try #require(found[name]).isEqual(to: tensor), "\(name)")
        }
    }

    /// A Swin under the names of Microsoft's code, or of timm's where it merges before a stage.
    private func microsofts(
        _ state: NamedTensors, mergesBefore: Bool = false, forSegmentation: Bool = false
    ) throws -> NamedTensors {
        let spelling = [
            "layernorm_before": "norm1", "layernorm_after": "norm2", "attention.self": "attn",
            "attention.output.dense": "attn.proj", "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2",
        ]
        var theirs = NamedTensors()
        if !forSegmentation { theirs["head.weight"] = try Tensor.zeros([10, 192]) }
        for (name, tensor) in state {
            let parts = name.split(separator: ".").map(String.init)
            let kind = parts[parts.count - 1]
            if parts.contains("blocks") {
                let below = parts[6..<parts.count - 1].joined(separator: ".")
                let block = "layers.\(parts[3]).blocks.\(parts[5])"
                if below == "attention.self.query" {
                    let rest = ["key", "value"].map { name.replacingOccurrences(of: "self.query", with: "self.\($0)") }
                    theirs["\(block).attn.qkv.\(kind)"] = try Tensor.cat([tensor] + rest.map { state[$0]! })
                } else if let theirName = spelling[below], !(mergesBefore && kind.hasSuffix("index")) {
                    theirs["\(block).\(theirName).\(kind)"] = tensor
                }
            } else if parts.contains("downsample") {
                theirs["layers.\(Int(parts[3])! + (mergesBefore ? 1 : 0)).downsample.\(parts[5]).\(kind)"] = tensor
            } else if parts[1] == "embeddings" {
                theirs["patch_embed.\(parts[2] == "norm" ? "norm" : "proj").\(kind)"] = tensor
            } else if parts[0] == "hidden_states_norms" {
                if forSegmentation { theirs["norm\(parts[1]).\(kind)"] = tensor }
            } else if !forSegmentation {
                theirs["norm.\(kind)"] = tensor
            }
        }
        return theirs
    }
}
