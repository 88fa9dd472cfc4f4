import Compute
import Core
import Tables

/// A convolutional network for pictures, whose pixels are the columns of the features: row by row, the channels of a pixel
/// beside each other.
public struct CNNLearner: NetworkConfiguration {
    public static let kind = "cnn"
    public static let title = "Convolutional network"
    public static let tasks: Set<SupervisedTask.Kind> = [.regression, .binary, .multiclass]
    public static let searchSpace: [SearchDimension] = [
        .range("learningRate", 1e-4, 1e-2, logarithmic: true), .range("dropout", 0, 0.5),
    ]

    /// Extents of a picture; 0 for a square of as many pixels as there are columns.
    public var height = 0
    public var width = 0
    /// Channels of a pixel.
    public var depth = 1
    /// Channels of the convolutions, each 3 × 3 with padding and followed by the largest of 2 × 2.
    public var channels = [16, 32]
    /// The layers as a text (``ArchitectureText``), in place of `channels`, `hidden` and what goes with them.
    public var architecture = ""
    public var hidden = [64]
    public var activation = ActivationName.relu
    public var dropout: Float = 0.2
    public var layerNorm = false
    public var optimizer = NetworkOptimizer.adam
    public var learningRate: Float?
    public var epochs = 10
    public var batchSize = 64
    public var validation = 0.0
    public var patience = 0
    public var schedule = LearningRateSchedule.cosine
    public var warmUpSteps = 0
    public var momentum: Float = 0.9
    public var weightDecay: Float = 0.01
    public var l1: Float = 0
    public var l2: Float = 0
    public var clipNorm: Float = 0
    public var labelSmoothing: Float = 0
    public var huber: Float = 0
    public var accumulate = 1
    public var bfloat16: Bool?
    public var seed: UInt64 = 42

    public init() {}

    public static var parameterNames: Set<String> { ["learningRate", "bfloat16"] }

    /// Pixels as they are: the learner scales all alike.
    public func defaultRecipe(texts: [String]) -> Recipe { Recipe() }

    public func validate() throws {
        try validateTraining()
        if !architecture.isEmpty { _ = try ArchitectureText.layers(architecture) }
        guard height >= 0, width >= 0, (height > 0) == (width > 0) else {
            throw ParameterError("width", "height and width go together, and are 0 or more")
        }
        guard depth >= 1, depth <= 1 << 16 else {
            throw ParameterError("depth", "must be from 1 to 65536, not \(depth)")
        }
        guard channels.allSatisfy({ $0 >= 1 && $0 <= 1 << 16 }) else {
            throw ParameterError(
                "channels", "must be 1 or more each, not \(channels.map(String.init).joined(separator: ","))")
        }
    }

    /// The layers for pictures of a shape.
    func network(_ shape: LayerShape, outputs: Int) throws -> NetworkArchitecture {
        var layers: [LayerSpecification] = []
        if architecture.isEmpty {
            for count in channels {
                layers += [
                    .convolution(channels: count, height: 3, width: 3, stride: 1, padding: 1),
                    .activation(function: activation), .pooling(averages: false, height: 2, width: 2, stride: 2),
                ]
            }
            layers += [.flatten] + hiddenLayers
        } else {
            layers = try ArchitectureText.layers(architecture)
            let resolved = try NetworkArchitecture(input: shape, layers: layers).resolved()
            if resolved.output.rows > 1 { layers.append(.flatten) }
        }
        return NetworkArchitecture(input: shape, layers: layers + [.dense(units: outputs, bias: true)])
    }

    private func shape(of columns: Int) throws -> LayerShape {
        if height > 0 {
            guard height * width * depth == columns else {
                throw DataError(
                    "pictures of \(height) × \(width) × \(depth) have \(height * width * depth) numbers, the rows \(columns)"
                )
            }
            return LayerShape(height: height, width: width, channels: depth)
        }
        let pixels = columns / depth
        let side = Int(Double(pixels).squareRoot().rounded())
        guard side * side * depth == columns, side > 0 else {
            throw DataError("\(columns) columns are no square picture of \(depth) channels; give its height and width")
        }
        return LayerShape(height: side, width: side, channels: depth)
    }

    public func fit(_ training: TrainingSet, context: LearningContext) throws -> NetworkPredictor {
        try validate()
        try training.validate()
        let pixels = training.features.dense
        let architecture = try network(try shape(of: pixels.columns), outputs: outputs(training.task))
        let (mean, deviation) = try Self.moments(pixels)
        return try train(
            architecture, on: training, inputs: nil, scaling: (Float(mean), Float(1 / deviation)), context: context)
    }

    /// Mean and deviation of all pixels.
    private static func moments(_ pixels: HostMatrix) throws -> (mean: Double, deviation: Double) {
        let count = pixels.rows * pixels.columns
        var (sum, squares) = (0.0, 0.0)
        for place in 0..<count { sum += Double(pixels.storage[place]) }
        let mean = sum / Double(max(count, 1))
        guard mean.isFinite else { throw DataError("a pixel is missing or not finite") }
        for place in 0..<count {
            squares += (Double(pixels.storage[place]) - mean) * (Double(pixels.storage[place]) - mean)
        }
        let deviation = (squares / Double(max(count, 1))).squareRoot()
        return (mean, deviation > 0 ? deviation : 1)
    }
}
