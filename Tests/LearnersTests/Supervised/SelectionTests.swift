import Core
import Learners
import Tables
import Testing

/// Comparisons, searches and explanations of generated customers.
@Suite struct SelectionTests {
    @Test func learnersAreComparedOnTheSameFolds() throws {
        let data = try SupervisedTables.supervised(SupervisedTables.churn(rows: 800))
        let folds = try data.folds(.stratified, count: 4, seed: 1)
        var blunt = LogisticRegression()
        blunt.l1 = 1e6
        let comparison = try LearnerComparison.run(
            [
                ("blunt", TablePipeline(learner: blunt)), ("logistic", TablePipeline(learner: LogisticRegression())),
                ("linear", TablePipeline(learner: LinearRegression())),
            ], on: data, folds: folds, context: cpuContext())
        #expect(comparison.entries.map(\.name) == ["logistic", "blunt", "linear"])
        #expect(comparison.entries[0].pValue == nil)
        #expect(try #require(comparison.entries[1].pValue) < 0.01)
        #expect(try #require(comparison.entries[1].difference) < -0.2)
        #expect(comparison.entries[2].failure != nil)
        #expect(abs(comparison.baseline.mean("roc_auc") - 0.5) < 1e-12)
    }

    @Test(arguments: TuningMethod.allCases)
    func searchesFindWhatIsGoodAndGoOn(method: TuningMethod) throws {
        let data = try SupervisedTables.supervised(SupervisedTables.churn(rows: 700))
        var options = TuningOptions(pipeline: TablePipeline(learner: LogisticRegression()))
        options.method = method
        options.trials = method == .halving ? 13 : 14
        options.space = [.range("l1", 1e-3, 1e4, logarithmic: true)]
        let whole = try Tuning(data, options: options)
        try whole.run(context: cpuContext())
        let best = try #require(whole.best)
        #expect(try #require(best.score) > 0.75)
        // Interrupted after a few trials, and resumed: the same trials.
        let first = try Tuning(data, options: options)
        struct Enough: Error {}
        #expect(throws: Enough.self) {
            try first.run(context: cpuContext()) { if $0.state.trials.count == 4 { throw Enough() } }
        }
        let resumed = try Tuning(data, options: options, resuming: first.state)
        try resumed.run(context: cpuContext())
        #expect(resumed.state.trials.map(\.place) == whole.state.trials.map(\.place))
        options.seed = 1
        #expect(throws: ParameterError.self) { try Tuning(data, options: options, resuming: first.state) }
    }

    @Test func budgetsEndSearches() throws {
        let data = try SupervisedTables.supervised(SupervisedTables.churn(rows: 300))
        var options = TuningOptions(pipeline: TablePipeline(learner: LogisticRegression()))
        options.trials = 100_000
        options.secondsBudget = 0.05
        let search = try Tuning(data, options: options)
        try search.run(context: cpuContext())
        #expect(search.state.trials.count < 1000)
    }

    @Test func columnsThatMatterAreFound() throws {
        let data = try SupervisedTables.supervised(SupervisedTables.churn(rows: 1500))
        let pipeline = try TablePipeline(learner: LogisticRegression()).fit(data, context: cpuContext())
        let found = try PermutationImportance.measure(pipeline, on: data, context: cpuContext())
        #expect(Set(found.columns.prefix(3).map(\.column)) == ["contract", "calls", "bill"])
        #expect(abs(try #require(found.columns.first { $0.column == "age" }).loss) < 0.01)
        let curve = try PartialDependence.measure(
            pipeline, on: data.table, column: "calls", output: 1, context: cpuContext())
        let predictions = curve.points.map(\.prediction)
        #expect(zip(predictions, predictions.dropFirst()).allSatisfy { $0 < $1 })
        let levels = try PartialDependence.measure(
            pipeline, on: data.table, column: "contract", output: 1, context: cpuContext())
        let monthly = try #require(levels.points.first { $0.text == "monthly" })
        let long = try #require(levels.points.first { $0.text == "two years" })
        #expect(monthly.prediction > long.prediction + 0.2)
    }

    @Test func contributionsAddUpToTheScore() throws {
        let data = try SupervisedTables.supervised(SupervisedTables.churn(rows: 300))
        for learner in [LogisticRegression(), NaiveBayes()] as [any SupervisedLearner] {
            let pipeline = try TablePipeline(learner: learner).fit(data, context: cpuContext())
            let features = try pipeline.recipe.apply(data.table)
            let found = try #require(
                try pipeline.predictor.contributions(of: features, output: 1, context: cpuContext()))
            let predictions = try pipeline.predict(features: features, context: cpuContext())
            for row in 0..<20 {
                let sum = found.base + found.row(row).reduce(0, +)
                let p = Double(predictions[row, 1])
                let odds = p / (1 - p)
                let expected = SupervisedMath.exponential(sum)
                #expect(abs(odds - expected) < 1e-3 * expected)
            }
        }
    }
}
