import ArgumentParser
import Core
import Learners

/// `apus train linear`
struct TrainLinearCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "linear", abstract: "Train a linear regression: a number from columns, with standard errors.",
        discussion: "Minimises ½ Σ weight · (y − ŷ)² + l1 · ‖w‖₁ + l2/2 · ‖w‖².")

    @Option(help: "Weight of the sum of the coefficients' magnitudes (lasso).")
    var l1 = LinearRegression().l1
    @Option(help: "Weight of half the sum of their squares (ridge).")
    var l2 = LinearRegression().l2
    @Option(help: "auto, qr, normal, coordinate or conjugate-gradient.")
    var solver = LinearRegression.Solver.auto
    @OptionGroup var training: TableTrainingFlags

    func run() throws {
        var learner = LinearRegression()
        learner.l1 = l1
        learner.l2 = l2
        learner.solver = solver
        try training.run(learner)
    }
}

/// `apus train logistic`
struct TrainLogisticCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logistic", abstract: "Train a logistic regression: classes from columns.",
        discussion: "Minimises Σ weight · log loss + l1 · ‖w‖₁ + l2/2 · ‖w‖²; scikit-learn's C is 1/l2.")

    @Option(help: "Weight of the sum of the coefficients' magnitudes.")
    var l1 = LogisticRegression().l1
    @Option(help: "Weight of half the sum of their squares.")
    var l2 = LogisticRegression().l2
    @Option(help: "auto, newton, newton-cg, lbfgs, coordinate or stochastic.")
    var solver = LogisticRegression.Solver.auto
    @OptionGroup var training: TableTrainingFlags

    func run() throws {
        var learner = LogisticRegression()
        learner.l1 = l1
        learner.l2 = l2
        learner.solver = solver
        try training.run(learner)
    }
}

extension LinearRegression.Solver: ExpressibleByArgument {}
extension LogisticRegression.Solver: ExpressibleByArgument {}
