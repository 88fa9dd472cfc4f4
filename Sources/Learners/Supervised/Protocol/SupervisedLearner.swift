import Core
import Tables

/// Which of the default recipes a learner is made for.
public enum FeatureStyle: String, Codable, Sendable {
    /// Imputed, one-hot, standardised: no value is missing. Linear models, nets, neighbours.
    case linear
    /// Categories as codes, missing values kept. Trees.
    case native
    /// Numbers as in ``linear``, categories as codes. Networks with tables of vectors.
    case coded
    /// Counts of words where there are texts; otherwise as ``linear``. Naive Bayes.
    case counts
}

/// A way of learning a target from features: a configuration that can be fitted.
///
/// A learner is a value with defaults for everything, stored as JSON in the model. To add one, conform a configuration
/// and its predictor and add a line to ``LearnerRegistry``.
public protocol SupervisedLearner: Codable, Sendable {
    associatedtype Predictor: SupervisedPredictor

    /// The word by which it is asked for: `logistic`, `forest`.
    static var kind: String { get }
    /// The name for people: `Logistic regression`.
    static var title: String { get }
    /// What it can predict.
    static var tasks: Set<SupervisedTask.Kind> { get }
    /// What `tune` varies.
    static var searchSpace: [SearchDimension] { get }

    /// Whether its scores are no probabilities until they have been calibrated.
    static var needsCalibration: Bool { get }
    /// Names of parameters that are optional, and so absent from the JSON when they have no value.
    static var parameterNames: Set<String> { get }

    /// The defaults.
    init()
    /// Seed of everything random.
    var seed: UInt64 { get set }
    /// The features that it expects.
    var featureStyle: FeatureStyle { get }
    /// The preprocessing that goes with it, when none is asked for.
    ///
    /// - Parameter texts: columns of text to be taken word by word.
    func defaultRecipe(texts: [String]) -> Recipe
    /// Throws ``ParameterError`` for values outside their ranges.
    func validate() throws
    /// Learns. Deterministic: the same rows, configuration, device and seed give the same predictor, for every number
    /// of threads.
    ///
    /// - Throws: ``DataError`` for data that it can't learn from, `CancellationError` when the context says stop.
    func fit(_ training: TrainingSet, context: LearningContext) throws -> Predictor
}

extension SupervisedLearner {
    public var featureStyle: FeatureStyle { .linear }

    public func defaultRecipe(texts: [String]) -> Recipe {
        switch featureStyle {
        case .native: .native(texts: texts)
        case .counts where !texts.isEmpty: .counts(texts: texts)
        case .coded: .coded(texts: texts)
        default: .linear(texts: texts)
        }
    }

    public static var searchSpace: [SearchDimension] { [] }
    public static var needsCalibration: Bool { false }
}

/// What was learned: a value that predicts, is saved, and explains itself.
public protocol SupervisedPredictor: Sendable {
    /// What is stored beside the tensors, as JSON.
    associatedtype Settings: Codable & Sendable

    /// rows × ``SupervisedTask/outputs``: a number for each row, or the probabilities of the classes, which add up to 1.
    func predict(_ features: Features, context: LearningContext) throws -> HostMatrix

    var settings: Settings { get }
    /// Adds the tensors, under names that begin with `predictor.`.
    func write(to writer: inout SafetensorsWriter)
    /// Reads it back. Throws ``DataError`` for a file that is damaged.
    init(settings: Settings, file: SafetensorsFile, task: SupervisedTask, columns: [FeatureDescription]) throws

    /// How much each column of the features matters, or nil where the kind has no measure of its own.
    var importances: FeatureImportances? { get }
    /// Coefficients, where there are some.
    var coefficients: [Coefficient]? { get }
    /// What each column adds to the prediction of a class (or the number), row by row, or nil where the kind has no
    /// exact answer.
    func contributions(
        of features: Features, output: Int, context: LearningContext
    ) throws -> FeatureContributions?
    /// Why one row is predicted as it is, in words, or nil.
    func decisionPath(of features: Features, row: Int) -> [String]?
    /// Facts for people: iterations, support vectors, trees.
    var facts: [(name: String, value: Double)] { get }
    /// Seconds of each pass over the rows, where the fit consists of such.
    var iterationSeconds: [Double] { get }
}

extension SupervisedPredictor {
    public var importances: FeatureImportances? { nil }
    public var coefficients: [Coefficient]? { nil }
    public func contributions(
        of features: Features, output: Int, context: LearningContext
    ) throws -> FeatureContributions? { nil }
    public func decisionPath(of features: Features, row: Int) -> [String]? { nil }
    public var facts: [(name: String, value: Double)] { [] }
    public var iterationSeconds: [Double] { [] }
}

/// How much each column of the features matters.
public struct FeatureImportances: Sendable, Equatable {
    /// What is measured: `impurity`, `gain`, `absolute standardised coefficient`.
    public let measure: String
    /// A figure for each column, not negative.
    public let values: [Double]

    public init(measure: String, values: [Double]) {
        self.measure = measure
        self.values = values
    }
}

/// One coefficient of a linear model.
public struct Coefficient: Sendable, Equatable {
    /// The column, or `(intercept)`.
    public let feature: String
    /// The class whose score it belongs to; nil with a single score.
    public let label: String?
    public let value: Double
    /// Standard error, where the fit has one.
    public let standardError: Double?

    public init(feature: String, label: String?, value: Double, standardError: Double? = nil) {
        self.feature = feature
        self.label = label
        self.value = value
        self.standardError = standardError
    }

    /// The central 95 % interval of the normal distribution around the value.
    public var interval: (low: Double, high: Double)? {
        standardError.map { (value - 1.959963985 * $0, value + 1.959963985 * $0) }
    }
}

/// What each column adds to a prediction; base and contributions add up to the score.
public struct FeatureContributions: Sendable {
    /// The score of nobody in particular: the average, or the intercept.
    public let base: Double
    /// rows × columns, row after row.
    public let values: [Double]
    public let columns: Int
    /// What the sum is: `log odds`, `probability`, `value`, `margin`.
    public let scale: String

    public init(base: Double, values: [Double], columns: Int, scale: String) {
        self.base = base
        self.values = values
        self.columns = columns
        self.scale = scale
    }

    /// The contributions of one row.
    public func row(_ index: Int) -> ArraySlice<Double> { values[index * columns..<(index + 1) * columns] }
}
