import Basics

/// The tensors of a file that PyTorch's `torch.save` wrote: a ZIP archive of a pickle and one record per storage.
///
/// Nothing of the file is executed: the pickle may hold dictionaries of tensors and little else (`PickleMachine`). All that the file
/// claims about its tensors is checked before the first is read.
public final class TorchFile {
    public struct Tensor: Sendable, Equatable {
        public let name: String
        public let type: ElementType
        public let shape: [Int]
        let strides: [Int]
        let offset: Int
        let record: String

        /// The number of elements; that the sizes' product is one, `init` of the file has checked.
        public var count: Int { shape.contains(0) ? 0 : shape.reduce(1, *) }
    }

    /// In the order of the dictionary that holds them.
    public let tensors: [Tensor]
    /// Where in the file they were: `["state_dict"]`, or nothing for a file that holds them directly.
    public let path: [String]
    /// What else stands in the file: an epoch, an optimiser's state.
    public let besides: [String]

    private let archive: ZipArchive
    /// The storage read last: tensors that share one stand side by side.
    private var last: (record: String, bytes: SharedBytes)?

    /// The tensors of a file may take several times its size where they share storages; four times is more than any
    /// checkpoint with tied weights does.
    static let mostSharing = 4

    /// - Throws: `UserError` without the file's name and with the first thing that is wrong.
    public init(_ bytes: SharedBytes) throws {
        let archive = try ZipArchive(bytes)
        self.archive = archive
        let pickle = try Self.pickleName(in: archive)
        let folder = String(pickle.dropLast("data.pkl".count))
        if archive.names.contains(where: { $0.hasPrefix(folder + "code/") || $0 == folder + "constants.pkl" }) {
            throw UserError(
                "it holds a TorchScript program; in Python, save its weights only: "
                    + "torch.save(torch.jit.load(FILE).state_dict(), OTHER)")
        }
        if let order = try archive.size(of: folder + "byteorder"), order <= 16 {
            let text = try String(decoding: archive.read(folder + "byteorder").array(of: UInt8.self), as: UTF8.self)
            guard text == "little" else {
                throw UserError("its numbers are in the byte order '\(text)'; little is read")
            }
        }
        let (value, heap) = try PickleMachine.run(archive.read(pickle))
        guard case .dictionary(let root) = value else {
            throw UserError("it holds no dictionary of tensors; in Python: torch.save(model.state_dict(), FILE)")
        }
        var search = StateSearch(heap: heap)
        let state = try search.state(in: root)
        path = state.path
        besides = search.besides(root, state)

        var total = 0
        var found: [Tensor] = []
        for (name, index) in search.tensors(of: state.dictionary) {
            let tensor = try Self.checked(name, heap.tensors[index], in: archive, folder: folder)
            total += tensor.count * tensor.type.size
            guard total <= Self.mostSharing * bytes.count else {
                throw UserError("its tensors would take over \(total) bytes, the file has \(bytes.count)")
            }
            found.append(tensor)
        }
        tensors = found
    }

    /// The pickle of a file, for tests that spoil it.
    package static func pickle(of file: SharedBytes) throws -> SharedBytes {
        let archive = try ZipArchive(file)
        return try archive.read(pickleName(in: archive))
    }

    /// How many tensors a pickle without its file describes, for tests that spoil it.
    package static func tensorCount(ofPickle bytes: SharedBytes) throws -> Int {
        let (value, heap) = try PickleMachine.run(bytes)
        guard case .dictionary(let root) = value else { throw UserError("it holds no dictionary") }
        var search = StateSearch(heap: heap)
        let state = try search.state(in: root)
        _ = search.besides(root, state)
        return search.tensors(of: state.dictionary).count
    }

    private static func pickleName(in archive: ZipArchive) throws -> String {
        guard let name = archive.names.first(where: { $0 == "data.pkl" || $0.hasSuffix("/data.pkl") }) else {
            throw UserError("it is a ZIP archive but no file of torch.save: it has no data.pkl")
        }
        return name
    }

