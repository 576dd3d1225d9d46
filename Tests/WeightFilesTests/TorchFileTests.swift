import Basics
import Foundation
import TestSupport
import Testing

@testable import WeightFiles

/// Files that a real PyTorch wrote (`Fixtures/make.py`): what is read of them, and what is refused.
@Suite struct TorchFileTests {
    private static func bytes(_ name: String) throws -> SharedBytes {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")
        return try SharedBytes(mapping: folder.appendingPathComponent(name).path)
    }

    private static func file(_ name: String) throws -> TorchFile { try TorchFile(bytes(name)) }

    private static func message(_ body: () throws -> Any) -> String {
        do {
            return "taken: \(try body())"
        } catch { return "\(error)" }
    }

    private func values<Element: BitwiseCopyable>(
        _ file: TorchFile, _ name: String, of type: Element.Type = Element.self
    ) throws -> [Element] {
        try file.bytes(of: #require(file.tensors.first { $0.name == name })).array(of: Element.self)
    }

    @Test(arguments: ["plain.pth", "protocol4.pth"]) func stateDictionaryIsReadInItsOrder(_ name: String) throws {
        let file = try Self.file(name)
        #expect(file.path == [] && file.besides == [])
        #expect(
            file.tensors.map(\.name) == [
                "0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked",
            ])
        #expect(file.tensors.map(\.shape) == [[2, 1, 2, 2], [2], [2], [2], [2], []])
        #expect(try values(file, "0.weight") == [0, 1, 2, 3, 4, 5, 6, 7] as [Float])
        #expect(try values(file, "1.running_var") == [1, 1] as [Float])
        #expect(try values(file, "1.num_batches_tracked") == [0] as [Int64])
    }

    @Test func checkpointOfATrainingHasItsNetworkFound() throws {
        let file = try Self.file("checkpoint.pth")
        #expect(file.path == ["state_dict"])
        #expect(file.besides == ["epoch", "best", "arguments", "seed", "optimizer"])
        #expect(file.tensors.count == 6 && file.tensors.allSatisfy { $0.name.hasPrefix("module.") })
        #expect(try values(file, "module.0.weight") == [0, 1, 2, 3, 4, 5, 6, 7] as [Float])
        #expect(try values(file, "module.1.num_batches_tracked") == [1] as [Int64])
    }

    @Test func viewsOfOneStorageAreReadRowByRow() throws {
        let file = try Self.file("kinds.pth")
        let whole = (0..<24).map(Float.init)
        #expect(try values(file, "whole") == whole)
        #expect(try values(file, "row") == Array(whole[6..<12]))
        #expect(try values(file, "transposed") == (0..<6).flatMap { x in (0..<4).map { whole[$0 * 6 + x] } })
        #expect(try values(file, "block") == [8, 10, 14, 16] as [Float])
        #expect(try values(file, "channels_last") == (0..<12).map(Float.init))
        #expect(file.besides == ["note"])
    }

    @Test func everyElementTypeIsRead() throws {
        let file = try Self.file("kinds.pth")
        #expect(try values(file, "scalar") == [7] as [Int64])
        #expect(file.tensors.first { $0.name == "empty" }?.shape == [0, 3])
        #expect(try values(file, "empty", of: Float.self) == [])
        #expect(try values(file, "parameter") == [0, 1] as [Float])
        #expect(try values(file, "half") == [0, 0x3c00, 0x4000] as [UInt16])
        #expect(try values(file, "bfloat16") == [0, 0x3f80, 0x4000] as [UInt16])
        #expect(try values(file, "double") == [-1, 0] as [Double])
        #expect(try values(file, "bool") == [1, 0] as [UInt8])
        #expect(try values(file, "uint8") == [253, 254, 255] as [UInt8])
        #expect(try values(file, "int8") == [-2, -1] as [Int8])
        #expect(try values(file, "int16") == [-300, -299] as [Int16])
        #expect(try values(file, "int32") == [0, 1] as [Int32])
    }

    @Test(arguments: [
        ("module.pth", "it holds 'torch.nn.modules.container.Sequential', not tensors alone, and nothing of a file is"),
        ("malicious.pth", "it holds 'posix.system', not tensors alone"),
        ("script.pt", "it holds a TorchScript program; in Python, save its weights only"),
        ("list.pth", "it holds no dictionary of tensors; in Python: torch.save(model.state_dict(), FILE)"),
        ("ambiguous.pth", "it holds several sets of tensors ('a', 'b')"),
        ("complex.pth", "it holds 'torch.ComplexFloatStorage'"),
    ])
    func whatIsNoDictionaryOfTensorsIsRefused(_ name: String, _ expected: String) throws {
        let text = Self.message { try Self.file(name) }
        #expect(text.hasPrefix(expected), "\(text)")
        #expect(!FileManager.default.fileExists(atPath: "malicious-was-run"))
    }

