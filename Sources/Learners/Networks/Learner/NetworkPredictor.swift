import Compute
import Core
import Tables

/// A trained network: what ``NetworkLearner`` learns.
///
/// Tensors: `predictor.` and the names that a PyTorch `state_dict` of the same `nn.Sequential` has, such as
/// `predictor.0.weight` (outputs × inputs), and `predictor.feature_means`.
public struct NetworkPredictor: SupervisedPredictor {
    public struct Settings: Codable, Sendable {
        public var architecture: NetworkArchitecture
        public var objective: NetworkObjective
        public var history: NetworkHistory
        /// A number is the output times `deviation`, plus `mean`.
        public var mean: Double
        public var deviation: Double
        /// Which columns are identifiers; nil when all are numbers.
        public var inputs: NetworkInputs?
        /// Numbers are taken less `shift`, times `factor`, before the network sees them; nil for as they are.
        public var shift: Float?
        public var factor: Float?
        /// Steps of the inputs of the layers that are in 8 bits; nil when none is.
        public var inputSteps: [String: Float]?
    }

    public private(set) var settings: Settings
    /// Of a network in 8 bits, what its codes stand for.
    public private(set) var weights: NetworkWeights
    /// The codes of a network in 8 bits.
    public private(set) var quantized: QuantizedNetwork?
    /// Means of the columns in the training data: where integrated gradients start.
    let featureMeans: [Float]
    let task: SupervisedTask

    init(
        architecture: NetworkArchitecture, objective: NetworkObjective, weights: NetworkWeights,
        history: NetworkHistory, mean: Double, deviation: Double, inputs: NetworkInputs? = nil, featureMeans: [Float],
        task: SupervisedTask
    ) {
        settings = Settings(
            architecture: architecture, objective: objective, history: history, mean: mean, deviation: deviation,
            inputs: inputs)
        self.weights = weights
        self.featureMeans = featureMeans
        self.task = task
    }

    public init(
        settings: Settings, file: SafetensorsFile, task: SupervisedTask, columns: [FeatureDescription]
    ) throws {
        self.settings = settings
        self.task = task
        let network: ResolvedNetwork
        do { network = try settings.architecture.resolved() } catch { throw DataError("\(error)") }
        let expected =
            settings.inputs.map(\.featureCount) ?? network.input.rows * network.input.columns
        guard expected == columns.count else {
            throw DataError("the network has \(network.input) inputs for \(columns.count) features")
        }
        if let steps = settings.inputSteps {
            let (quantized, weights) = try QuantizedNetwork.read(
                network.parameters, inputSteps: steps, file: file, prefix: "predictor.")
            (self.quantized, self.weights) = (quantized, weights)
        } else {
            weights = try NetworkWeights(network.parameters, file: file, prefix: "predictor.")
        }
        featureMeans = try file.floats("predictor.feature_means", shape: [columns.count]).array
    }

    public func write(to writer: inout SafetensorsWriter) {
        if let quantized {
            quantized.write(to: &writer, prefix: "predictor.", weights: weights)
        } else {
            weights.write(to: &writer, prefix: "predictor.")
        }
        writer.add("predictor.feature_means", shape: [featureMeans.count], HostBuffer(featureMeans))
    }

    /// The numbers that the network reads.
    func numbers(_ features: Features) -> HostMatrix {
        (settings.inputs?.numbers(features) ?? features.dense).scaled(settings.shift, settings.factor)
    }

    /// What is taken from its numbers, and what they are multiplied by; nil for as they are.
    var scale: (shift: Float, factor: Float)? {
        if let shift = settings.shift, let factor = settings.factor { (shift, factor) } else { nil }
    }

    /// The same network, which scales its numbers.
    func scaling(shift: Float, factor: Float) -> NetworkPredictor {
        var changed = self
        (changed.settings.shift, changed.settings.factor) = (shift, factor)
        return changed
    }

    /// The same network in 8 bits.
    func with(quantized network: QuantizedNetwork) -> NetworkPredictor {
        var changed = with(weights: network.applied(to: weights))
        changed.quantized = network
        changed.settings.inputSteps = network.inputSteps
        return changed
    }

    /// The same network with other weights.
    func with(weights: NetworkWeights) -> NetworkPredictor {
        var changed = self
        changed.weights = weights
        return changed
    }

    public var facts: [(name: String, value: Double)] {
        let history = settings.history
        var facts: [(name: String, value: Double)] = [
            ("parameters", Double(weights.values.reduce(0) { $0 + $1.count })), ("epochs", Double(history.epochs)),
        ]
        if let loss = history.losses.last { facts.append(("loss", loss)) }
        if let loss = history.validationLosses.last { facts.append(("validation_loss", loss)) }
        if let best = history.best { facts.append(("best_epoch", Double(best + 1))) }
        facts.append(("stopped_early", history.stoppedEarly ? 1 : 0))
        if quantized != nil { facts.append(("bits", 8)) }
        return facts
    }

