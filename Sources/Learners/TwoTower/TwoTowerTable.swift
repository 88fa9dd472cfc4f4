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
        let data = try Self.examples(byUser, options)
        let architecture = options.architecture(items: byUser.columns, history: options.history)
        var training = NetworkTrainingOptions()
        training.epochs = options.epochs
        training.batchSize = min(options.batchSize, max(data.rows, 2))
        training.learningRate = options.learningRate
        training.schedule = .cosine
        training.seed = options.seed
        let trainer = try NetworkTrainer(
            architecture, objective: .retrieval(temperature: options.temperature), options: training, stream: stream)
        let result = try NetworkSession.training(WholeNetworkData(data: data)) { resuming, saving in
            try trainer.train(
                data, resuming: resuming, saving: saving, progress: { progress?($0) ?? .proceed })
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

    /// An example for each interaction of a person who has others: the others' identifiers and its own.
    private static func examples(_ byUser: HostSparseMatrix, _ options: TwoTowerOptions) throws -> NetworkData {
        var counts = [Int](repeating: 0, count: byUser.columns)
        for entry in 0..<byUser.entryCount { counts[Int(byUser.columnIndices[entry])] += 1 }
        let random = Philox(seed: options.seed, stream: NetworkRandom.sampling)
        let width = options.history + 1
        var (ids, frequencies): ([Int32], [Float]) = ([], [])
        var draw: UInt64 = 0
        for user in 0..<byUser.rows {
            let own = byUser.columns(ofRow: user)
            guard own.count > 1 else { continue }
            for (place, item) in own.enumerated() {
                var row = [Int32](repeating: -1, count: width)
                if own.count - 1 <= options.history {
                    var next = 0
                    for (other, known) in own.enumerated() where other != place {
                        row[next] = known
                        next += 1
                    }
                } else {
                    for next in 0..<options.history {
                        // One of the others: those from its own place on move up by one.
                        let other = random.integer(draw, below: own.count - 1)
                        draw += 1
                        row[next] = own[other < place ? other : other + 1]
                    }
                }
                row[options.history] = item
                ids += row
                frequencies.append(Float(counts[Int(item)]) / Float(byUser.entryCount))
            }
        }
        guard frequencies.count > 1 else {
            throw DataError("nobody has two items: there is nothing to find one by the others with")
        }
        // What is popular comes up more often among the others of a batch, and would be pushed down for that alone.
        return NetworkData(
            features: HostMatrix(rows: frequencies.count, columns: 0),
            identifiers: IdentifierRows(columns: width, values: ids),
            targets: frequencies.map { -Float(logarithm(Double($0))) })
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
            ("temperature", .number(Double(options.temperature))), ("dropout", .number(Double(options.dropout))),
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