    /// One tensor's elements, row-major, whatever the order in which the file has them.
    ///
    /// - Throws: `UserError` without the file's name, where the record is damaged.
    public func bytes(of tensor: Tensor) throws -> SharedBytes {
        if last?.record != tensor.record { last = (tensor.record, try archive.read(tensor.record)) }
        guard let storage = last?.bytes else { return SharedBytes([UInt8]()) }
        let size = tensor.type.size
        let result = storage.withUnsafeBytes { source in
            SharedBytes(count: tensor.count * size) { target in
                guard !target.isEmpty else { return }
                tensor.copyRows(from: source, to: target)
            }
        }
        // Any other byte in a Boolean is undefined behaviour in C++.
        guard tensor.type != .bool || result.withUnsafeBytes({ $0.allSatisfy { $0 <= 1 } }) else {
            throw UserError("its '\(tensor.name)' is Boolean but holds bytes other than 0 and 1")
        }
        return result
    }

    /// What the pickle says of a tensor, compared with the record that holds its elements.
    static func checked(
        _ name: String, _ tensor: PickledTensor, in archive: ZipArchive, folder: String
    ) throws -> Tensor {
        let record = folder + "data/" + tensor.storage.key
        guard let bytes = try archive.size(of: record) else { throw UserError("'\(name)' has no record '\(record)'") }
        let size = tensor.storage.type.size
        guard tensor.storage.count <= bytes / size else {
            throw UserError(
                "'\(name)' wants \(tensor.storage.count) elements of \(size) bytes of record '\(record)', "
                    + "which has \(bytes) bytes")
        }
        // The number of elements, and the place of the last one.
        var count = 1
        var end = tensor.offset
        var overflow = false
        for (side, stride) in zip(tensor.shape, tensor.strides) where !overflow {
            let (reach, tooFar) = max(0, side - 1).multipliedReportingOverflow(by: stride)
            let (sum, beyond) = end.addingReportingOverflow(reach)
            (count, overflow) = count.multipliedReportingOverflow(by: side)
            end = sum
            overflow = overflow || tooFar || beyond
        }
        let isEmpty = tensor.shape.contains(0)
        guard isEmpty || !overflow && end < tensor.storage.count && count <= tensor.storage.count else {
            throw UserError(
                "'\(name)' of shape \(tensor.shape) and strides \(tensor.strides) at element \(tensor.offset) "
                    + "does not fit the \(tensor.storage.count) elements of its storage")
        }
        return Tensor(
            name: name, type: tensor.storage.type, shape: tensor.shape, strides: tensor.strides, offset: tensor.offset,
            record: record)
    }
}

extension TorchFile.Tensor {
    /// Elements that stand side by side in the file are copied at once.
    fileprivate func copyRows(from source: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer) {
        let size = type.size
        // The last dimensions that are row-major already make one run.
        var run = 1
        var outer = shape.count
        while outer > 0, strides[outer - 1] == run || shape[outer - 1] == 1 {
            run *= shape[outer - 1]
            outer -= 1
        }
        var index = [Int](repeating: 0, count: outer)
        var from = offset
        for start in stride(from: 0, to: count, by: run) {
            let elements = UnsafeRawBufferPointer(rebasing: source[from * size..<(from + run) * size])
            UnsafeMutableRawBufferPointer(rebasing: target[start * size..<(start + run) * size]).copyMemory(
                from: elements)
            var dimension = outer - 1
            while dimension >= 0 {
                index[dimension] += 1
                // Of a side of 1 the stride may be anything; what is added wrong is taken off again.
                from &+= strides[dimension]
                if index[dimension] < shape[dimension] { break }
                from &-= strides[dimension] &* shape[dimension]
                index[dimension] = 0
                dimension -= 1
            }
        }
    }
}
