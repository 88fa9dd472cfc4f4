import Core
import Tables

#if canImport(Glibc)
    import Glibc
#endif

/// What rows say of a forest whose trees did not see them.
public struct OutOfBagFigures: Codable, Sendable, Equatable {
    /// Share of the rows whose class has the largest probability; nil for numbers.
    public var accuracy: Double?
    /// Mean negative log likelihood of the classes; nil for numbers.
    public var logLoss: Double?
    /// Root of the mean squared error; nil for classes.
    public var rmse: Double?

    /// - Parameters:
    ///   - predictions: of the rows of the training; NaN for a row that every tree saw.
    ///   - data: the training.
    init(_ predictions: HostMatrix, _ data: TreeData) {
        var (total, right, loss, squares) = (0.0, 0.0, 0.0, 0.0)
        for row in 0..<predictions.rows where !predictions[row, 0].isNaN {
            let weight = Double(data.weights?[row] ?? 1), values = predictions.row(row)
            total += weight
            if data.classes == 0 {
                let error = Double(values[0] - data.target[row])
                squares += weight * error * error
            } else {
                let label = Int(data.target[row])
                let best = values.indices.max { (values[$0], $1) < (values[$1], $0) }
                if best == label { right += weight }
                loss -= weight * log(min(max(Double(values[label]), 1e-6), 1))
            }
        }
        guard total > 0 else { return }
        if data.classes == 0 {
            rmse = (squares / total).squareRoot()
        } else {
            accuracy = right / total
            logLoss = loss / total
        }
    }
}

/// A decision tree or a forest as a model of a table.
///
/// Tensors: `predictor.nodes` (I32, nodes × 4: threshold, feature, left child, bias, as `apus_tree_node`),
/// `predictor.values` (F32, leaves × outputs), `predictor.cover`, `predictor.gain` (F32, of every node),
/// `predictor.starts` (I64, first node of every tree), `predictor.sets` (I64, nodes that split categories × 4).
public struct TreesPredictor: SupervisedPredictor {
    public struct Settings: Codable, Sendable {
        public var classes: Int
        public var costComplexity: Double
        public var outOfBag: OutOfBagFigures?
    }

    public let settings: Settings
    /// The trees themselves.
    public let trees: AveragedTrees
    private let columns: [FeatureDescription]
    private let task: SupervisedTask

    init(_ trees: AveragedTrees, _ training: TrainingSet, outOfBag: OutOfBagFigures?) {
        self.trees = trees
        columns = training.features.columns
        task = training.task
        settings = Settings(classes: trees.classes, costComplexity: trees.costComplexity, outOfBag: outOfBag)
    }

    public init(
        settings: Settings, file: SafetensorsFile, task: SupervisedTask, columns: [FeatureDescription]
    ) throws {
        self.settings = settings
        self.task = task
        self.columns = columns
        let ensemble = try TreeEnsemble(
            file: file, prefix: "predictor.", kinds: columns.map(\.treeKind),
            width: settings.classes > 2 ? settings.classes : 1, groups: 1)
        guard ensemble.treeCount > 0, settings.classes == (task.isClassification ? task.labels.count : 0) else {
            throw DataError("the trees of the file don't fit its target", file: file.path)
        }
        trees = AveragedTrees(ensemble: ensemble, classes: settings.classes)
    }

    public func write(to writer: inout SafetensorsWriter) { trees.ensemble.write(to: &writer, prefix: "predictor.") }

    public func predict(_ features: Features, context: LearningContext) throws -> HostMatrix {
        try trees.predict(features.dense, threads: context.threads)
    }

    public var importances: FeatureImportances? {
        FeatureImportances(measure: "impurity", values: trees.importances)
    }

    public func contributions(
        of features: Features, output: Int, context: LearningContext
    ) throws -> FeatureContributions? {
        let found = try trees.contributions(features.dense, output: output, threads: context.threads)
        return FeatureContributions(
            base: found.base, values: found.values.array, columns: found.columns,
            scale: task.isClassification ? "probability" : "value")
    }

    public func decisionPath(of features: Features, row: Int) -> [String]? {
        guard trees.treeCount == 1 else { return nil }
        return try? trees.decisionPath(
            features.dense, row: row, names: TreeFeatureNames(columns), labels: task.labels)
    }

