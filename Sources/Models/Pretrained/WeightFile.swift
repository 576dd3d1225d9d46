import Basics
import Tensors
import WeightFiles

/// The tensors of a file of weights of any format: safetensors, or what PyTorch's `torch.save` wrote.
public struct WeightFile {
    public let path: String
    public let tensors: NamedTensors
    /// `safetensors`, or `torch.save, its 'state_dict'`.
    public let format: String
    /// What stands beside the tensors: an epoch, an optimiser's state.
    public let besides: [String]

    /// Reads all of it; nothing in it is executed.
    ///
    /// - Throws: `UserError`, one line that names the file and says what is wrong with it and what helps.
    public init(path: String) throws {
        self.path = path
        let bytes = try SharedBytes(mapping: path)
        do {
            switch try WeightFileFormat(of: bytes) {
            case .safetensors:
                format = "safetensors"
                besides = []
                tensors = try SafetensorsFile(bytes, path: path).tensors()
            case .torch:
                let file = try TorchFile(bytes)
                let place = file.path.joined(separator: ".")
                format = "torch.save" + (place.isEmpty ? "" : ", its '\(place)'")
                besides = file.besides
                tensors = NamedTensors(try file.tensors.map { ($0.name, try Tensor(of: $0, in: file)) })
            }
        } catch let error as UserError {
            let names = "\(error)".hasPrefix(path)
            throw names ? error : UserError("\(path) is no usable file of weights: \(error)")
        }
        guard !tensors.isEmpty else { throw UserError("\(path) is no usable file of weights: it holds no tensor") }
    }
}

extension Tensor {
    /// One tensor of a file, on memory of its own.
    fileprivate convenience init(of tensor: TorchFile.Tensor, in file: TorchFile) throws {
        guard let dtype = DType(rawValue: tensor.type.rawValue) else {
            throw UserError("'\(tensor.name)' has the element type \(tensor.type), which is not supported here")
        }
        try self.init(adopting: file.bytes(of: tensor), dtype: dtype, shape: tensor.shape)
    }
}
