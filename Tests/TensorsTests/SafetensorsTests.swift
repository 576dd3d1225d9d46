import Basics
import Foundation
import Testing

@testable import Tensors

/// A file in a folder of its own that goes with the value.
private final class Scratch {
    let folder: String
    var path: String { folder + "/state.safetensors" }

    init() throws {
        folder = NSTemporaryDirectory() + "safetensors-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func put(_ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(fileURLWithPath: path)) }
    func get() throws -> [UInt8] { try Array(Data(contentsOf: URL(fileURLWithPath: path))) }
}

private func file(_ header: String, data: Int = 0, claim: UInt64? = nil) -> [UInt8] {
    file(Array(header.utf8), data: data, claim: claim)
}

private func file(_ header: [UInt8], data: Int = 0, claim: UInt64? = nil) -> [UInt8] {
    withUnsafeBytes(of: (claim ?? UInt64(header.count)).littleEndian, Array.init) + header
        + [UInt8](repeating: 0, count: data)
}

private func sample() throws -> NamedTensors {
    var state = NamedTensors()
    for (index, dtype) in DType.allCases.enumerated() {
        let table = try Tensor.arange(6).remainderByTwo(dtype == .bool).to(dtype).reshape([2, 3])
        state["t.\(dtype)"] = try Tensor.cat(Array(repeating: table, count: index % 2 + 1), dim: 1)
    }
    state["scalar"] = try Tensor([7], shape: [])
    state["empty"] = try Tensor.zeros([0, 4])
    state["last"] = try Tensor.arange(24, dtype: .float32).reshape([1, 2, 3, 4]).channelsLast()
    state["name \"with\" \\ ümlaut\n"] = try Tensor.ones([1])
    return state
}

extension Tensor {
    fileprivate func remainderByTwo(_ wanted: Bool) throws -> Tensor {
        wanted ? try Operator.call("aten::remainder.Scalar", self, 2) : self
    }
}

@Test func writtenTensorsComeBack() throws {
    let scratch = try Scratch()
    let state = try sample()
    try Safetensors.write(state, metadata: ["format": "pt", "a": "b\"c"], to: scratch.path)
    let file = try SafetensorsFile(path: scratch.path)
    #expect(file.metadata == ["format": "pt", "a": "b\"c"])
    #expect(Set(file.names) == Set(state.names) && file.names.count == state.count)
    for (name, tensor) in state {
        #expect(file.description(of: name)?.shape == tensor.shape)
        let read = try file.tensor(name)
        #expect(read.dtype == tensor.dtype && read.shape == tensor.shape)
        #expect(try read.isEqual(to: tensor), "\(name)")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.folder) == ["state.safetensors"])
}

@Test func metadataOfTensorsGoOutAndComeBack() throws {
    let scratch = try Scratch()
    var state = NamedTensors([("a", try Tensor.zeros([2]))])
    state.metadata = ["grid": "1x2", "format": "none"]
    try Safetensors.write(state, metadata: ["format": "pt"], to: scratch.path)
    #expect(try Safetensors.read(scratch.path).metadata == ["grid": "1x2", "format": "pt"])
}

@Test func bytesDependOnTheTensorsOnly() throws {
    let a = try Scratch()
    let b = try Scratch()
    let state = try sample()
    try Safetensors.write(state, metadata: ["x": "1", "y": "2", "z": "3"], to: a.path)
    let reversed = NamedTensors(Array(state).reversed())
    try Safetensors.write(reversed, metadata: ["z": "3", "y": "2", "x": "1"], to: b.path)
    #expect(try a.get() == b.get())
    let length = Int(try a.get()[0]) | Int(try a.get()[1]) << 8
    #expect(length % 8 == 0)
}

@Test func emptyStateIsAFile() throws {
    let scratch = try Scratch()
    try Safetensors.write(NamedTensors(), to: scratch.path)
    #expect(try scratch.get() == file("{}      "))
    #expect(try Safetensors.read(scratch.path).isEmpty)
}

@Test func goldenBytes() throws {
    let scratch = try Scratch()
    try Safetensors.write(
        NamedTensors([("b", try Tensor([1 as UInt8])), ("a", try Tensor([1 as Float]))]), to: scratch.path)
    let header =
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}}"#
    let padding = String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    #expect(try scratch.get() == file(header + padding) + [0, 0, 0x80, 0x3f, 1])
}

private let entry = #""a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#

