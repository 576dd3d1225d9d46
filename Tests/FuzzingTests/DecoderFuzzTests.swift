import Basics
import Foundation
import Testing

@testable import Fuzzing
@testable import Tensors
@testable import Wire

/// The short form of `tools/fuzz decoders`: a trap ends the whole test process, which nobody overlooks.
@Suite struct DecoderFuzzTests {
    static let inputs = 8000

    @Test func noDecoderTrapsOrTakesWhatContradictsItself() throws {
        for decoder in try FuzzedDecoder.all() {
            let outcome = DecoderFuzzer(seed: 7).run(decoder, inputs: Self.inputs)
            #expect(outcome.defects == [], "\(decoder.name)")
            #expect(outcome.accepted > Self.inputs / 200, "\(decoder.name) is never given anything good")
            #expect(outcome.refused > Self.inputs / 4, "\(decoder.name) takes everything")
        }
    }

    @Test func safetensorsHeadersAreReadOrRefused() {
        let text = #"{"__metadata__":{"format":"pt"},"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#
        let decoder = FuzzedDecoder("safetensors", examples: [[Array(text.utf8)]]) { frames in
            guard let bytes = frames.first else { return }
            _ = try bytes.withUnsafeBytes { try SafetensorsHeader(parsing: $0) }
        }
        let outcome = DecoderFuzzer(seed: 7).run(decoder, inputs: Self.inputs)
        #expect(outcome.accepted > 0 && outcome.refused > 0)
    }

    @Test func equalSeedsMakeEqualMessages() {
        func messages(_ seed: UInt64) -> [[[UInt8]]] {
            var forge = FrameForge(kind: .pool, run: "r", epoch: 1, seed: seed)
            return (0..<200).map { _ in forge.message(forge.anyMessage()) }
        }
        #expect(messages(3) == messages(3))
        #expect(messages(3) != messages(4))
    }

    /// What the fuzzer sends must be bad, or its counts mean nothing; some malices are for states behind the parser.
    @Test(arguments: [LinkKind.pool, .log, .control])
    func forgedMessagesFailWhereTheirMaliceSays(kind: LinkKind) throws {
        var forge = FrameForge(kind: kind, run: "r", epoch: 1, seed: 5)
        let expected: [Malice: Set<FrameCheck>] = [
            .tooFewFrames: [.frames], .largeHeader: [.sizes], .brokenHeader: [.header, .version],
            .nestedHeader: [.header, .sizes], .missingKey: [.header], .wrongValue: [.header, .version],
            .wrongVersion: [.version], .wrongRun: [.run], .lyingTensors: [.header, .tensors],
            .manyTensors: [.tensors],
        ]
        for (malice, checks) in expected {
            for _ in 0..<200 {
                var check = FrameCheck.frames
                let frames = forge.message(malice).map { SharedBytes($0) }
                #expect(throws: (any Error).self, "\(malice)") {
                    _ = try Message(frames: frames, run: "r", limits: MessageLimits(), check: &check)
                }
                #expect(checks.contains(check), "\(malice) failed at \(check)")
            }
        }
    }
}