    @Test func formatsAreToldByTheirFirstBytes() throws {
        func format(_ bytes: [UInt8]) -> String { Self.message { try WeightFileFormat(of: SharedBytes(bytes)) } }
        #expect(Self.message { try WeightFileFormat(of: Self.bytes("plain.pth")) } == "taken: torch")
        #expect(format([16, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d]) == "taken: safetensors")
        let old = Self.message { try WeightFileFormat(of: Self.bytes("old-format.pth")) }
        #expect(old.hasPrefix("it was saved by PyTorch before 1.6"))
        #expect(old.contains("torch.save(torch.load(FILE, weights_only=True), OTHER)"))
        #expect(format([]) == "it is empty")
        #expect(format(Array("\n <!DOCTYPE HTML><html>".utf8)).hasPrefix("it is a web page"))
        #expect(format(Array("version https://git-lfs.github.com/spec/v1\n".utf8)).contains("git lfs pull"))
        #expect(format([0x1f, 0x8b, 8]).contains("gzip"))
        #expect(format([0x80, 4, 0x95]).hasPrefix("it is a bare pickle"))
        #expect(format(Array("weights".utf8)) == "it is neither a safetensors file nor one of torch.save")
    }

    // MARK: Damage

    @Test func everyTruncationIsRefused() throws {
        let whole = try Self.bytes("kinds.pth").array(of: UInt8.self)
        for count in stride(from: 4, to: whole.count, by: 7) {
            #expect(throws: UserError.self, "\(count) bytes") { try TorchFile(SharedBytes(Array(whole[..<count]))) }
        }
    }

