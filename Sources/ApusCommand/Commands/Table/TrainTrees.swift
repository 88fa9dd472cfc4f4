import ArgumentParser
import Core
import Learners

/// `apus train tree`
struct TrainTreeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tree", abstract: "Train a decision tree, pruned so that it can be read.",
        discussion: """
            Categories and missing values are taken as they are. Unless --cost-complexity or --leaves says how small the \
            tree is to be, cross-validation does.
            """)

    @Option(help: "gini, entropy (classes) or variance (numbers).")
    var criterion: TreeCriterion?
    @Option(help: "Where thresholds are sought: exact, or histogram for many rows.")
    var thresholds = DecisionTree().splits
    @Option(name: .customLong("depth"), help: "Splits from the root to a leaf at most; 0 for no limit.")
    var depth = DecisionTree().maximumDepth
    @Option(help: "Leaves at most, the most useful splits first; 0 for no limit.")
    var leaves = DecisionTree().leaves
    @Option(name: .customLong("minimum-leaf-rows"), help: "Weight of a leaf's rows at least.")
    var minimumLeafRows = DecisionTree().minimumLeafRows
    @Option(name: .customLong("cost-complexity"), help: "What a leaf costs when the tree is pruned.")
    var costComplexity: Double?
    @Option(name: .customLong("pruning-folds"), help: "Folds that choose the cost of a leaf; 0 for none.")
    var pruningFolds = DecisionTree().pruningFolds
    @OptionGroup var training: TableTrainingFlags

    func run() throws {
        var learner = DecisionTree()
        learner.criterion = criterion
        learner.splits = thresholds
        learner.maximumDepth = depth
        learner.leaves = leaves
        learner.minimumLeafRows = minimumLeafRows
        learner.costComplexity = costComplexity ?? 0
        learner.pruningFolds = costComplexity == nil && leaves == 0 ? pruningFolds : 0
        try training.run(learner)
    }
}

/// `apus train forest`
struct TrainForestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forest", abstract: "Train a random forest: many trees on rows and columns drawn at random.")

    @Option(help: "Number of trees.")
    var trees = RandomForest().trees
    @Option(help: "gini, entropy (classes) or variance (numbers).")
    var criterion: TreeCriterion?
    @Option(name: .customLong("columns-per-split"), help: "Columns that a split chooses among; 0: the usual number.")
    var columnsPerSplit = RandomForest().columnsPerSplit
    @Option(name: .customLong("depth"), help: "Splits from the root to a leaf at most; 0 for no limit.")
    var depth = RandomForest().maximumDepth
    @Option(name: .customLong("minimum-leaf-rows"), help: "Weight of a leaf's rows at least.")
    var minimumLeafRows = RandomForest().minimumLeafRows
    @Option(name: .customLong("row-fraction"), help: "Rows drawn for a tree, as a share of all.")
    var rowFraction = RandomForest().rowFraction
    @Flag(inversion: .prefixedNo, help: "Rows are drawn with replacement.")
    var bootstrap = true
    @Option(help: "Bins of a number or category at most.")
    var bins = RandomForest().bins
    @Flag(
        name: .customLong("out-of-bag"), inversion: .prefixedNo, help: "Figures from the trees that didn't see a row.")
    var outOfBag = true
    @OptionGroup var training: TableTrainingFlags

    func run() throws {
        var learner = RandomForest()
        learner.trees = trees
        learner.criterion = criterion
        learner.columnsPerSplit = columnsPerSplit
        learner.maximumDepth = depth
        learner.minimumLeafRows = minimumLeafRows
        learner.rowFraction = rowFraction
        learner.bootstrap = bootstrap
        learner.bins = bins
        learner.outOfBag = outOfBag && (bootstrap || rowFraction < 1)
        try training.run(learner)
    }
}

/// `apus train boosting`
struct TrainBoostingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "boosting", abstract: "Train gradient-boosted trees by histograms.")

    @Option(help: "Rounds at most; a round adds a tree, or one for each of several classes.")
    var rounds = GradientBoosting().rounds
    @Option(name: .customLong("learning-rate"), help: "What a tree's values are multiplied by.")
    var learningRate = GradientBoosting().learningRate
    @Option(help: "Leaves of a tree at most, 2 to 255.")
    var leaves = GradientBoosting().leaves
    @Option(name: .customLong("depth"), help: "Splits from the root to a leaf at most; 0 for no limit.")
    var depth = GradientBoosting().maximumDepth
    @Option(name: .customLong("minimum-leaf-rows"), help: "Rows of a leaf at least.")
    var minimumLeafRows = GradientBoosting().minimumLeafRows
    @Option(name: .customLong("minimum-child-weight"), help: "Second derivatives of a leaf at least.")
    var minimumChildWeight = GradientBoosting().minimumChildWeight
    @Option(help: "Penalty on the squares of the leaves' values.")
    var l2 = GradientBoosting().l2
    @Option(name: .customLong("row-fraction"), help: "Share of the rows that a round learns from.")
    var rowFraction = GradientBoosting().rowFraction
    @Option(name: .customLong("column-fraction"), help: "Share of the columns that a tree may use.")
    var columnFraction = GradientBoosting().columnFraction
    @Option(help: "Bins of a number or category at most.")
    var bins = GradientBoosting().bins
    @Option(help: "squared or quantile for numbers; classes have theirs.")
    var loss: BoostingLoss?
    @Option(help: "The quantile of --loss quantile.")
    var quantile = GradientBoosting().quantile
    @Option(
        name: .customLong("early-stopping"),
        help: "Stop after so many rounds without a better validation loss; 0: never.")
    var earlyStopping = GradientBoosting().earlyStopping
    @Option(name: .customLong("validation-fraction"), help: "Share of the rows held out for that.")
    var validationFraction = GradientBoosting().validationFraction
    @OptionGroup var training: TableTrainingFlags

    func run() throws {
        var learner = GradientBoosting()
        learner.rounds = rounds
        learner.learningRate = learningRate
        learner.leaves = leaves
        learner.maximumDepth = depth
        learner.minimumLeafRows = minimumLeafRows
        learner.minimumChildWeight = minimumChildWeight
        learner.l2 = l2
        learner.rowFraction = rowFraction
        learner.columnFraction = columnFraction
        learner.bins = bins
        learner.loss = loss
        learner.quantile = quantile
        learner.earlyStopping = earlyStopping
        learner.validationFraction = validationFraction
        try training.run(learner)
    }
}

extension TreeCriterion: ExpressibleByArgument {}
extension TreeSplits: ExpressibleByArgument {}
extension BoostingLoss: ExpressibleByArgument {}
