import ArgumentParser
import Core
import Learners

/// `apus train svm`
struct TrainSVMCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "svm", abstract: "Train a support vector machine: linear, or with a kernel.",
        discussion: """
            Minimises ½‖w‖² + C · Σ weight · loss(margin). The linear kernel takes any number of rows and texts; rbf and \
            polynomial take some ten thousands of rows, rbf with --random-features more. Probabilities are calibrated on \
            held-out folds.
            """)

    @Option(help: "linear, rbf or polynomial.")
    var kernel = SupportVectorMachine.Kernel.linear
    @Option(help: "C: weight of the losses.")
    var c = SupportVectorMachine().c
    @Option(help: "hinge or squared-hinge; linear kernel only.")
    var loss = SupportVectorMachine().loss
    @Option(help: "Width of the kernel; 0: 1 / (columns · variance).")
    var gamma = 0.0
    @Option(help: "Degree of the polynomial.")
    var degree = SupportVectorMachine().degree
    @Option(help: "Constant of the polynomial.")
    var offset = 0.0
    @Option(name: .customLong("random-features"), help: "Random features in place of the rbf kernel; 0 for none.")
    var randomFeatures = 0
    @OptionGroup var training: TableTrainingFlags

    func run() throws {
        var learner = SupportVectorMachine()
        learner.kernel = kernel
        learner.c = c
        learner.loss = loss
        learner.gamma = gamma
        learner.degree = degree
        learner.offset = offset
        learner.randomFeatures = randomFeatures
        try training.run(learner)
    }
}

/// `apus train naive-bayes`
struct TrainNaiveBayesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "naive-bayes", abstract: "Train naive Bayes: classes by each column's likelihood; fast on texts.")

    @Option(help: "auto, binned, multinomial, complement, bernoulli or gaussian.")
    var variant = NaiveBayes.Variant.auto
    @Option(help: "Added to every count.")
    var alpha = NaiveBayes().alpha
    @OptionGroup var training: TableTrainingFlags

    func run() throws {
        var learner = NaiveBayes()
        learner.variant = variant
        learner.alpha = alpha
        try training.run(learner)
    }
}

/// `apus train knn`
struct TrainNeighboursCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "knn", abstract: "Train nearest neighbours: a row is predicted by those most like it.")

    @Option(help: "How many neighbours are asked.")
    var neighbours = NearestNeighbours().neighbours
    @Option(help: "euclidean or cosine.")
    var metric = NearestNeighbours.Metric.euclidean
    @Option(help: "uniform, or by 1 / distance.")
    var vote = NearestNeighbours.Vote.uniform
    @OptionGroup var training: TableTrainingFlags

    func run() throws {
        var learner = NearestNeighbours()
        learner.neighbours = neighbours
        learner.metric = metric
        learner.vote = vote
        try training.run(learner)
    }
}

extension SupportVectorMachine.Kernel: ExpressibleByArgument {}
extension SupportVectorMachine.Loss: ExpressibleByArgument {}
extension NaiveBayes.Variant: ExpressibleByArgument {}
extension NearestNeighbours.Metric: ExpressibleByArgument {}
extension NearestNeighbours.Vote: ExpressibleByArgument {}