@Test(
    arguments: [
        ("empty", [], "it is empty"),
        ("seven bytes", [1, 0, 0, 0, 0, 0, 0], "7 bytes, not even the header's length"),
        ("header longer than the file", file("{}", claim: 1000), "claims a header of 1000 bytes but has only 10"),
        ("absurd header length", file("{}", claim: .max), "claims a header of 18446744073709551615 bytes"),
        ("no JSON", file("hello"), "'{' was expected"),
        ("cut JSON", file("{\"a\":{\"dtype\":\"F32\""), "was expected"),
        ("bytes after the JSON", file("{}x"), "the end was expected"),
        ("truncated data", file("{\(entry)}", data: 7), "take 8 bytes, it has 7: truncated?"),
        ("data too long", file("{\(entry)}", data: 9), "take 8 bytes, it has 9"),
        (
            "unknown type", file(#"{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}"#, data: 2),
            "'F8_E4M3', which is not supported"
        ),
        (
            "shape and bytes differ", file(#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, data: 8),
            "does not take the bytes 0..<8"
        ),
        (
            "end before begin", file(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, data: 8),
            "does not take the bytes"
        ),
        (
            "shape that overflows",
            file(#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#),
            "does not take the bytes"
        ),
        (
            "offset that overflows",
            file(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,99999999999999999999]}}"#),
            "a size of at most 63 bits was expected"
        ),
        (
            "negative size", file(#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, data: 8),
            "a size of at most 63 bits"
        ),
        ("fraction", file(#"{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}"#, data: 8), "']' was expected"),
        (
            "three offsets", file(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}"#, data: 8),
            "3 data offsets, not 2"
        ),
        (
            "overlap", file(#"{\#(entry),"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, data: 12),
            "overlap or leave a gap"
        ),
        (
            "gap", file(#"{\#(entry),"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}"#, data: 16),
            "overlap or leave a gap"
        ),
        (
            "does not begin at 0", file(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, data: 8),
            "begins at byte 4"
        ),
        ("duplicate key", file("{\(entry),\(entry)}", data: 8), "the header has 'a' twice"),
        (
            "duplicate key, escaped",
            file(#"{\#(entry),"\u0061":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}}"#, data: 8),
            "the header has 'a' twice"
        ),
        (
            "duplicate field", file(#"{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, data: 8),
            "'dtype' twice"
        ),
        ("missing field", file(#"{"a":{"dtype":"F32","data_offsets":[0,8]}}"#, data: 8), "has no 'shape'"),
        (
            "unknown field", file(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}"#, data: 8),
            "unknown field 'x'"
        ),
        (
            "not UTF-8",
            file(
                Array(#"{"a"#.utf8) + [0xff] + Array(#"":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#.utf8),
                data: 8), "no UTF-8"
        ),
        (
            "half a surrogate", file(#"{"\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, data: 8),
            "surrogate"
        ),
        ("metadata that is no text", file(#"{"__metadata__":{"a":1}}"#), "a string was expected"),
    ] as [(String, [UInt8], String)])
func lyingFileIsRefusedWithItsName(_ what: String, _ bytes: [UInt8], _ reason: String) throws {
    let scratch = try Scratch()
    try scratch.put(bytes)
    let error = #expect(throws: UserError.self, "\(what)") { try Safetensors.read(scratch.path) }
    let text = try #require(error).description
    #expect(text.hasPrefix(scratch.path) && text.contains(reason), "\(what): \(text)")
    #expect(!text.contains("\n"))
}

@Test func everyTruncationAndEveryFlippedHeaderByteIsAnErrorOrATensor() throws {
    let scratch = try Scratch()
    let state = NamedTensors([("w", try Tensor([1, 2, 3] as [Float])), ("n", try Tensor([5]))])
    try Safetensors.write(state, to: scratch.path)
    let whole = try scratch.get()
    for length in 0..<whole.count {
        try scratch.put(Array(whole[..<length]))
        #expect(throws: UserError.self, "cut to \(length) bytes") { try Safetensors.read(scratch.path) }
    }
    var random = KeyedRandom(seed: 3, purpose: "flips")
    for position in 0..<(whole.count - 20) {
        var bytes = whole
        bytes[position] ^= 1 << UInt8(random.below(8))
        try scratch.put(bytes)
        // A changed name or type of the same size is still a file; what counts is that nothing else than UserError comes.
        do { _ = try Safetensors.read(scratch.path) } catch is UserError {}
    }
}

@Test func booleanBytesAreChecked() throws {
    let scratch = try Scratch()
    try scratch.put(file(#"{"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}"#) + [2])
    #expect(throws: UserError.self) { try Safetensors.read(scratch.path) }
}

@Test func missingFilesAndNamesAreNamed() throws {
    let scratch = try Scratch()
    let absent = #expect(throws: UserError.self) { try Safetensors.read(scratch.path) }
    #expect(try #require(absent).description.contains(scratch.path))
    #expect(throws: UserError.self) { try Safetensors.read(scratch.folder) }
    try Safetensors.write(NamedTensors([("weight", try Tensor.zeros([1]))]), to: scratch.path)
    let misspelt = #expect(throws: UserError.self) { try SafetensorsFile(path: scratch.path).tensor("wieght") }
    #expect(try #require(misspelt).description.contains("did you mean 'weight'?"))
    let unwritable = #expect(throws: UserError.self) {
        try Safetensors.write(NamedTensors(), to: scratch.folder + "/no/such/folder.safetensors")
    }
    #expect(try #require(unwritable).description.contains("/no/such/folder.safetensors"))
}
