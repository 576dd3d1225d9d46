import Basics
import Foundation
import Wire

/// What a worker answered, checked: a worker of another version, or in another language, must not be believed.
extension TicketResult {
    /// A result's body.
    ///
    /// - Throws: `UserError` that names the worker.
    public func report<Report: Decodable>(as type: Report.Type = Report.self) throws -> Report {
        do {
            return try JSONDecoder().decode(type, from: body)
        } catch {
            throw UserError("\(worker) answered ticket \(id) with a body that is no \(Report.self)")
        }
    }

    /// A result's tensor, checked against what its ticket asked for.
    ///
    /// - Throws: `UserError` that names the worker: it is the one to mend.
    public func tensor(_ name: String, _ dtype: WireDType, _ shape: [Int]) throws -> SharedBytes {
        guard let tensor = tensors.first(where: { $0.name == name }) else {
            throw UserError("\(worker) answered ticket \(id) without the tensor '\(name)'")
        }
        guard tensor.dtype == dtype, tensor.shape == shape else {
            throw UserError(
                "\(worker) answered ticket \(id) with '\(name)' \(tensor.dtype.rawValue) \(tensor.shape); "
                    + "expected \(dtype.rawValue) \(shape)")
        }
        return tensor.bytes
    }
}
