import NN
import Tensors

/// A small fully convolutional head (Long et al., "Fully Convolutional Networks for Semantic Segmentation", 2015), as
/// torchvision's `FCNHead`, whose state keys it carries: there and here the auxiliary head of DeepLabV3.
public final class FCNHead: Module, Layer {
    @Child("0") var conv: Conv2d
    @Child("1") var norm: BatchNorm2d
    @Child("4") var classifier: Conv2d  // 2 is the ReLU, 3 the dropout; they have no state
    private let dropout: Double

    public init(channels: Int, classes: Int, dropout: Double = 0.1) throws {
        self.dropout = dropout
        super.init()
        let hidden = channels / 4
        conv = try Conv2d(channels, hidden, kernel: 3, padding: 1, bias: false)
        norm = try BatchNorm2d(hidden)
        classifier = try Conv2d(hidden, classes, kernel: 1)
    }

    /// `[B, C, h, w] -> [B, classes, h, w]`: scores at the features' resolution.
    public func callAsFunction(_ features: Tensor) throws -> Tensor {
        let x = try norm.relu(conv(features)).dropout(dropout, training: isTraining)  // [B, C/4, h, w]
        return try classifier(x)
    }
}
