import Core
import Learners
import Tables
import Testing

/// Trees as learners of tables: by name, in model files, explained.
struct TreeLearnerTests {
    private static let learners = [
        "tree", "tree(pruningFolds=0,splits=histogram)", "forest(trees=20,outOfBag=true)", "boosting(rounds=20)",
    ]

    private func trained(_ learner: String, _ target: String = "left") throws -> (
        data: SupervisedTable, pipeline: FittedPipeline
    ) {
        let data = try SupervisedTables.supervised(SupervisedTables.churn(rows: 1500), target: target)
        let pipeline = TablePipeline(learner: try LearnerRegistry.parse(learner), calibration: .none)
        return (data, try pipeline.fit(data, context: cpuContext()))
    }

    @Test(arguments: learners, ["left", "city", "bill"])
    func modelsAreSavedAndRead(_ learner: String, target: String) throws {
        let (data, pipeline) = try trained(learner, target)
        let model = TableModel(
            learner: try LearnerRegistry.parse(learner), pipeline: pipeline, roles: TableRoles(target: target),
            threshold: 0.5, provenance: TableModelProvenance())
        let folder = TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        try model.save(to: folder.file("trees.apus"))
        let read = try TableModel(path: folder.file("trees.apus"))
        let context = try cpuContext()
        let before = try model.predict(data.table, context: context)
        #expect(try read.predict(data.table, context: context).isIdentical(to: before))
        #expect(read.pipeline.predictor.facts.map(\.name) == pipeline.predictor.facts.map(\.name))
    }

    @Test(arguments: learners) func contributionsAddUp(_ learner: String) throws {
        let (data, pipeline) = try trained(learner)
        let context = try cpuContext()
        let features = try pipeline.recipe.apply(data.table)
        let predictions = try pipeline.predict(features: features, context: context)
        for output in 0..<2 {
            let found = try #require(
                try pipeline.predictor.contributions(of: features, output: output, context: context))
            for row in 0..<200 {
                let sum = found.base + found.row(row).reduce(0, +)
                let share = found.scale == "log odds" ? 1 / (1 + SupervisedMath.exponential(-sum)) : sum
                #expect(abs(share - Double(predictions[row, output])) < 1e-6)
            }
        }
        let importances = try #require(pipeline.predictor.importances).values
        let names = features.columns.map(\.name)
        let ranked = names.indices.sorted { importances[$0] > importances[$1] }.map { names[$0] }
        #expect(Set(ranked.prefix(2)).isSubset(of: ["calls", "contract", "bill"]), "\(ranked)")
    }

    @Test func aTreeSaysWhy() throws {
        let (data, pipeline) = try trained("tree")
        let features = try pipeline.recipe.apply(data.table)
        let path = try #require(pipeline.predictor.decisionPath(of: features, row: 0))
        #expect(!path.isEmpty && path.allSatisfy { $0.contains(" rows, ") && $0.hasSuffix("% yes") }, "\(path)")
        let trees = try #require(pipeline.predictor as? TreesPredictor)
        #expect(trees.drawing().contains("1500 rows"))
        let (_, forest) = try trained("forest(trees=3)")
        #expect(forest.predictor.decisionPath(of: features, row: 0) == nil)
    }

    @Test func parametersAreSetByName() throws {
        for text in ["forest(criterion=entropy,columnsPerSplit=2)", "boosting(loss=logistic,earlyStopping=5)"] {
            _ = try LearnerRegistry.parse(text)
        }
        for text in ["forest(criterion=nonsense)", "boosting(leaves=1)", "tree(leaf=3)", "boosting(rounds=a)"] {
            #expect(throws: ParameterError.self) { try LearnerRegistry.parse(text) }
        }
    }
}
