import Compute
import Core
import Tables

/// What two towers learn: their weights, and the vector of each item. A person is what they have.
public struct TwoTowerTable: LearnedRecommender {
    public static let kind = "two-tower"

    public let options: TwoTowerOptions
    /// Of both towers.
    public let weights: NetworkWeights
    /// items × factors.
    public let items: HostMatrix

    /// Learns from interactions; their values do not count. Each is an example: the person's other items, or some of
    /// them, are to find it among the items of the batch. Source: Yi et al., "Sampling-bias-corrected neural modeling for
    /// large corpus item recommendations", 2019 (without its estimate of frequencies, which are known here).
    ///
    /// - Throws: ``ParameterError``, ``DataError``, ``ComputeError``; `CancellationError` when `progress` answers stop.
    /// - Complexity: epochs · interactions · (weights of the towers + batch size · factors).
    public init(
        byUser: HostSparseMatrix, options: TwoTowerOptions, stream: Compute.Stream, progress: ProgressHandler? = nil
    ) throws {
        try options.validate()
        let examples = try TwoTowerExamples(byUser, options)
        let architecture = options.architecture(items: byUser.columns, history: options.history)
        var training = NetworkTrainingOptions()
        training.epochs = options.epochs
        training.batchSize = min(options.batchSize, max(examples.count, 2))
        training.learningRate = options.learningRate
        training.schedule = .cosine
        training.seed = options.seed
        let trainer = try NetworkTrainer(
            architecture,
            objective: .retrieval(temperature: options.temperature, loss: options.loss ?? .softmax),
            options: training, stream: stream)
        let result = try NetworkSession.training(examples) { resuming, saving in
            try trainer.train(
                parts: examples, resuming: resuming, saving: saving, progress: { progress?($0) ?? .proceed })
        }
        self.options = options
        weights = result.weights
        let towers = TwoTowers(options: options, weights: weights, items: byUser.columns, stream: stream)
        items = try towers.items()
    }

    /// The vectors of people, by what they have: people × factors.
    public func people(_ histories: HostSparseMatrix, stream: Compute.Stream) throws -> HostMatrix {
        try TwoTowers(options: options, weights: weights, items: items.rows, stream: stream).people(histories)
    }

    public func configuration() throws -> String { try Self.json(options) }

    public func add(to writer: inout SafetensorsWriter, prefix: String) {
        weights.write(to: &writer, prefix: prefix + "tower.")
        writer.add(prefix + "item_factors", shape: [items.rows, items.columns], items.storage)
    }

    public init(_ section: ModelSection) throws {
        options = try section.decode()
        let options = options
        try section.checked { try options.validate() }
        let parameters = try options.architecture(items: section.items, history: options.history).resolved().parameters
        weights = try NetworkWeights(parameters, file: section.file, prefix: section.prefix + "tower.")
        items = try section.table("item_factors", rows: section.items, columns: options.factors)
    }

    public func open(_ context: RecommenderContext) throws -> any Recommender {
        try TwoTowerRecommender(learned: self, context: context)
    }

    public var facts: [(name: String, value: ModelFact)] {
        [
            ("factors", .integer(options.factors)), ("embedding", .integer(options.embedding)),
            ("hidden", .text(options.hidden.map(String.init).joined(separator: ","))),
            ("history", .integer(options.history)), ("epochs", .integer(options.epochs)),
            ("batch_size", .integer(options.batchSize)), ("learning_rate", .number(Double(options.learningRate))),
            ("temperature", .number(Double(options.temperature))),
            ("loss", .text((options.loss ?? .softmax).rawValue)), ("dropout", .number(Double(options.dropout))),
            ("seed", .integer(Int(truncatingIfNeeded: options.seed))),
        ]
    }
}

/// Learns ``TwoTowerTable``.
public struct TwoTowerLearner: RecommenderLearner {
    public var options: TwoTowerOptions
    public var kind: String { TwoTowerTable.kind }
    public var label: String {
        "\(options.factors) factors, embedding \(options.embedding), hidden "
            + options.hidden.map(String.init).joined(separator: ",") + ", \(options.epochs) epochs"
    }

    public init(_ options: TwoTowerOptions) { self.options = options }

    public func learn(
        _ data: RecommenderData, stream: Compute.Stream, progress: ProgressHandler?
    ) throws -> any LearnedRecommender {
        try TwoTowerTable(byUser: data.byUser, options: options, stream: stream, progress: progress)
    }
}
