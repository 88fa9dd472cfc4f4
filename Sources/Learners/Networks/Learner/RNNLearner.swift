import Compute
import Core
import Tables

/// A recurrent network over what somebody did, in its order, with the other columns of the table beside it: who leaves, who
/// buys, how much.
///
/// A column of the table lists the events of a row, the oldest first (``RecipeStep/sequence(_:length:minimumCount:separator:)``).
/// Their vectors go through recurrent layers; the state after the last event, beside the numbers and the vectors of the
/// categories, goes into a perceptron.
public struct RNNLearner: NetworkConfiguration {
    public static let kind = "rnn"
    public static let title = "Recurrent network"
    public static let tasks: Set<SupervisedTask.Kind> = [.regression, .binary, .multiclass]
    public static let searchSpace: [SearchDimension] = [
        .range("learningRate", 1e-4, 1e-2, logarithmic: true),
        .choices("embedding", [.number(8), .number(16), .number(32), .number(64)]),
        .choices("units", [.list([.number(32)]), .list([.number(64)]), .list([.number(64), .number(64)])]),
        .range("dropout", 0, 0.5),
    ]

    /// The recurrent layers' cell.
    public var cell = RecurrentCell.gru
    /// Units of the recurrent layers.
    public var units = [64]
    /// Numbers of an event's vector, and of a category's.
    public var embedding = 32
    /// Events that are read at most: the newest.
    public var length = 50
    /// Events and levels seen less often are taken for one, which stands for unseen ones too.
    public var minimumCount = 2
    /// What stands between events.
    public var separator = " "
    /// The layers as a text (``ArchitectureText``), from the embedding on, in place of the others; empty for these.
    public var architecture = ""
    public var hidden = [32]
    public var activation = ActivationName.relu
    public var dropout: Float = 0
    public var layerNorm = false
    public var optimizer = NetworkOptimizer.adam
    public var learningRate: Float?
    public var epochs = 10
    public var batchSize = 64
    public var validation = 0.1
    public var patience = 0
    public var schedule = LearningRateSchedule.constant
    public var warmUpSteps = 0
    public var momentum: Float = 0.9
    public var weightDecay: Float = 0.01
    public var l1: Float = 0
    public var l2: Float = 0
    public var clipNorm: Float = 5
    public var labelSmoothing: Float = 0
    public var huber: Float = 0
    public var accumulate = 1
    public var bfloat16: Bool?
    public var seed: UInt64 = 42

    public init() {}

    public static var parameterNames: Set<String> { ["learningRate", "bfloat16"] }

    public var featureStyle: FeatureStyle { .coded }

    /// The texts are the columns that list events.
    public func defaultRecipe(texts: [String]) -> Recipe {
        .sequences(texts, length: length, minimumCount: minimumCount, separator: separator)
    }

    public func validate() throws {
        try validateTraining()
        func require(_ holds: Bool, _ name: String, _ reason: String) throws {
            if !holds { throw ParameterError(name, reason) }
        }
        try require(
            !units.isEmpty && units.allSatisfy { (1...1 << 16).contains($0) }, "units",
            "must be from 1 to 65536 each, not \(units.map(String.init).joined(separator: ","))")
        try require((1...4096).contains(embedding), "embedding", "must be from 1 to 4096, not \(embedding)")
        try require((1...10_000).contains(length), "length", "must be from 1 to 10000, not \(length)")
        try require(minimumCount >= 1, "minimumCount", "must be 1 or more, not \(minimumCount)")
        try require(separator.count == 1, "separator", "must be one character, not `\(separator)`")
        if !architecture.isEmpty { _ = try ArchitectureText.layers(architecture) }
    }

    public func fit(_ training: TrainingSet, context: LearningContext) throws -> NetworkPredictor {
        try validate()
        try training.validate()
        let inputs = NetworkInputs(training.features.columns)
        let architecture = try network(inputs, outputs: outputs(training.task))
        return try train(architecture, on: training, inputs: inputs, context: context)
    }

    /// The layers for some inputs. Throws ``DataError`` when there is no sequence.
    func network(_ inputs: NetworkInputs, outputs: Int) throws -> NetworkArchitecture {
        let (numbers, categories) = (inputs.columns.count, inputs.categories.count)
        let sequences = inputs.sequenceTables
        guard !sequences.isEmpty else {
            throw DataError("no column lists events; name it with --sequence, or add a step `sequence` to the recipe")
        }
        let layers: [LayerSpecification]
        if architecture.isEmpty {
            var branches = sequences.map { table in
                [.embedding(tables: [table], units: embedding, arrangement: .steps)]
                    + units.flatMap { units -> [LayerSpecification] in
                        let layer = LayerSpecification.sequence(.recurrent(cell: cell, units: units))
                        return dropout > 0 ? [layer, .dropout(probability: dropout)] : [layer]
                    } + [.lastStep]
            }
            if categories > 0 {
                branches.append([
                    .embedding(
                        tables: inputs.tables, units: embedding, arrangement: numbers > 0 ? .append : .replace)
                ])
            } else if numbers > 0 {
                branches.append([
                    .dense(units: hidden.first ?? embedding, bias: true), .activation(function: activation),
                ])
            }
            layers =
                (branches.count > 1 ? [.concatenation(branches: branches)] : branches[0]) + hiddenLayers
                + [.dense(units: outputs, bias: true)]
        } else {
            layers = try ownLayers(inputs, sequences) + [.dense(units: outputs, bias: true)]
        }
        return NetworkArchitecture(
            input: LayerShape(columns: numbers), layers: layers, identifiers: inputs.identifierCount)
    }

    /// The layers of the text, whose first makes the vectors of the only sequence.
    private func ownLayers(_ inputs: NetworkInputs, _ sequences: [EmbeddingTable]) throws -> [LayerSpecification] {
        var layers = try ArchitectureText.layers(architecture)
        guard case .embedding(_, let units, .steps) = layers[0] else {
            throw ParameterError("architecture", "must begin with `- embedding: UNITS`, which reads the events")
        }
        guard sequences.count == 1, inputs.columns.isEmpty, inputs.categories.isEmpty else {
            throw DataError(
                "layers of a file read one sequence and no other column; choose it with --features")
        }
        layers[0] = .embedding(tables: sequences, units: units, arrangement: .steps)
        let resolved = try NetworkArchitecture(
            input: LayerShape(columns: 0), layers: layers, identifiers: inputs.identifierCount
        ).resolved()
        if resolved.output.rows > 1 { layers.append(.lastStep) }
        return layers
    }
}
