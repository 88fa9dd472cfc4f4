import Compute
import Core
import Learners
import Tables
import Testing

/// What a recommender is for: it must find what people take. On generated data, so that it never skips.
@Suite struct QualityTests {
    /// A shop with tastes: the recommender finds what popularity does not.
    @Test(arguments: TestDevices.names, [FactorizationSolver.exact, .cg, .subspace])
    func beatsPopularItems(device: String, solver: FactorizationSolver) throws {
        var options = RecommenderTrainingOptions()
        options.factorization.factors = 32
        options.factorization.iterations = 10
        options.factorization.solver = solver
        options.factorization.blockSize = 16
        options.split = SplitOptions(kind: .users, seed: 5)
        options.cutoffs = [20]
        let result = try RecommenderTraining(
            interactions: try shop(users: 3000, items: 600, interactions: 90_000), options: options,
            stream: try TestDevices.stream(device)
        ).run()
        func figure(_ name: String, _ metrics: [(name: String, value: MetricValue)]?) throws -> MetricValue {
            try #require(metrics?.first { $0.name == name }?.value)
        }
        let popular = result.baselines.first { $0.name == "popular" }?.metrics
        let random = result.baselines.first { $0.name == "random" }?.metrics
        #expect(result.evaluated > 250)
        for name in ["recall@20", "ndcg@20"] {
            let own = try figure(name, result.metrics)
            #expect(try own.value > 1.5 * figure(name, popular).value, "\(name) \(own)")
            #expect(try own.low > figure(name, popular).high, "\(name): the intervals must not touch")
            #expect(try figure(name, popular).value > 1.5 * figure(name, random).value)
        }
        #expect(try figure("coverage@20", result.metrics).value > 2 * figure("coverage@20", popular).value)
        #expect(result.model.provenance.metrics["recall@20"] == (try figure("recall@20", result.metrics)))
    }

    @Test func ratingsBeatTheMean() throws {
        var options = RecommenderTrainingOptions()
        options.factorization.feedback = .explicit
        options.factorization.factors = 16
        options.factorization.regularization = 0.1
        options.split = SplitOptions(kind: .random, seed: 5)
        let result = try RecommenderTraining(
            interactions: try shop(users: 2000, items: 400, interactions: 60_000), options: options,
            stream: try TestDevices.stream("cpu")
        ).run()
        let own = try #require(result.metrics.first { $0.name == "rmse" }?.value)
        let mean = try #require(
            result.baselines.first { $0.name == "mean" }?.metrics.first { $0.name == "rmse" }?.value)
        #expect(own.high < mean.low && own.value < 0.9 * mean.value, "rmse \(own), of the mean \(mean)")
    }

    /// The best of grids on data with nothing to overfit: early stopping keeps a better model than the last one.
    @Test func earlyStoppingKeepsTheBest() throws {
        var options = RecommenderTrainingOptions()
        options.factorization.factors = 48
        options.factorization.iterations = 30
        options.factorization.regularization = 1e-5
        options.factorization.unobservedWeight = 0.02
        options.split = SplitOptions(kind: .users, seed: 5)
        options.cutoffs = [100]
        options.earlyStopping = 3
        let interactions = try shop(users: 1500, items: 300, interactions: 30_000)
        let result = try RecommenderTraining(
            interactions: interactions, options: options, stream: try TestDevices.stream("cpu")
        ).run()
        let history = result.history
        #expect(history.iterations < 30 && history.bestIteration == history.iterations - 3)
        #expect(history.validation[history.bestIteration - 1] == history.validation.max())
        #expect(result.model.provenance.iterations == history.bestIteration)
    }

    /// On the file that a model was trained from, the held-out part alone is scored, with the same figures.
    @Test func aModelIsJudgedOnItsHeldOutPart() throws {
        var options = RecommenderTrainingOptions()
        options.factorization.factors = 16
        options.split = SplitOptions(kind: .users, seed: 5)
        options.cutoffs = [20]
        let interactions = try shop(users: 1000, items: 200, interactions: 20_000)
        let stream = try TestDevices.stream("cpu")
        let trained = try RecommenderTraining(interactions: interactions, options: options, stream: stream).run()
        let again = try ModelEvaluation.evaluate(trained.model, on: interactions, cutoffs: [20], stream: stream)
        #expect(again.scored.contains("held-out part"))
        for (first, second) in zip(trained.metrics, again.result.metrics) {
            #expect(first.name == second.name && abs(first.value.value - second.value.value) < 2e-3, "\(first.name)")
        }
        let other = try ModelEvaluation.evaluate(
            trained.model, on: try shop(users: 300, items: 200, interactions: 6000, seed: 8), cutoffs: [20],
            stream: stream)
        #expect(other.scored.contains("another file") && other.result.evaluated > 100)
    }
}
