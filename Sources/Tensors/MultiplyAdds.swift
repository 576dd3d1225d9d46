extension Operator {
    /// Counts the multiply-adds of the convolutions and matrix products that `body` calls; all else costs little beside
    /// them. Calls of other threads, and what runs inside one of libtorch's operators (backward passes too), are not seen.
    public static func countingMultiplyAdds<Result>(_ body: () throws -> Result) rethrows -> (Result, count: Int) {
        let tally = MultiplyAdds()
        let result = try MultiplyAdds.$current.withValue(tally) { try body() }
        MultiplyAdds.current?.count += tally.count
        return (result, tally.count)
    }
}

/// A count that is being taken.
///
/// `@unchecked Sendable`: it is the calling thread's alone, which a task-local value cannot say.
final class MultiplyAdds: @unchecked Sendable {
    /// Nil where nobody counts.
    @TaskLocal static var current: MultiplyAdds?

    var count = 0

    /// Adds one call: as many as the result has elements, each a sum over a row of the second argument.
    func note(_ name: StaticString, _ arguments: [any OperatorArgument], _ results: [OperatorResult]) {
        guard case .tensor(let result?)? = results.first else { return }
        switch "\(name)" {
        case "aten::conv2d", "aten::linear":
            // [O, C / groups, kh, kw] or [O, C]
            guard let weight = arguments[1] as? Tensor else { return }
            count += result.count * (weight.count / max(1, weight.size(0)))
        case "aten::matmul":
            guard let left = arguments[0] as? Tensor else { return }
            count += result.count * left.size(left.dim - 1)
        default: break
        }
    }
}
