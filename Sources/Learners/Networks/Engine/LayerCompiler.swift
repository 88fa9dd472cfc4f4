import Compute
import Core

/// A value between two layers, for one shape of batch.
struct LayerFlow {
    /// (batch · shape.rows) × shape.columns
    var value: Matrix
    /// The gradient of the loss, as large as the value; nil where none is needed.
    var gradient: Matrix?
    var shape: LayerShape
}

typealias LayerStep = (Compute.Stream) throws(ComputeError) -> Void

/// Turns layers into steps for one shape of batch: allocates what they need, and lists what a forward and a backward
/// pass enqueue.
///
/// A backward step writes the gradient of its input, and those of its parameters; it may spoil the gradient of its
/// output. The steps are recorded as plans and replayed without allocation.
final class LayerCompiler {
    let stream: Compute.Stream
    let parameters: DeviceParameters
    /// Examples of a batch.
    let batch: Int
    let training: Bool
    /// Whether dropout is in effect.
    let dropsOut: Bool
    /// Whether batch normalization goes by the batch, and not by what it has seen while training.
    let usesBatchStatistics: Bool
    let seed: UInt64
    /// 1 × 1, int32: the number of the step, for dropout.
    let step: Matrix
    private(set) var forward: [LayerStep] = []
    /// In the order of the layers; run backwards.
    private(set) var backward: [LayerStep] = []
    /// What has to be uploaded of a batch's identifiers.
    var identifiers: [IdentifierBatch] = []
    /// Steps of tables, for after the backward pass.
    var updates: [TableUpdate] = []
    /// Whether several batches make a step.
    var accumulates = false
    /// How products of dense layers and convolutions take their operands.
    var precision = ProductPrecision.float32
    /// Layers whose products are of 8-bit integers.
    var quantized: DeviceQuantization?
    /// Inputs of products by the name of their layer, where they are asked for.
    var productInputs: [(layer: String, input: Matrix)] = []
    private var dropouts: UInt64 = 0
    /// 1 × (batch · length), int32, for attention: rows whose number is below 0 are seen by none.
    var padding: Matrix?
    /// Whether vectors of identifiers come from outside, and their gradients go there: for what is asked about them.
    var opensEmbeddings = false
    /// The layers whose vectors come from outside.
    var opened: [OpenedEmbedding] = []
    /// Where the sequences end that the last embedding has begun; nil before one.
    var ends: SequenceEnds?
    /// The probabilities of every attention, in the order of the layers.
    var attentions: [Matrix] = []

    init(
        stream: Compute.Stream, parameters: DeviceParameters, batch: Int, training: Bool, dropsOut: Bool? = nil,
        usesBatchStatistics: Bool? = nil, seed: UInt64, step: Matrix
    ) {
        self.stream = stream
        self.parameters = parameters
        self.batch = batch
        self.training = training
        self.dropsOut = dropsOut ?? training
        self.usesBatchStatistics = usesBatchStatistics ?? training
        self.seed = seed
        self.step = step
    }

    func matrix(_ shape: LayerShape) throws(ComputeError) -> Matrix {
        try stream.allocate(rows: batch * shape.rows, columns: shape.columns)
    }

    /// A value with a gradient where there is training.
    func flow(_ shape: LayerShape) throws(ComputeError) -> LayerFlow {
        LayerFlow(value: try matrix(shape), gradient: training ? try matrix(shape) : nil, shape: shape)
    }

    /// Lists the steps of a layer. `backward` runs only where there is training.
    func add(forward: @escaping LayerStep, backward: LayerStep? = nil) {
        self.forward.append(forward)
        if training, let backward { self.backward.append(backward) }
    }

    /// A step that is part of the backward pass alone.
    func add(backward: @escaping LayerStep) {
        if training { self.backward.append(backward) }
    }

    /// Enqueues a forward pass.
    func runForward(_ stream: Compute.Stream) throws(ComputeError) {
        for step in forward { try step(stream) }
    }

    /// Enqueues a backward pass, from the gradient of the last value.
    func runBackward(_ stream: Compute.Stream) throws(ComputeError) {
        for step in backward.reversed() { try step(stream) }
    }

    /// Compiles layers in a row.
    func compile(_ layers: [ResolvedLayer], _ input: LayerFlow) throws(ComputeError) -> LayerFlow {
        var flow = input
        var index = 0
        while index < layers.count {
            let layer = layers[index]
            // The activation that follows a product is applied while the product is in registers.
            if case .dense = layer.specification, index + 1 < layers.count,
                case .activation(let name) = layers[index + 1].specification, let fused = name.fused
            {
                flow = try dense(layer, flow, fused)
                index += 2
                continue
            }
            if case .convolution = layer.specification, index + 1 < layers.count,
                case .activation(let name) = layers[index + 1].specification, let fused = name.fused
            {
                flow = try convolution(layer, flow, layer.grid!, fused)
                index += 2
                continue
            }
            flow = try compile(layer, flow)
            index += 1
        }
        return flow
    }

    private func compile(_ layer: ResolvedLayer, _ input: LayerFlow) throws(ComputeError) -> LayerFlow {
        switch layer.specification {
        case .dense: return try dense(layer, input, nil)
        case .activation(let name): return try activation(name.function, input)
        case .dropout(let probability): return try dropout(probability, input)
        case .layerNorm(let epsilon): return try layerNorm(layer, input, epsilon)
        case .batchNorm(let epsilon, let momentum): return try batchNorm(layer, input, epsilon, momentum)
        case .residual: return try residual(layer, input)
        case .sequence(let sequenceLayer): return try sequence(sequenceLayer, layer.name, input)
        case .embedding(let tables, let units, let arrangement):
            return try embedding(layer, input, tables, units, arrangement)
        case .concatenation: return try branches(layer, input, adding: false)
        case .sum: return try branches(layer, input, adding: true)
        case .interaction(let units): return try interaction(layer, input, units)
        case .convolution: return try convolution(layer, input, layer.grid!, nil)
        case .pooling(let averages, _, _, _): return try pooling(layer, input, layer.grid!, averages: averages)
        case .globalMean: return try pooling(layer, input, layer.grid!, averages: true)
        case .flatten: return input.flattened(batch: batch)
        case .lastStep: return try lastStep(layer, input)
        }
    }

    /// A number of its own for every dropout.
    func nextDropout() -> UInt64 {
        dropouts += 1
        return NetworkRandom.dropout + dropouts
    }
}

extension ActivationName {
    /// The function of the primitive.
    var function: ActivationFunction {
        switch self {
        case .relu: .relu
        case .gelu: .gelu
        case .silu: .silu
        case .sigmoid: .sigmoid
        case .tanh: .tanh
        case .softmax: .softmax
        }
    }

    /// The activation of a product's epilogue; nil for functions whose gradient needs their inputs, or that are of rows.
    var fused: Activation? {
        switch self {
        case .relu: .relu
        case .sigmoid: .sigmoid
        case .tanh: .tanh
        case .gelu, .silu, .softmax: nil
        }
    }
}
