import Compute
import Core
import Tables

/// A network that ranks items by what a person did, in its order.
public struct SequenceModel: LearnedRecommender {
    public static let kind = "sequence"

    public let options: SequenceOptions
    public let history: NetworkHistory
    /// All parameters; the first is the table of the items.
    public let weights: NetworkWeights

    private struct Stored: Codable {
        var options: SequenceOptions
        var history: NetworkHistory
    }

    public init(options: SequenceOptions, history: NetworkHistory, weights: NetworkWeights) {
        self.options = options
        self.history = history
        self.weights = weights
    }

    public func configuration() throws -> String { try Self.json(Stored(options: options, history: history)) }

    public func add(to writer: inout SafetensorsWriter, prefix: String) { weights.write(to: &writer, prefix: prefix) }

    public init(_ section: ModelSection) throws {
        let stored: Stored = try section.decode()
        try section.checked { try stored.options.validate() }
        self.init(
            options: stored.options, history: stored.history,
            weights: try NetworkWeights(
                stored.options.parameters(items: section.items), file: section.file, prefix: section.prefix))
    }

    public func open(_ context: RecommenderContext) throws -> any Recommender {
        try SequenceRecommender(self, context: context)
    }

    /// items × factors
    public var items: HostMatrix {
        HostMatrix(
            rows: weights.descriptions[0].shape[0], columns: options.factors, storage: weights.values[0])
    }

    public var readsOrder: Bool { true }

    public var facts: [(name: String, value: ModelFact)] {
        var facts: [(name: String, value: ModelFact)] = [
            ("architecture", .text(options.architecture.rawValue)), ("factors", .integer(options.factors)),
            ("length", .integer(options.length)), ("layers", .integer(options.layers)),
        ]
        if options.architecture == .sasrec { facts.append(("heads", .integer(options.heads))) }
        facts += [
            ("hidden", .integer(options.effectiveHidden)), ("dropout", .number(Double(options.dropout))),
            ("loss", .text(options.loss.rawValue)),
        ]
        if options.loss != .full { facts.append(("negatives", .integer(options.negatives))) }
        facts += [
            ("epochs", .integer(history.epochs)), ("batch_size", .integer(options.batchSize)),
            ("learning_rate", .number(Double(options.learningRate))),
        ]
        if let best = history.best { facts.append(("best_epoch", .integer(best + 1))) }
        facts += [
            ("parameters", .integer(weights.descriptions.reduce(0) { $0 + $1.count })),
            ("seed", .integer(Int(truncatingIfNeeded: options.seed))),
        ]
        return facts
    }
}

extension SequenceModel {
    /// Trains a network on sequences.
    ///
    /// - Parameters:
    ///   - histories: people × items, with times.
    ///   - weights: what to start from, as ``SequenceOptions/parameters(items:)`` describes it; random when nil.
    /// - Throws: ``ParameterError``, ``DataError``, ``ComputeError``, ``InterruptedSequenceTraining``,
    ///   ``DivergedNetworkTraining``.
    /// - Complexity: for the full loss 6 · next items · items · factors floating-point operations an epoch, and those of
    ///   the network.
    public static func train(
        _ histories: HostSparseMatrix, options: SequenceOptions, weights: NetworkWeights? = nil, stream: Stream,
        progress: ProgressHandler? = nil
    ) throws -> SequenceTrainingResult {
        try SequenceTrainer(
            SequenceData(histories, times: histories.times), options: options, weights: weights, stream: stream
        ).run(progress: progress)
    }
}

/// Learns a ``SequenceModel``.
public struct SequenceLearner: RecommenderLearner {
    public var options: SequenceOptions
    public var kind: String { SequenceModel.kind }
    public var needsTimes: Bool { true }
    public var label: String {
        "\(options.architecture.rawValue), \(options.factors) factors, \(options.layers) layers, "
            + "length \(options.length), dropout \(options.dropout), \(options.epochs) epochs"
    }

    public init(_ options: SequenceOptions) { self.options = options }

    public func learn(
        _ data: RecommenderData, stream: Stream, progress: ProgressHandler?
    ) throws -> any LearnedRecommender {
        let sequences = try SequenceData(data.byUser, times: data.times)
        let trainer = try SequenceTrainer(sequences, options: options, stream: stream)
        let checkpoints = SequenceSession.current?.checkpoints
        do {
            let result = try trainer.run(
                resuming: checkpoints?.checkpoint(fingerprint: sequences.fingerprint), saving: checkpoints,
                progress: progress)
            return SequenceModel(options: options, history: result.history, weights: result.weights)
        } catch let interruption as InterruptedSequenceTraining {
            checkpoints?.note(interruption.checkpoint)
            throw CancellationError()
        }
    }
}
