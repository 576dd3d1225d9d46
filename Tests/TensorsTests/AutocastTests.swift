import Testing

@testable import Tensors

@Suite(.serialized) struct AutocastTests {
    private func pattern(_ shape: [Int], _ step: Int) throws -> Tensor {
        try Tensor((0..<shape.reduce(1, *)).map { Float(($0 * step) % 41) / 20 - 1 }, shape: shape)
    }

    @Test func productsAreCastWithinAndNotOutside() throws {
        let x = try pattern([2, 8, 9, 9], 7).channelsLast()
        let weight = try pattern([8, 8, 3, 3], 5)
        let rows = try pattern([4, 8], 3)
        try withAutocast(.bfloat16, on: .cpu) { () throws in
            #expect(try x.conv2d(weight).dtype == .bfloat16)
            #expect(try rows.linear(pattern([3, 8], 3)).dtype == .bfloat16)
            #expect(try rows.matmul(rows.transpose(0, 1)).dtype == .bfloat16)
            #expect(try (rows + rows).dtype == .float32)
            try withAutocast(nil, on: .cpu) { () throws in #expect(try x.conv2d(weight).dtype == .float32) }
            #expect(try x.conv2d(weight).dtype == .bfloat16)
        }
        #expect(try x.conv2d(weight).dtype == .float32)
        #expect(throws: TensorError.self) { try withAutocast(.int8, on: .cpu) {} }
        #expect(try x.conv2d(weight).dtype == .float32)
    }

    @Test func errorsLeaveItAsItWas() throws {
        struct Failed: Error {}
        #expect(throws: Failed.self) { try withAutocast(.bfloat16, on: .cpu) { throw Failed() } }
        let x = try pattern([2, 2], 3)
        #expect(try x.matmul(x).dtype == .float32)
    }

    @Test func parametersGetGradientsOfTheirOwnTypeNearThoseOfFloat32() throws {
        let x = try pattern([2, 8, 9, 9], 7).channelsLast()
        func gradient(_ dtype: DType?) throws -> Tensor {
            let weight = try pattern([8, 8, 3, 3], 5).requiresGrad(true)
            let loss = try withAutocast(dtype, on: .cpu) {
                // Read twice: the copy that is cast once serves both.
                try (x.conv2d(weight) + x.conv2d(weight)).widened().square().sum()
            }
            try loss.backward()
            return try #require(try weight.grad)
        }
        let (narrow, wide) = (try gradient(.bfloat16), try gradient(nil))
        #expect(narrow.dtype == .float32)
        let difference = try (narrow - wide).norm().item() / wide.norm().item()
        // Three roundings to 8 bits.
        #expect(difference > 1e-5 && difference < 3 * 0x1p-8)
    }

    /// A copy of a parameter's old value must not serve the next step.
    @Test func changedParametersAreCastAnew() throws {
        let weight = try Tensor([1, 2] as [Float], shape: [1, 2]).requiresGrad(true)
        let x = try Tensor([1, 1] as [Float], shape: [1, 2])
        func product() throws -> Double {
            try withAutocast(.bfloat16, on: .cpu) { try x.linear(weight).item() }
        }
        #expect(try product() == 3)
        try withoutGradient { _ = try weight.add_(1.0) }
        #expect(try product() == 5)
    }

    @Test func relu6OfBfloat16PassesGradientsStrictlyBetweenItsBounds() throws {
        let values: [Float] = [-7, -0.0, 0, 0.0078125, 3, 5.96875, 6, 6.03125, 100]
        let x = try Tensor(values, shape: [1, 9, 1, 1]).requiresGrad(true)
        let y = try (x.to(.bfloat16) * 1.0).relu6_()
        #expect(y.dtype == .bfloat16)
        #expect(try y.to(.float32).array(of: Float.self) == [0, 0, 0, 0.0078125, 3, 5.96875, 6, 6, 6])
        try y.backward(gradient: Tensor([Float](repeating: -2, count: 9), shape: [1, 9, 1, 1]).to(.bfloat16))
        #expect(try x.grad!.array(of: Float.self) == [0, 0, 0, -2, -2, -2, 0, 0, 0])
    }

    /// Many elements over several threads, another order in memory upstream, and not in place.
    @Test func relu6OfBfloat16IsThatOfFloat32() throws {
        let shape = [4, 24, 40, 41]
        let narrow = try (pattern(shape, 7) * 8.0).to(.bfloat16).channelsLast().requiresGrad(true)
        let wide = try narrow.detach().to(.float32).requiresGrad(true)
        let upstream = try pattern(shape, 11).to(.bfloat16)
        let y = try narrow.relu6()
        #expect(y.isContiguous(.channelsLast))
        try y.backward(gradient: upstream)
        try wide.relu6().backward(gradient: upstream.to(.float32))
        #expect(try y.to(.float32).isEqual(to: wide.relu6()))
        #expect(try narrow.grad!.to(.float32).isEqual(to: wide.grad!))
        #expect(throws: TensorError.self) { try narrow.detach().slice(dim: 2, step: 2).relu6_() }
    }

    @Test func onlyShortTypesAreWidened() throws {
        let x = try pattern([3], 1)
        #expect(try x.to(.bfloat16).widened().dtype == .float32)
        #expect(try x.to(.float16).widened().dtype == .float32)
        #expect(try x.widened().isSame(as: x))
        #expect(try x.to(.float64).widened().dtype == .float64)
    }
}
