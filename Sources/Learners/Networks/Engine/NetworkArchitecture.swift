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
    /// Standardizes every column by the batch's mean and deviation while training, by running ones after that; then scales
    /// and shifts it. Of a picture, a column is a channel. `momentum` is the batch's share of the new running statistics.
    case batchNorm(epsilon: Float, momentum: Float)
    /// What the layers make of x, plus x; they must keep its shape.
    case residual(layers: [LayerSpecification])
    /// Works on the rows of a sequence together.
    case sequence(SequenceLayer)
    /// Vectors that the identifiers of an example have in tables, beside each other or added up.
    case embedding(tables: [EmbeddingTable], units: Int, arrangement: EmbeddingArrangement)
    /// What every branch makes of x, side by side.
    case concatenation(branches: [[LayerSpecification]])
    /// What every branch makes of x, added up.
    case sum(branches: [[LayerSpecification]])
    /// Products of every window of a picture with weights; `padding` pixels of 0 around it.
    case convolution(channels: Int, height: Int, width: Int, stride: Int, padding: Int)
    /// The largest value of every window of a picture, or the mean.
    case pooling(averages: Bool, height: Int, width: Int, stride: Int)
    /// The mean of each channel.
    case globalMean
    /// The rows of x one after the other, as one.
    case flatten
    /// The row of the last event of a sequence, 0 where there is none; of a sequence that no embedding began, the last row.
    case lastStep
    /// x is vectors of `units` side by side: the first, and the products of all with each other (DLRM).
    case interaction(units: Int)

    /// The word for it in messages and files.
    public var word: String {
        switch self {
        case .dense: "dense"
        case .activation: "activation"
        case .dropout: "dropout"
        case .layerNorm: "layer-norm"
        case .batchNorm: "batch-norm"
        case .residual: "residual"
        case .sequence(let layer): layer.word
        case .embedding: "embedding"
        case .concatenation: "concatenation"
        case .sum: "sum"
        case .interaction: "interaction"
        case .convolution: "convolution"
        case .pooling(let averages, _, _, _): averages ? "mean-pool" : "max-pool"
        case .globalMean: "global-mean"
        case .flatten: "flatten"
        case .lastStep: "last-step"
        }
    }
}

/// Functions of every element.
public enum ActivationName: String, Codable, Sendable, CaseIterable {
    case relu, gelu, silu, sigmoid, tanh
    /// Over the columns of a row.
    case softmax
}

/// A table of vectors, and which identifiers of an example look their vectors up in it.
public struct EmbeddingTable: Codable, Sendable, Equatable {
    /// Number of vectors.
    public var rows: Int
    /// The first column of the identifiers.
    public var column: Int
    /// How many columns, one after the other, make one bag; identifiers below 0 are none.
    public var count: Int
    /// Whether a bag is the mean of its vectors; else their sum.
    public var averages: Bool

    public init(rows: Int, column: Int, count: Int = 1, averages: Bool = false) {
        self.rows = rows
        self.column = column
        self.count = count
        self.averages = averages
    }
}

/// How the vectors of an example are put together.
public enum EmbeddingArrangement: String, Codable, Sendable {
    /// Side by side, behind x.
    case append
    /// Side by side, in the place of x.
    case replace
    /// Added up, in the place of x.
    case sum
    /// One below the other, in the place of x: there is one table, and its identifiers are the steps of a sequence, those
    /// behind its end below 0.
    case steps
}

/// What flows between two layers, for one example of a batch.
public struct LayerShape: Codable, Sendable, Equatable, CustomStringConvertible {
    /// Rows of the matrix for one example: 1, the length of a sequence, or the pixels of a picture, row by row.
    public var rows: Int
    /// Columns of the matrix: of a picture, its channels.
    public var columns: Int
    /// Pixels in a row of a picture; nil for what is none.
    public var width: Int?

    public init(rows: Int = 1, columns: Int) {
        self.rows = rows
        self.columns = columns
    }

    /// A picture.
    public init(height: Int, width: Int, channels: Int) {
        self.init(rows: height * width, columns: channels)
        self.width = width
    }

    public var description: String {
        if let width, width > 0 { return "\(rows / width) × \(width) × \(columns)" }
        return rows == 1 ? "\(columns)" : "\(rows) × \(columns)"
    }
}

/// A network: what goes in, and its layers.
public struct NetworkArchitecture: Codable, Sendable, Equatable {
    public var input: LayerShape
    public var layers: [LayerSpecification]
    /// Identifiers that an example has beside its numbers; nil for none.
    public var identifiers: Int?

    public init(input: LayerShape, layers: [LayerSpecification], identifiers: Int? = nil) {
        self.input = input
        self.layers = layers
        self.identifiers = identifiers
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
        let identifiers = identifiers ?? 0
        guard input.rows > 0, input.columns >= 0, identifiers >= 0, input.columns + identifiers > 0 else {
            throw ParameterError("input", "a network needs at least one input, not \(input)")
        }
        let (layers, output) = try ResolvedLayer.resolve(
            self.layers, input: input, prefix: "", identifiers: identifiers)
        return ResolvedNetwork(input: input, identifiers: identifiers, layers: layers, output: output)
    }
}

/// A network whose shapes are known.
public struct ResolvedNetwork: Sendable {
    public let input: LayerShape
    /// Identifiers of an example.
    public let identifiers: Int
    public let layers: [ResolvedLayer]
    public let output: LayerShape

    /// Parameters of all layers, in order.
    public var parameters: [ParameterDescription] { layers.flatMap(\.allParameters) }

    /// Number of parameters that are trained.
    public var parameterCount: Int { parameters.trainedCount }
}
