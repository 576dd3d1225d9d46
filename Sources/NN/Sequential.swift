import Tensors

/// Layers one after the other. Keys are "0", "1", … unless names are given; a layer's place may be held by an `Identity`
/// where a published network has a layer that needs no counterpart here.
open class Sequential: Module, Layer {
    public let layers: [(key: String, layer: any Layer)]

    public init(_ layers: [any Layer]) {
        self.layers = layers.enumerated().map { ("\($0.offset)", $0.element) }
    }

    public convenience init(_ layers: any Layer...) { self.init(layers) }

    /// - Parameter layers: keys and layers in the order of the computation, for instance `("conv1", …)`.
    public init(named layers: [(key: String, layer: any Layer)]) { self.layers = layers }

    public subscript(index: Int) -> any Layer { layers[index].layer }
    public var count: Int { layers.count }

    /// The layers, then what a subclass declares itself.
    open override func children() -> [(key: String, module: Module)] {
        layers.map { ($0.key, $0.layer) } + super.children()
    }

    open func callAsFunction(_ x: Tensor) throws -> Tensor {
        try layers.reduce(x) { try $1.layer($0) }
    }
}