    public var iterationSeconds: [Double] { settings.history.seconds }

    public func predict(_ features: Features, context: LearningContext) throws -> HostMatrix {
        let outputs = try NetworkRunner(
            settings.architecture, weights: weights, quantized: quantized, stream: context.stream
        ).outputs(
            numbers(features),
            identifiers: settings.inputs?.identifiers(features))
        let predictions = HostMatrix(rows: outputs.rows, columns: task.outputs)
        for row in 0..<outputs.rows {
            switch task.kind {
            case .regression: predictions[row, 0] = Float(Double(outputs[row, 0]) * settings.deviation + settings.mean)
            case .binary:
                let likelihood = 1 / (1 + exponential(-Double(outputs[row, 0])))
                (predictions[row, 0], predictions[row, 1]) = (Float(1 - likelihood), Float(likelihood))
            case .multiclass:
                let largest = outputs.row(row).max() ?? 0
                let powers = outputs.row(row).map { exponential(Double($0 - largest)) }
                let sum = powers.reduce(0, +)
                for output in powers.indices { predictions[row, output] = Float(powers[output] / sum) }
            }
        }
        return predictions
    }

    /// The vectors that the network makes of rows: what its last layer, which makes the outputs, is given. Of a wide and deep
    /// network those of the deep part.
    ///
    /// - Returns: rows × units of the last hidden layer.
    /// - Throws: ``DataError`` when there is no layer before the last.
    public func vectors(_ features: Features, context: LearningContext) throws -> HostMatrix {
        var architecture = settings.architecture
        if case .sum(let branches)? = architecture.layers.last {
            // In the same place, so that the parameters have the same names.
            architecture.layers[architecture.layers.count - 1] = .concatenation(
                branches: [Array(branches[0].dropLast())])
            guard branches[0].count > 1 else {
                throw DataError("the network has no hidden layer whose vectors could be written")
            }
        } else {
            architecture.layers.removeLast()
        }
        guard !architecture.layers.isEmpty else {
            throw DataError("the network has no hidden layer whose vectors could be written")
        }
        return try NetworkRunner(architecture, weights: weights, quantized: quantized, stream: context.stream).outputs(
            numbers(features), identifiers: settings.inputs?.identifiers(features))
    }

    /// Integrated gradients (Sundararajan, Taly and Yan 2017) from the mean row of the training data, its categories unseen:
    /// base and contributions add up to the score to 1e-3 of what they explain. A cross's part is divided among its
    /// categories. nil for networks that read sequences.
    public func contributions(
        of features: Features, output: Int, context: LearningContext
    ) throws -> FeatureContributions? {
        if settings.inputs?.sequences != nil { return nil }
        let score = task.kind == .multiclass ? output : 0
        let inputs = settings.inputs
        let mean = Features(
            columns: features.columns,
            values: .dense(HostMatrix(rows: 1, columns: featureMeans.count, elements: reference)))
        let found = try IntegratedGradients(settings.architecture, weights: weights, stream: context.stream)
            .contributions(
                numbers(features), identifiers: inputs?.identifiers(features),
                from: .init(
                    numbers: numbers(mean).storage.array, identifiers: inputs?.identifiers(mean)?.values ?? []),
                output: score)
        var result = (base: found.base, values: inputs?.byColumn(found, rows: features.rows) ?? found.numbers)
        switch task.kind {
        case .regression:
            result.values = result.values.map { $0 * settings.deviation }
            result.base = result.base * settings.deviation + settings.mean
        case .binary:
            // Of two classes, the first's log odds are the second's with the other sign.
            if output == 0 {
                result.values = result.values.map { -$0 }
                result.base = -result.base
            }
        case .multiclass: break
        }
        return FeatureContributions(
            base: result.base, values: result.values, columns: features.columns.count,
            scale: task.kind == .regression ? "value" : task.kind == .binary ? "log odds" : "score")
    }
}

extension NetworkPredictor {
    /// The mean row, in which no category has a level.
    private var reference: [Float] {
        var row = featureMeans
        for category in settings.inputs?.categories ?? [] { row[category.column] = .nan }
        return row
    }
}

extension HostMatrix {
    /// Every element less `shift`, times `factor`; the matrix itself where these are nil.
    func scaled(_ shift: Float?, _ factor: Float?) -> HostMatrix {
        guard let shift, let factor else { return self }
        let result = HostMatrix(rows: rows, columns: columns, storage: HostBuffer(uninitializedCount: rows * columns))
        for place in 0..<rows * columns { result.storage[place] = (storage[place] - shift) * factor }
        return result
    }
}
