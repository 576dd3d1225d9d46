import Testing

@testable import Tensors

@Suite struct MultiplyAddsTests {
    @Test func countsConvolutionsAndProductsOnly() throws {
        let images = try Tensor.ones([2, 8, 9, 7])
        let kernel = try Tensor.ones([6, 4, 3, 3])  // two groups
        let (out, convolution) = try Operator.countingMultiplyAdds {
            try images.conv2d(kernel, stride: 2, padding: 1, groups: 2).relu()
        }
        #expect(out.shape == [2, 6, 5, 4])
        #expect(convolution == 2 * 6 * 5 * 4 * (4 * 3 * 3))

        let rows = try Tensor.ones([5, 3, 11])
        let (_, linear) = try Operator.countingMultiplyAdds {
            try Operator.call("aten::linear", rows, Tensor.ones([13, 11]), Tensor.ones([13]))
        }
        #expect(linear == 5 * 3 * 13 * 11)

        let (_, products) = try Operator.countingMultiplyAdds {
            try rows.matmul(Tensor.ones([11, 2])).sum() + rows.matmul(Tensor.ones([5, 11, 4])).sum()
        }
        #expect(products == 5 * 3 * 2 * 11 + 5 * 3 * 4 * 11)
    }

    @Test func countsOfCountsAddUpAndEndWithTheirBody() throws {
        let one = try Tensor.ones([2, 2])
        let (inner, all) = try Operator.countingMultiplyAdds {
            _ = try one.matmul(one)
            return try Operator.countingMultiplyAdds { try one.matmul(one) }.count
        }
        #expect(inner == 8 && all == 16)
        _ = try one.matmul(one)
        #expect(try Operator.countingMultiplyAdds { try one + one }.count == 0)
        #expect(throws: TensorError.self) { try Operator.countingMultiplyAdds { try one.matmul(Tensor.ones([3, 1])) } }
        #expect(MultiplyAdds.current == nil)
    }
}
