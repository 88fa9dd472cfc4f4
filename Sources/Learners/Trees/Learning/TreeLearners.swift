import Core
import Tables

extension DecisionTree: SupervisedLearner {
    public static let kind = "tree"
    public static let title = "Decision tree"
    public static let tasks = Set(SupervisedTask.Kind.allCases)
    public static let searchSpace: [SearchDimension] = [
        .range("costComplexity", 1e-5, 1e-1, logarithmic: true),
        .range("minimumLeafRows", 1, 200, logarithmic: true, whole: true),
    ]

    public static let parameterNames: Set<String> = ["criterion"]

    public var featureStyle: FeatureStyle { .native }

    public func fit(_ training: TrainingSet, context: LearningContext) throws -> TreesPredictor {
        let trees = try AveragedTrees.fitTree(
            try TreeData(training), options: self, threads: context.threads, progress: context.trees("trees"))
        return TreesPredictor(trees, training, outOfBag: nil)
    }
}

extension RandomForest: SupervisedLearner {
    public static let kind = "forest"
    public static let title = "Random forest"
    public static let tasks = Set(SupervisedTask.Kind.allCases)
    public static let searchSpace: [SearchDimension] = [
        .range("minimumLeafRows", 1, 50, logarithmic: true, whole: true),
        .range("columnsPerSplit", 1, 12, whole: true),
    ]

    public static let parameterNames: Set<String> = ["criterion"]

    public var featureStyle: FeatureStyle { .native }

    public func fit(_ training: TrainingSet, context: LearningContext) throws -> TreesPredictor {
        let data = try TreeData(training)
        let trees = try AveragedTrees.fitForest(
            data, options: self, threads: context.threads, progress: context.trees("trees"))
        return TreesPredictor(trees, training, outOfBag: trees.outOfBag.map { OutOfBagFigures($0, data) })
    }
}

extension GradientBoosting: SupervisedLearner {
    public static let kind = "boosting"
    public static let title = "Boosted trees"
    public static let tasks = Set(SupervisedTask.Kind.allCases)
    public static let searchSpace: [SearchDimension] = [
        .range("learningRate", 0.01, 0.3, logarithmic: true), .range("leaves", 4, 128, logarithmic: true, whole: true),
        .range("minimumLeafRows", 5, 200, logarithmic: true, whole: true), .range("l2", 0.01, 100, logarithmic: true),
        .range("columnFraction", 0.4, 1), .range("rowFraction", 0.5, 1),
    ]

    public static let parameterNames: Set<String> = ["loss"]

    public var featureStyle: FeatureStyle { .native }

    public func fit(_ training: TrainingSet, context: LearningContext) throws -> BoostingPredictor {
        let trees = try BoostedTrees.fit(
            try TreeData(training), options: self, threads: context.threads, progress: context.trees("rounds"))
        return BoostingPredictor(trees, columns: training.features.columns, task: training.task)
    }
}

extension LearningContext {
    /// What trees tell their progress to.
    func trees(_ unit: String) -> TreeProgress {
        { completed, total, figures in
            try self.report(completed: completed, total: total, unit: unit, figures: figures)
        }
    }
}

extension TreeData {
    /// What a learner of tables is given, as trees take it.
    init(_ training: TrainingSet) throws {
        try training.validate()
        try self.init(
            features: training.features.dense, kinds: training.features.columns.map(\.treeKind),
            target: training.target.map { Float($0) }, weights: training.weights.map { $0.map { Float($0) } },
            classes: training.task.kind == .regression ? 0 : training.task.labels.count)
    }
}
