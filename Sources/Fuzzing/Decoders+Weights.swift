import Basics
import Foundation
import WeightFiles

extension FuzzedDecoder {
    /// Files of `torch.save`, and the pickles in them: a spoiled file rarely gets past its checksums.
    static func weightFiles() throws -> [FuzzedDecoder] {
        guard let file = Data(base64Encoded: torchFile).map({ [UInt8]($0) }) else {
            throw UserError("the example of a weight file is no base64")
        }
        let pickle = try TorchFile.pickle(of: SharedBytes(file)).array(of: UInt8.self)
        return [
            FuzzedDecoder("weight file", examples: [[file]]) { frames in
                guard let bytes = frames.first else { return }
                guard case .torch = try WeightFileFormat(of: bytes) else { return }
                let file = try TorchFile(bytes)
                for tensor in file.tensors {
                    let count = try file.bytes(of: tensor).count
                    guard count == tensor.count * tensor.type.size else { throw Broken("\(tensor) has \(count) bytes") }
                }
            },
            FuzzedDecoder("pickle of tensors", examples: [[pickle]]) { frames in
                guard let bytes = frames.first else { return }
                let count = try TorchFile.tensorCount(ofPickle: bytes)
                // Every tensor takes an instruction and more.
                guard count <= bytes.count else { throw Broken("\(count) tensors in \(bytes.count) bytes") }
            },
        ]
    }

    /// `torch.save({'a.weight': torch.arange(6.).reshape(2, 3), 'n': torch.tensor(1)}, FILE)`, by PyTorch 2.13.
    private static let torchFile = """
        UEsDBAAACAgAAAAAAAAAAAAAAAAAAAAAAAAKABgAZi9kYXRhLnBrbEZCFABaWlpaWlpaWlpaWlpaWlpaWlpaWoACfXEAKFgIAAAAYS53ZWlnaH\
        RxAWN0b3JjaC5fdXRpbHMKX3JlYnVpbGRfdGVuc29yX3YyCnECKChYBwAAAHN0b3JhZ2VxA2N0b3JjaApGbG9hdFN0b3JhZ2UKcQRYAQAAADBx\
        BVgDAAAAY3B1cQZLBnRxB1FLAEsCSwOGcQhLA0sBhnEJiWNjb2xsZWN0aW9ucwpPcmRlcmVkRGljdApxCilScQt0cQxScQ1YAQAAAG5xDmgCKC\
        hoA2N0b3JjaApMb25nU3RvcmFnZQpxD1gBAAAAMXEQaAZLAXRxEVFLACkpiWgKKVJxEnRxE1JxFHUuUEsHCAPUFKjyAAAA8gAAAFBLAwQAAAgI\
        AAAAAAAAAAAAAAAAAAAAAAAAEQAPAGYvLmZvcm1hdF92ZXJzaW9uRkILAFpaWlpaWlpaWlpaMVBLBwi379yDAQAAAAEAAABQSwMEAAAICAAAAA\
        AAAAAAAAAAAAAAAAAAABQAPQBmLy5zdG9yYWdlX2FsaWdubWVudEZCOQBaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpa\
        WlpaWlpaWlpaWlpaWlpaWlo2NFBLBwg/d3HpAgAAAAIAAABQSwMEAAAICAAAAAAAAAAAAAAAAAAAAAAAAAsABQBmL2J5dGVvcmRlckZCAQBabG\
        l0dGxlUEsHCIU94xkGAAAABgAAAFBLAwQAAAgIAAAAAAAAAAAAAAAAAAAAAAAACAAEAGYvZGF0YS8wRkIAAAAAAAAAAIA/AAAAQAAAQEAAAIBA\
        AACgQFBLBwgXkOeRGAAAABgAAABQSwMEAAAICAAAAAAAAAAAAAAAAAAAAAAAAAgAMgBmL2RhdGEvMUZCLgBaWlpaWlpaWlpaWlpaWlpaWlpaWl\
        paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaAQAAAAAAAABQSwcI99+IqQgAAAAIAAAAUEsDBAAACAgAAAAAAAAAAAAAAAAAAAAAAAAJAEEAZi92\
        ZXJzaW9uRkI9AFpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlozClBLBwjRnmdVAg\
        AAAAIAAABQSwMEAAAICAAAAAAAAAAAAAAAAAAAAAAAABgAOABmLy5kYXRhL3NlcmlhbGl6YXRpb25faWRGQjQAWlpaWlpaWlpaWlpaWlpaWlpa\
        WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWjA1NjExMDg1MjM2MTk2NzA1Mjk0MTU0Mzc3NjYxNTE1MDg5NTQ3MTZQSwcIm+8VYS\
        gAAAAoAAAAUEsBAgAAAAAICAAAAAAAAAPUFKjyAAAA8gAAAAoAAAAAAAAAAAAAAAAAAAAAAGYvZGF0YS5wa2xQSwECAAAAAAgIAAAAAAAAt+/c\
        gwEAAAABAAAAEQAAAAAAAAAAAAAAAABCAQAAZi8uZm9ybWF0X3ZlcnNpb25QSwECAAAAAAgIAAAAAAAAP3dx6QIAAAACAAAAFAAAAAAAAAAAAA\
        AAAACRAQAAZi8uc3RvcmFnZV9hbGlnbm1lbnRQSwECAAAAAAgIAAAAAAAAhT3jGQYAAAAGAAAACwAAAAAAAAAAAAAAAAASAgAAZi9ieXRlb3Jk\
        ZXJQSwECAAAAAAgIAAAAAAAAF5DnkRgAAAAYAAAACAAAAAAAAAAAAAAAAABWAgAAZi9kYXRhLzBQSwECAAAAAAgIAAAAAAAA99+IqQgAAAAIAA\
        AACAAAAAAAAAAAAAAAAACoAgAAZi9kYXRhLzFQSwECAAAAAAgIAAAAAAAA0Z5nVQIAAAACAAAACQAAAAAAAAAAAAAAAAAYAwAAZi92ZXJzaW9u\
        UEsBAgAAAAAICAAAAAAAAJvvFWEoAAAAKAAAABgAAAAAAAAAAAAAAAAAkgMAAGYvLmRhdGEvc2VyaWFsaXphdGlvbl9pZFBLBgYsAAAAAAAAAB\
        4DLQAAAAAAAAAAAAgAAAAAAAAACAAAAAAAAADbAQAAAAAAADgEAAAAAAAAUEsGBwAAAAATBgAAAAAAAAEAAABQSwUGAAAAAAgACADbAQAAOAQA\
        AAAA
        """
}