    /// Where the damage is in a tensor's elements only the record's checksum knows.
    @Test func damagedElementsAreFound() throws {
        var whole = try Self.bytes("plain.pth").array(of: UInt8.self)
        let pattern = [1, 2, 3, 4, 5, 6, 7].flatMap { (value: Float) -> [UInt8] in
            withUnsafeBytes(of: value) { Array($0) }
        }
        let place = try #require(
            (0..<whole.count - pattern.count).first { Array(whole[$0..<$0 + pattern.count]) == pattern })
        whole[place + 3] ^= 1
        let file = try TorchFile(SharedBytes(whole))
        let text = Self.message { try file.bytes(of: file.tensors[0]) }
        #expect(text.hasPrefix("its record 'plain/data/0' is damaged"), "\(text)")
    }

    // MARK: Pickles by hand

    private static func pickle(_ parts: [UInt8]...) -> String {
        message { try PickleMachine.run(SharedBytes([0x80, 2] + parts.flatMap { $0 } + [UInt8(ascii: ".")])).value }
    }

    private static func global(_ name: String) -> [UInt8] {
        Array("c\(name.replacingOccurrences(of: "/", with: "\n"))\n".utf8)
    }

    @Test func valuesAreUnderstood() {
        #expect(Self.pickle([0x4b, 7]) == "taken: int(7)")
        #expect(Self.pickle([0x4a, 0xfe, 0xff, 0xff, 0xff]) == "taken: int(-2)")
        #expect(Self.pickle([0x8a, 2, 0, 0x80]) == "taken: int(-32768)")
        #expect(Self.pickle([0x8a, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1]) == "taken: inert")
        #expect(Self.pickle([0x47, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]) == "taken: float(1.5)")
        #expect(Self.pickle([0x4e]) == "taken: none")
    }

    @Test func whatIsNotNeededIsRefusedByName() {
        #expect(Self.pickle(Self.global("os/system")).hasPrefix("it holds 'os.system', not tensors alone"))
        #expect(Self.pickle(Self.global("builtins/eval")).hasPrefix("it holds 'builtins.eval'"))
        #expect(Self.pickle(Array("(ios\nsystem\n".utf8)).contains("the instruction 0x69 at byte 3"))
        #expect(Self.pickle([0x82, 1]).contains("the instruction 0x82"))  // an extension code
    }

    @Test func brokenProgramsAreRefused() {
        #expect(Self.pickle([0x30]).contains("takes more values than it has put"))
        #expect(Self.pickle([0x75]).contains("takes more values than it has put"))
        #expect(Self.pickle([0x28, 0x4e, 0x30, 0x30]).contains("takes more values"))  // a POP through a MARK
        #expect(Self.pickle([0x68, 3]).contains("refers to a value 3"))
        #expect(Self.pickle([0x4e, 0x4e]).contains("ends with 2 values"))
        #expect(Self.pickle([0x58, 0xff, 0xff, 0xff, 0xff]).contains("ends in the middle"))
        #expect(Self.pickle([0x8d] + [UInt8](repeating: 0xff, count: 8)).contains("claims a length of"))
        #expect(Self.pickle([0x7d, 0x28, 0x4e, 0x75]).contains("a key without a value"))
        #expect(Self.pickle([0x58, 1, 0, 0, 0, 0xff]).contains("no UTF-8"))
        #expect(Self.pickle(Self.global("torch/FloatStorage"), [0x29, 0x52]).contains("makes a storage by itself"))
        #expect(Self.message { try PickleMachine.run(SharedBytes([0x80, 9] as [UInt8])) }.contains("protocol 9"))
    }

    /// What would exhaust a stack or the memory of a machine that recursed or copied.
    @Test func deepAndGreedyPicklesEnd() {
        let deep = [UInt8](repeating: 0x85, count: 1_000_000)  // a tuple in a tuple in a …
        #expect(Self.pickle([0x4e], deep).hasPrefix("taken: tuple"))
        // A list of 200,000 empty pairs' lists, and dictionaries of it until the bound.
        let pair: [UInt8] = [0x5d, 0x71, 1, 0x28, 0x4e, 0x4e, 0x65, 0x30]
        let list: [UInt8] =
            [0x5d, 0x71, 0, 0x28] + [[UInt8]](repeating: [0x68, 1], count: 200_000).flatMap { $0 } + [0x65, 0x30]
        let copy = Self.global("collections/OrderedDict") + [0x28, 0x68, 0, 0x74, 0x52, 0x30]
        let copies = [[UInt8]](repeating: copy, count: 100).flatMap { $0 }
        #expect(Self.pickle(pair, list, copies, [0x4e]).contains("more than 2097152 values"))
        #expect(Self.pickle([UInt8](repeating: 0x7d, count: 3_000_000)).contains("more than 2097152 values"))
        // Tensors of 64 dimensions, which six bytes make of what is memoised.
        func text(_ text: String) -> [UInt8] { [0x58, UInt8(text.utf8.count), 0, 0, 0] + Array(text.utf8) }
        let storage =
            [0x28] + text("storage") + Self.global("torch/FloatStorage") + text("0") + text("cpu") + [
                0x4b, 8, 0x74, 0x51,
            ]
        let sizes: [UInt8] = [0x28] + [[UInt8]](repeating: [0x4b, 1], count: 64).flatMap { $0 } + [0x74]
        let arguments = [0x28] + storage + [0x4b, 0] + sizes + sizes + [0x74, 0x71, 1, 0x30]
        let function = Self.global("torch._utils/_rebuild_tensor_v2") + [0x71, 2, 0x30]
        let tensor: [UInt8] = [0x68, 2, 0x68, 1, 0x52, 0x30]
        func tensors(_ count: Int) -> [UInt8] { [[UInt8]](repeating: tensor, count: count).flatMap { $0 } }
        #expect(Self.pickle(arguments, function, tensors(1000), [0x4e]) == "taken: none")
        #expect(Self.pickle(arguments, function, tensors(20_000), [0x4e]).contains("more than 2097152 values"))
        // A dictionary that holds itself under every name that is searched.
        var own: [UInt8] = [0x7d, 0x71, 0]
        for name in StateSearch.names { own += [0x8c, UInt8(name.utf8.count)] + Array(name.utf8) + [0x68, 0, 0x73] }
        let bytes = SharedBytes([0x80, 4] + own + [UInt8(ascii: ".")])
        #expect(
            Self.message { try TorchFile.tensorCount(ofPickle: bytes) }.hasPrefix("it holds no tensors under names"))
    }

    /// Sizes of a tensor that no storage has, and products that overflow.
    @Test func claimsBeyondTheStorageAreRefused() throws {
        // The pickle stands in the file as it is, so its numbers can be changed; its checksum then must be, too. Here the
        // tensor is described directly.
        let storage = PickledStorage(type: .float32, key: "0", count: 8)
        func refused(_ shape: [Int], _ strides: [Int], _ offset: Int = 0) throws -> Bool {
            let tensor = PickledTensor(storage: storage, offset: offset, shape: shape, strides: strides)
            let archive = try ZipArchive(Self.bytes("plain.pth"))
            return (try? TorchFile.checked("x", tensor, in: archive, folder: "plain/")) == nil
        }
        #expect(try !refused([8], [1]))
        #expect(try !refused([2, 1, 4], [4, .max, 1]))
        #expect(try !refused([0, .max, .max], [1, .max, 1], .max))
        #expect(try refused([9], [1]))
        #expect(try refused([8], [1], 1))
        #expect(try refused([2], [8]))
        #expect(try refused([4, 4], [0, 1]))  // more elements than there are, by strides of 0
        #expect(try refused([.max, .max], [0, 0]))
        #expect(try refused([3], [.max]))
        #expect(try refused([2], [.max], .max))
    }
}
