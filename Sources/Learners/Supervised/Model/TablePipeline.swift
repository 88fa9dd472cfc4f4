import Core
import Tables

/// How probabilities are put right after the fit.
public enum CalibrationKind: String, Codable, Sendable, CaseIterable {
    /// Platt's for learners whose scores are no probabilities, none for the others.
    case auto
    case none
    /// A logistic curve over the log odds (Platt 1999).
    case platt
    /// A rising step function (Zadrozny and Elkan 2002); for some thousand rows and more.
    case isotonic
}

/// Everything from the columns of a table to a prediction, not yet fitted: what folds, `compare` and `tune` fit anew on
/// each part.
public struct TablePipeline: Sendable {
    public var learner: any SupervisedLearner
    /// The preprocessing; nil: the learner's default.
    public var recipe: Recipe?
    /// Columns of text that the default recipe takes word by word.
    public var texts: [String]
    public var sampling: Sampling
    /// Whether every class weighs as much as the others.
    public var balanced: Bool
    public var calibration: CalibrationKind
    public var seed: UInt64

    public init(
        learner: any SupervisedLearner, recipe: Recipe? = nil, texts: [String] = [], sampling: Sampling = .none,
        balanced: Bool = false, calibration: CalibrationKind = .auto, seed: UInt64 = 42
    ) {
        self.learner = learner
        self.recipe = recipe
        self.texts = texts
        self.sampling = sampling
        self.balanced = balanced
        self.calibration = calibration
        self.seed = seed
    }

    /// Parts that out-of-fold predictions for the calibration are made by.
    static let calibrationFolds = 3

    /// The recipe in use.
    public var effectiveRecipe: Recipe { recipe ?? learner.defaultRecipe(texts: texts) }

    /// Fits recipe, learner and calibration on these rows alone.
    public func fit(_ data: SupervisedTable, context: LearningContext) throws -> FittedPipeline {
        let calibrator = try fittedCalibration(data, context: context)
        var fitted = try fitUncalibrated(data, context: context)
        fitted.calibration = calibrator
        return fitted
    }

    private func fitUncalibrated(_ data: SupervisedTable, context: LearningContext) throws -> FittedPipeline {
        let sampled = try sampling.applied(to: data, seed: seed)
        let target: RecipeTarget =
            data.task.kind == .multiclass
            ? .classes(sampled.target.map { Int32($0) }, count: data.task.labels.count) : .values(sampled.target)
        let (recipe, features) = try effectiveRecipe.fitAndApply(sampled.table, target: target, seed: seed)
        var training = TrainingSet(
            features: features, task: data.task, target: sampled.target,
            weights: balanced ? try balancedWeights(sampled) : sampled.weights, groups: sampled.groups)
        if let watched = context.watched {
            training.watched = (try recipe.apply(watched.table), watched.target, watched.weights)
        }
        training.streamed = context.streamed.map { StreamedRows($0, recipe) }
        let predictor = try fit(learner, training, context)
        return FittedPipeline(recipe: recipe, predictor: predictor, calibration: nil, task: data.task)
    }

    private func fit<Learner: SupervisedLearner>(
        _ learner: Learner, _ training: TrainingSet, _ context: LearningContext
    ) throws -> any SupervisedPredictor {
        try learner.fit(training, context: context)
    }

    /// Weights by which every class has the same sum: rows / (classes · rows of the class), times the row's own.
    private func balancedWeights(_ data: SupervisedTable) throws -> [Double] {
        guard data.task.isClassification else {
            throw ParameterError("balanced", "the classes of a number can't be balanced")
        }
        var sums = [Double](repeating: 0, count: data.task.labels.count)
        for row in 0..<data.rows { sums[Int(data.target[row])] += data.weights?[row] ?? 1 }
        let total = sums.reduce(0, +)
        return (0..<data.rows).map { row in
            let sum = sums[Int(data.target[row])]
            return (data.weights?[row] ?? 1) * total / (Double(sums.count) * max(sum, 1e-300))
        }
    }

    private func fittedCalibration(_ data: SupervisedTable, context: LearningContext) throws -> Calibration? {
        var kind = calibration
        if kind == .auto { kind = type(of: learner).needsCalibration && data.task.isClassification ? .platt : .none }
        guard kind != .none else { return nil }
        guard data.task.isClassification else {
            throw ParameterError("calibration", "is for probabilities; the target is a number")
        }
        let rare = data.priors.map { $0 * Double(data.rows) }.min() ?? 0
        let count = min(Self.calibrationFolds, Int(rare))
        // With a class of one row nothing can be held out.
        guard count >= 2 else { return nil }
        let folds = try data.folds(data.groups == nil ? .stratified : .grouped, count: count, seed: seed)
        let predictions = HostMatrix(rows: data.rows, columns: data.task.outputs)
        for fold in folds {
            let part = try fitUncalibrated(data.selecting(rows: fold.training), context: context.silent)
            let predicted = try part.predict(data.selecting(rows: fold.test).table, context: context.silent)
            for (place, row) in fold.test.enumerated() {
                for output in 0..<data.task.outputs { predictions[row, output] = predicted[place, output] }
            }
        }
        return try Calibration(
            kind, predictions: predictions, target: data.target, weights: data.weights, task: data.task)
    }
}

/// A pipeline that has learned: predicts tables.
public struct FittedPipeline: Sendable {
    public let recipe: FittedRecipe
    public let predictor: any SupervisedPredictor
    public internal(set) var calibration: Calibration?
    public let task: SupervisedTask

    /// rows × outputs. Throws ``DataError`` when a column that is needed is missing.
    public func predict(_ table: Table, context: LearningContext) throws -> HostMatrix {
        try predict(features: try recipe.apply(table), context: context)
    }

    /// rows × outputs of features that the recipe made.
    public func predict(features: Features, context: LearningContext) throws -> HostMatrix {
        let predictions = try predictor.predict(features, context: context)
        return calibration?.apply(predictions) ?? predictions
    }
}
