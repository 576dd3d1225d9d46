import Configuration
import NN
import Tensors
import Testing

@testable import Models

/// What is listed of the networks, against numbers that their publishers print.
@Suite struct NetworkSummaryTests {
    private func summary(
        _ head: ModelSettings.Head, _ backbone: ModelSettings.Backbone, stride: Int = 8, classes: Int, size: Size2D
    ) throws -> NetworkSummary {
        var settings = ModelSettings()
        settings.head = head
        settings.backbone = backbone
        settings.outputStride = stride
        return try NetworkSummary(settings, classes: classes, size: size)
    }

    @Test func strideIsThatOfTheNetworkAtWidthsThatAreNoMultiple() {
        for stride in [4, 8, 16, 32] {
            for width in stride...300 {
                #expect(NetworkSummary.stride(of: (width + stride - 1) / stride, from: width) <= stride)
            }
        }
        #expect(NetworkSummary.stride(of: 7, from: 100) == 16 && NetworkSummary.stride(of: 65, from: 513) == 8)
    }

    /// Of torchvision's documentation of `deeplabv3_mobilenet_v3_large`: 11,029,328 parameters with the auxiliary head,
    /// whose 10,541 are not of ours, and 10.45 GMACs at 520x520 with it.
    @Test func torchvisionsDeepLabV3() throws {
        let found = try summary(.deeplabv3, .mobilenetv3, stride: 16, classes: 21, size: 520)
        // aux_classifier: 40 -> 10 by 3x3, norm, 10 -> 21.
        let auxiliary = 40 * 10 * 9 + 2 * 10 + 10 * 21 + 21
        #expect(found.parameters == 11_029_328 - auxiliary)
        // On a map of 33x33 the branch of rate 36 sees padding through eight of its nine taps; ours leaves those out.
        let saved = 8 * 960 * 256 * 33 * 33
        #expect(abs(Double(found.multiplyAdds + saved) / 1e9 - 10.45) < 0.1)
        #expect(found.outputStride == 16 && found.embeddingStride == 16 && found.embeddingChannels == 960)
    }

    /// Of SegFormer's paper (table 1, ADE20K): B0 has 3.8 M parameters (encoder: 3.4) and 8.4 GFLOPs at 512x512.
    @Test func segFormersPaper() throws {
        let found = try summary(.segformer, .mitb0, classes: 150, size: 512)
        #expect((3.7e6...3.85e6).contains(Double(found.parameters)))
        #expect((3.25e6...3.45e6).contains(Double(found.backboneParameters)))
        // The published code fuses all maps at the finest one's size; ours fuses each at its own (`SegFormerHead`).
        let saved = 256 * 256 * (3 * 128 * 128 - 64 * 64 - 32 * 32 - 16 * 16)
        #expect(abs(Double(found.multiplyAdds + saved) / 1e9 - 8.4) < 0.05)
        #expect(found.outputStride == 4 && found.embeddingStride == 4 && found.embeddingChannels == 256)
    }

    @Test func everyNetworkSaysWhoseWeightsItTakes() {
        for head in ModelSettings.Head.allCases {
            #expect(!head.weightNames.isEmpty)
            for backbone in head.backbones { #expect(!backbone.weightNames(under: head).isEmpty) }
        }
    }
}