    /// A tree as an SVG document, down to a depth: see ``AveragedTrees/drawing(names:labels:tree:depth:)``.
    public func drawing(tree: Int = 0, depth: Int = 4) -> String {
        trees.drawing(names: TreeFeatureNames(columns), labels: task.labels, tree: tree, depth: depth)
    }

    public var facts: [(name: String, value: Double)] {
        var facts: [(name: String, value: Double)] = [
            ("trees", Double(trees.treeCount)), ("leaves", Double(trees.leafCount)),
        ]
        if trees.treeCount == 1 {
            facts += [("depth", Double(trees.ensemble.depth(ofTree: 0))), ("cost complexity", settings.costComplexity)]
        }
        if let figures = settings.outOfBag {
            if let accuracy = figures.accuracy { facts.append(("out-of-bag accuracy", accuracy)) }
            if let loss = figures.logLoss { facts.append(("out-of-bag log loss", loss)) }
            if let rmse = figures.rmse { facts.append(("out-of-bag rmse", rmse)) }
        }
        return facts
    }
}

/// Boosted trees as a model of a table. Tensors as those of ``TreesPredictor``.
public struct BoostingPredictor: SupervisedPredictor {
    public struct Settings: Codable, Sendable {
        public var classes: Int
        public var loss: BoostingLoss
        /// The constant that the trees are added to.
        public var start: [Double]
        /// Loss on held-out rows after every round, with early stopping.
        public var validationLosses: [Double]
    }

    public let settings: Settings
    /// The trees themselves.
    public let trees: BoostedTrees
    private let columns: [FeatureDescription]
    private let task: SupervisedTask

    init(_ trees: BoostedTrees, columns: [FeatureDescription], task: SupervisedTask) {
        self.trees = trees
        self.columns = columns
        self.task = task
        settings = Settings(
            classes: trees.classes, loss: trees.loss, start: trees.start, validationLosses: trees.validationLosses)
    }

    public init(
        settings: Settings, file: SafetensorsFile, task: SupervisedTask, columns: [FeatureDescription]
    ) throws {
        self.settings = settings
        self.task = task
        self.columns = columns
        let groups = settings.loss == .multinomial ? settings.classes : 1
        guard settings.start.count == groups, settings.classes == (task.isClassification ? task.labels.count : 0)
        else { throw DataError("the trees of the file don't fit its target", file: file.path) }
        let ensemble = try TreeEnsemble(
            file: file, prefix: "predictor.", kinds: columns.map(\.treeKind), width: 1, groups: groups)
        trees = BoostedTrees(
            ensemble: ensemble, start: settings.start, loss: settings.loss, classes: settings.classes,
            validationLosses: settings.validationLosses)
    }

    public func write(to writer: inout SafetensorsWriter) { trees.ensemble.write(to: &writer, prefix: "predictor.") }

    public func predict(_ features: Features, context: LearningContext) throws -> HostMatrix {
        try trees.predict(features.dense, threads: context.threads)
    }

    public var importances: FeatureImportances? { FeatureImportances(measure: "gain", values: trees.importances) }

    public func contributions(
        of features: Features, output: Int, context: LearningContext
    ) throws -> FeatureContributions? {
        // Of two classes, the first's log odds are the second's with the other sign.
        let first = settings.loss == .logistic && output == 0
        let found = try trees.contributions(
            features.dense, output: settings.loss == .multinomial ? output : 0, threads: context.threads)
        let scale =
            switch settings.loss {
            case .logistic: "log odds"
            case .multinomial: "score"
            case .squared, .quantile: "value"
            }
        return FeatureContributions(
            base: first ? -found.base : found.base, values: first ? found.values.array.map { -$0 } : found.values.array,
            columns: found.columns, scale: scale)
    }

    public var facts: [(name: String, value: Double)] {
        var facts: [(name: String, value: Double)] = [
            ("rounds", Double(trees.rounds)), ("trees", Double(trees.ensemble.treeCount)),
            ("leaves", Double(trees.ensemble.leafCount)),
        ]
        if let best = settings.validationLosses.min() { facts.append(("validation loss", best)) }
        return facts
    }
}
