import Configuration
import Models
import NN
import Tensors
import Testing

@testable import ComputeStage

/// What each parameter learns at, per network: rates and weight decays as the schedule has them.
@Suite struct ParameterGroupsTests {
    static let networks: [(ModelSettings.Backbone, ModelSettings.Head)] = [
        (.mobilenetv3, .deeplabv3), (.hrnetv2w18, .hrnet), (.hrnetv2w18, .ocrnet), (.mitb0, .segformer),
        (.vitt16, .segmenter), (.swint, .maskformer), (.resnet50, .maskformer),
    ]

    private static func network(_ backbone: ModelSettings.Backbone, _ head: ModelSettings.Head) throws
        -> any SegmentationNetwork
    {
        var model = ModelSettings()
        (model.backbone, model.head, model.width, model.embedding) = (backbone, head, 0.25, 8)
        return try Network.make(model, classes: 4, projecting: true)
    }

    @Test(arguments: networks)
    func everyParameterIsInOneGroup(_ backbone: ModelSettings.Backbone, _ head: ModelSettings.Head) throws {
        let network = try Self.network(backbone, head)
        var settings = ScheduleSettings()
        (settings.backboneLrFactor, settings.headLrFactor) = (0.1, 10)
        (settings.weightDecay, settings.normWeightDecay) = (0.01, 0)
        let groups = network.parameterGroups(settings)
        let names = groups.flatMap(\.parameters.names)
        #expect(Set(names) == Set(network.namedParameters().names) && names.count == Set(names).count)
        #expect(groups.contains { $0.name == "backbone" } && groups.contains { $0.name == "head" })
        for group in groups {
            #expect(group.learningRateFactor == (group.name.hasPrefix("backbone") ? 0.1 : 10), "\(group.name)")
            #expect(group.weightDecay == (group.name.hasSuffix("undecayed") ? 0 : 0.01), "\(group.name)")
            #expect(ParameterGroup.ofProjection.contains(group.name) == group.name.hasPrefix("projection"))
        }
        // Convolutions and matrices decay; a norm's two vectors do not.
        for group in groups where !group.name.hasSuffix("undecayed") {
            for (name, parameter) in group.parameters where !name.hasSuffix("bias") {
                #expect(parameter.dim > 1, "\(name)")
            }
        }
        settings.normWeightDecay = nil
        #expect(network.parameterGroups(settings).allSatisfy { $0.weightDecay == 0.01 })
    }

    /// Where each part's names begin in the published weights.
    @Test func theBackboneIsThePublishedOne() throws {
        func names(_ backbone: ModelSettings.Backbone, _ head: ModelSettings.Head, _ part: String) throws -> [String] {
            try Self.network(backbone, head).parameterGroups(ScheduleSettings())
                .filter { $0.name.hasPrefix(part) }.flatMap(\.parameters.names)
        }
        #expect(try names(.mitb0, .segformer, "backbone").allSatisfy { $0.hasPrefix("segformer.encoder.") })
        #expect(try names(.mitb0, .segformer, "head").allSatisfy { $0.hasPrefix("decode_head.") })
        #expect(try names(.hrnetv2w18, .hrnet, "head").allSatisfy { $0.hasPrefix("last_layer.") })
        #expect(try names(.hrnetv2w18, .hrnet, "backbone").contains("conv1.weight"))
        #expect(try names(.vitt16, .segmenter, "backbone").contains("encoder.pos_embed"))
        #expect(try names(.swint, .maskformer, "head").contains("model.transformer_module.queries_embedder.weight"))
        #expect(try names(.mobilenetv3, .deeplabv3, "projection").allSatisfy { $0.hasPrefix("projection.") })
    }

    @Test func positionsAndQueriesAreNotDecayed() throws {
        var settings = ScheduleSettings()
        settings.normWeightDecay = 0
        func undecayed(_ backbone: ModelSettings.Backbone, _ head: ModelSettings.Head) throws -> [String] {
            try Self.network(backbone, head).parameterGroups(settings).filter { $0.weightDecay == 0 }
                .flatMap(\.parameters.names)
        }
        let swin = try undecayed(.swint, .maskformer)
        #expect(swin.contains("model.transformer_module.queries_embedder.weight"))
        #expect(swin.filter { $0.hasSuffix("relative_position_bias_table") }.count == 12)
        let segmenter = try undecayed(.vitt16, .segmenter)
        #expect(segmenter.contains("encoder.pos_embed") && segmenter.contains("decoder.cls_emb"))
    }

    /// A width of 0.6 is 456 channels of a ViT-B in 12 heads.
    @Test(arguments: [Float(0.05), 0.6, 0.7, 1.3]) func segmentersOfAnyWidthAreMade(width: Float) throws {
        for backbone in [ModelSettings.Backbone.vitt16, .vits16, .vitb16] {
            var model = ModelSettings()
            (model.backbone, model.head, model.width) = (backbone, .segmenter, width)
            #expect(throws: Never.self) { try Network.make(model, classes: 3) }
        }
    }
}
