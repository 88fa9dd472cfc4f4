import Core

/// One layer of a network.
public indirect enum LayerSpecification: Codable, Sendable, Equatable {
    /// y = x · Wᵀ + b.
    case dense(units: Int, bias: Bool)
    /// A function of every element.
    case activation(function: ActivationName)
    /// Zeroes elements with a probability while training.
    case dropout(probability: Float)
    /// Standardizes every row, then scales and shifts its columns.
    case layerNorm(epsilon: Float)
    /// What the layers make of x, plus x; they must keep its shape.
    case residual(layers: [LayerSpecification])
    /// Works on the rows of a sequence together.
    case sequence(SequenceLayer)

    /// The word for it in messages and files.
    public var word: String {
        switch self {
        case .dense: "dense"
        case .activation: "activation"
        case .dropout: "dropout"
        case .layerNorm: "layer-norm"
        case .residual: "residual"
        case .sequence(let layer): layer.word
        }
    }
}

/// Functions of every element.
public enum ActivationName: String, Codable, Sendable, CaseIterable {
    case relu, gelu, silu, sigmoid, tanh
}

/// What flows between two layers, for one example of a batch.
public struct LayerShape: Codable, Sendable, Equatable, CustomStringConvertible {
    /// Rows of the matrix for one example: 1, or the length of a sequence.
    public var rows: Int
    /// Columns of the matrix.
    public var columns: Int

    public init(rows: Int = 1, columns: Int) {
        self.rows = rows
        self.columns = columns
    }

    public var description: String { rows == 1 ? "\(columns)" : "\(rows) × \(columns)" }
}

/// A network: what goes in, and its layers.
public struct NetworkArchitecture: Codable, Sendable, Equatable {
    public var input: LayerShape
    public var layers: [LayerSpecification]

    public init(input: LayerShape, layers: [LayerSpecification]) {
        self.input = input
        self.layers = layers
    }

    /// A multilayer perceptron: dense layers of the given widths with an activation, and dropout after each when its
    /// probability is above 0, and a dense layer of `outputs` units at the end.
    public static func perceptron(
        inputs: Int, hidden: [Int], activation: ActivationName = .relu, dropout: Float = 0, layerNorm: Bool = false,
        outputs: Int
    ) -> NetworkArchitecture {
        var layers: [LayerSpecification] = []
        for units in hidden {
            layers.append(.dense(units: units, bias: true))
            if layerNorm { layers.append(.layerNorm(epsilon: 1e-5)) }
            layers.append(.activation(function: activation))
            if dropout > 0 { layers.append(.dropout(probability: dropout)) }
        }
        layers.append(.dense(units: outputs, bias: true))
        return NetworkArchitecture(input: LayerShape(columns: inputs), layers: layers)
    }

    /// Works out the shapes and parameters of all layers.
    /// Throws ``ParameterError`` that names the layer and both shapes where one does not fit.
    public func resolved() throws(ParameterError) -> ResolvedNetwork {
        guard input.rows > 0, input.columns > 0 else {
            throw ParameterError("input", "a network needs at least one input, not \(input)")
        }
        let (layers, output) = try ResolvedLayer.resolve(self.layers, input: input, prefix: "")
        return ResolvedNetwork(input: input, layers: layers, output: output)
    }
}

/// A network whose shapes are known.
public struct ResolvedNetwork: Sendable {
    public let input: LayerShape
    public let layers: [ResolvedLayer]
    public let output: LayerShape

    /// Parameters of all layers, in order.
    public var parameters: [ParameterDescription] { layers.flatMap(\.allParameters) }

    /// Number of parameters.
    public var parameterCount: Int { parameters.reduce(0) { $0 + $1.count } }
}

/// A layer with its shapes and parameters.
public struct ResolvedLayer: Sendable {
    public let specification: LayerSpecification
    /// Its place, as a PyTorch `nn.Sequential` numbers its modules: `0`, `3.1`.
    public let name: String
    public let input: LayerShape
    public let output: LayerShape
    /// Its own parameters.
    public let parameters: [ParameterDescription]
    /// The layers inside of it.
    public let children: [ResolvedLayer]

    /// Its own parameters and those of the layers inside of it.
    public var allParameters: [ParameterDescription] { parameters + children.flatMap(\.allParameters) }

    /// Floating-point operations of a forward pass for one example, products only.
    public var operations: Int {
        let own =
            switch specification {
            case .dense(let units, _): 2 * input.rows * input.columns * units
            case .sequence(let layer): layer.operations(input)
            default: 0
            }
        return own + children.reduce(0) { $0 + $1.operations }
    }

    static func resolve(
        _ layers: [LayerSpecification], input: LayerShape, prefix: String
    ) throws(ParameterError) -> ([ResolvedLayer], LayerShape) {
        var shape = input
        var resolved: [ResolvedLayer] = []
        for (index, layer) in layers.enumerated() {
            let next = try resolve(layer, input: shape, name: "\(prefix)\(index)")
            resolved.append(next)
            shape = next.output
        }
        return (resolved, shape)
    }

    private static func resolve(
        _ layer: LayerSpecification, input: LayerShape, name: String
    ) throws(ParameterError) -> ResolvedLayer {
        let place = "layer \(name) (\(layer.word))"
        var output = input
        var parameters: [ParameterDescription] = []
        var children: [ResolvedLayer] = []
        switch layer {
        case .dense(let units, let bias):
            guard units > 0, units <= 1 << 24 else {
                throw ParameterError(place, "units must be 1 or more, not \(units)")
            }
            output.columns = units
            parameters.append(
                ParameterDescription(
                    name: "\(name).weight", shape: [units, input.columns],
                    start: .glorot(inputs: input.columns, outputs: units)))
            if bias {
                parameters.append(ParameterDescription(name: "\(name).bias", shape: [units], start: .constant(0)))
            }
        case .activation: break
        case .dropout(let probability):
            guard probability >= 0, probability < 1 else {
                throw ParameterError(place, "the probability must be at least 0 and below 1, not \(probability)")
            }
        case .layerNorm(let epsilon):
            guard epsilon > 0 else { throw ParameterError(place, "epsilon must be above 0, not \(epsilon)") }
            parameters = [
                ParameterDescription(name: "\(name).weight", shape: [input.columns], start: .constant(1)),
                ParameterDescription(name: "\(name).bias", shape: [input.columns], start: .constant(0)),
            ]
        case .sequence(let layer): (output, parameters) = try layer.resolved(input, name: name, place: place)
        case .residual(let layers):
            guard !layers.isEmpty else { throw ParameterError(place, "a residual needs layers inside of it") }
            (children, output) = try resolve(layers, input: input, prefix: "\(name).")
            guard output == input else {
                throw ParameterError(place, "its layers turn \(input) into \(output); a residual needs them alike")
            }
        }
        return ResolvedLayer(
            specification: layer, name: name, input: input, output: output, parameters: parameters, children: children)
    }
}
