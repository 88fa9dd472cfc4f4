import Compute
import Core
import Tables

/// How numbers and categories are put together.
public enum WideDeepArchitecture: String, Codable, Sendable, CaseIterable {
    /// A linear model of numbers, levels and crosses, plus a perceptron over numbers and vectors of the levels. Source:
    /// Cheng et al., "Wide & deep learning for recommender systems", 2016.
    case wideDeep = "wide-deep"
    /// The products of the levels' vectors with each other, and with one made of the numbers, into a perceptron. Source:
    /// Naumov et al., "Deep learning recommendation model for personalization and recommendation systems", 2019.
    case dlrm
    /// The perceptron of ``wideDeep`` alone.
    case deep
}

/// A network over numbers and categories, whose levels have vectors of their own: many levels cost memory, not time.
public struct WideDeepLearner: NetworkConfiguration {
    public static let kind = "wide-deep"
    public static let title = "Wide and deep network"
    public static let tasks: Set<SupervisedTask.Kind> = [.regression, .binary, .multiclass]
    public static let searchSpace: [SearchDimension] = [
        .range("learningRate", 1e-4, 1e-2, logarithmic: true),
        .choices("embedding", [.number(4), .number(8), .number(16), .number(32)]),
        .choices(
            "hidden", [.list([.number(32)]), .list([.number(64), .number(32)]), .list([.number(128), .number(64)])]),
        .range("dropout", 0, 0.5),
    ]

    public var architecture = WideDeepArchitecture.wideDeep
    /// Numbers of a level's vector.
    public var embedding = 8
    public var hidden = [64, 32]
    /// Units of the layers that make a vector of the numbers, for dlrm.
    public var bottom = [32]
    /// Categories taken together by the linear part, such as `job*education`.
    public var crosses: [String] = []
    /// Identifiers of a cross; combinations beyond share them.
    public var crossBuckets = 10_000
    /// Columns with more levels are hashed to so many identifiers; 0 for never.
    public var hashBuckets = 0
    /// Levels seen less often are taken for one, which stands for unseen ones too.
    public var minimumCount = 2
    /// Of the tables of vectors; nil for the one that belongs to `optimizer`.
    public var tableOptimizer: TableOptimizer?
    public var activation = ActivationName.relu
    public var dropout: Float = 0
    public var layerNorm = false
    public var optimizer = NetworkOptimizer.adam
    public var learningRate: Float?
    public var epochs = 10
    public var batchSize = 256
    public var validation = 0.1
    public var patience = 0
    public var schedule = LearningRateSchedule.constant
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

    public static var parameterNames: Set<String> { ["learningRate", "tableOptimizer", "bfloat16"] }

    public var featureStyle: FeatureStyle { .coded }

    /// Numbers filled in and scaled, categories as codes.
    public func defaultRecipe(texts: [String]) -> Recipe {
        .coded(texts: texts, minimumCount: minimumCount, buckets: hashBuckets)
    }

    public func validate() throws {
        try validateTraining()
        func require(_ holds: Bool, _ name: String, _ reason: String) throws {
            if !holds { throw ParameterError(name, reason) }
        }
        try require((1...4096).contains(embedding), "embedding", "must be from 1 to 4096, not \(embedding)")
        try require(
            bottom.allSatisfy { $0 >= 1 && $0 <= 1 << 20 }, "bottom",
            "units must be 1 or more, not \(bottom.map(String.init).joined(separator: ","))")
        try require(crossBuckets >= 2 && crossBuckets <= 1 << 24, "crossBuckets", "must be from 2 to 16777216")
        try require(
            hashBuckets == 0 || (2...1 << 20).contains(hashBuckets), "hashBuckets",
            "must be 0 or from 2 to 1048576, not \(hashBuckets)")
        try require(minimumCount >= 1, "minimumCount", "must be 1 or more, not \(minimumCount)")
        try require(
            crosses.isEmpty || architecture == .wideDeep, "crosses", "are for the linear part of wide-deep")
    }

    public func fit(_ training: TrainingSet, context: LearningContext) throws -> NetworkPredictor {
        try validate()
        try training.validate()
        var inputs = NetworkInputs(training.features.columns)
        inputs.crosses = try crosses.map { try cross($0, inputs, training.features.columns) }
        let architecture = try network(inputs, outputs: outputs(training.task))
        return try train(
            architecture, on: training, inputs: inputs, tableOptimizer: tableOptimizer, context: context)
    }

    private func cross(
        _ text: String, _ inputs: NetworkInputs, _ columns: [FeatureDescription]
    ) throws -> NetworkInputs.Cross {
        let names = text.split(separator: "*").map(String.init)
        guard names.count >= 2 else {
            throw ParameterError("crosses", "`\(text)` is not two or more columns with * between them")
        }
        let categories = try names.map { name in
            guard let place = inputs.categories.firstIndex(where: { columns[$0.column].name == name }) else {
                let known = inputs.categories.map { columns[$0.column].name }
                throw ParameterError(
                    "crosses", "`\(name)` is none of the categories, which are \(known.joined(separator: ", "))")
            }
            return place
        }
        var count = 1
        for category in categories {
            count = min(
                count.multipliedReportingOverflow(by: inputs.categories[category].levels + 1).partialValue, 1 << 40)
        }
        return NetworkInputs.Cross(categories: categories, buckets: min(count, crossBuckets))
    }

    /// The layers for some inputs.
    func network(_ inputs: NetworkInputs, outputs: Int) throws -> NetworkArchitecture {
        let (numbers, categories) = (inputs.columns.count, inputs.categories.count)
        let tables = inputs.tables
        let deep: [LayerSpecification] =
            (categories > 0
                ? [
                    .embedding(
                        tables: Array(tables[..<categories]), units: embedding,
                        arrangement: numbers > 0 ? .append : .replace)
                ] : []) + hiddenLayers + [.dense(units: outputs, bias: true)]
        let layers: [LayerSpecification]
        switch architecture {
        case .deep: layers = deep
        case .wideDeep:
            var branches = [deep]
            if numbers > 0 { branches.append([.dense(units: outputs, bias: false)]) }
            if categories > 0 { branches.append([.embedding(tables: tables, units: outputs, arrangement: .sum)]) }
            layers = [.sum(branches: branches)]
        case .dlrm:
            guard categories + (numbers > 0 ? 1 : 0) >= 2 else {
                throw DataError(
                    "dlrm multiplies vectors of categories with each other and with one of the numbers: there are "
                        + "\(categories) categories and \(numbers) numbers; use another architecture")
            }
            var branches: [[LayerSpecification]] = [
                [.embedding(tables: tables, units: embedding, arrangement: .replace)]
            ]
            if numbers > 0 {
                branches.insert(
                    (bottom + [embedding]).flatMap { units in
                        [.dense(units: units, bias: true), .activation(function: activation)] as [LayerSpecification]
                    }, at: 0)
            }
            layers =
                [.concatenation(branches: branches), .interaction(units: embedding)] + hiddenLayers
                + [.dense(units: outputs, bias: true)]
        }
        return NetworkArchitecture(
            input: LayerShape(columns: numbers), layers: layers, identifiers: tables.isEmpty ? nil : tables.count)
    }
}
