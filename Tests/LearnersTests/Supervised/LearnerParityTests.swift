import Core
import Foundation
import Learners
import Tables
import Testing

/// Kernels, naive Bayes, neighbours, calibration and metrics beside scikit-learn's.
@Suite struct LearnerParityTests {
    let fixture = SupervisedFixture.shared

    private func predictions(
        _ learner: some SupervisedLearner, _ training: TrainingSet, test: Features
    ) throws -> [Double] {
        try learner.fit(training, context: cpuContext()).predict(test, context: cpuContext()).doubles
    }

    @Test(arguments: ["rbf", "polynomial"])
    func kernelMachine(name: String) throws {
        var learner = SupportVectorMachine()
        learner.kernel = try #require(SupportVectorMachine.Kernel(rawValue: name))
        learner.tolerance = 1e-7
        if name == "rbf" {
            learner.c = 1.5
        } else {
            (learner.degree, learner.gamma, learner.offset) = (2, 0.3, 1)
        }
        let test = try fixture.features("test", columns: fixture.columns)
        let found = try predictions(learner, try fixture.training("binary"), test: test)
        let decisions = try fixture.values("\(name).decision")
        for (row, decision) in decisions.enumerated() {
            let own = log(found[row * 2 + 1] / found[row * 2])
            #expect(abs(own - decision) < 2e-5 * max(1, abs(decision)))
        }
    }

    @Test func kernelRowsThatMakeWayGiveTheSame() throws {
        // One megabyte holds far fewer rows than there are: the cache must drop some and compute them again.
        let random = Philox(seed: 9, stream: 0)
        let rows = 1500
        let matrix = HostMatrix(
            rows: rows, columns: 4, elements: (0..<rows * 4).map { Float(random.normal(UInt64($0))) })
        let target = (0..<rows).map { Double(matrix[$0, 0] * matrix[$0, 1] > 0 ? 1 : 0) }
        let training = TrainingSet(
            features: Features(matrix), task: .binary(negative: "a", positive: "b"), target: target)
        var learner = SupportVectorMachine()
        learner.kernel = .rbf
        let roomy = try predictions(learner, training, test: training.features)
        learner.cache = 1
        #expect(try predictions(learner, training, test: training.features) == roomy)
    }

    @Test(arguments: [
        (NaiveBayes.Variant.gaussian, "gaussian_nb"), (.multinomial, "multinomial_nb"), (.complement, "complement_nb"),
        (.bernoulli, "bernoulli_nb"),
    ])
    func naiveBayes(variant: NaiveBayes.Variant, name: String) throws {
        var learner = NaiveBayes()
        learner.variant = variant
        learner.alpha = 0.5
        let isCount = variant != .gaussian
        let weighted = variant == .gaussian || variant == .bernoulli
        let training = try fixture.training("multi", features: isCount ? "counts" : "x", weighted: weighted)
        let test = try fixture.features(isCount ? "test_counts" : "test", columns: isCount ? 8 : fixture.columns)
        #expect(
            largestDifference(try predictions(learner, training, test: test), try fixture.values(name)) < 1e-5)
        let sparse = TrainingSet(
            features: training.features.asSparse, task: training.task, target: training.target,
            weights: training.weights)
        #expect(
            largestDifference(try predictions(learner, sparse, test: test.asSparse), try fixture.values(name)) < 1e-5)
    }

    @Test(arguments: ["knn", "knn_distance", "knn_cosine", "knn_number"])
    func neighbours(name: String) throws {
        var learner = NearestNeighbours()
        learner.neighbours = 7
        learner.vote = name == "knn_distance" ? .distance : .uniform
        learner.metric = name == "knn_cosine" ? .cosine : .euclidean
        let training = try fixture.training(name == "knn_number" ? "number" : "multi")
        let test = try fixture.features("test", columns: fixture.columns)
        #expect(largestDifference(try predictions(learner, training, test: test), try fixture.values(name)) < 1e-5)
        let sparse = TrainingSet(features: training.features.asSparse, task: training.task, target: training.target)
        #expect(
            largestDifference(try predictions(learner, sparse, test: test.asSparse), try fixture.values(name)) < 1e-5)
    }

    @Test(arguments: [CalibrationKind.platt, .isotonic])
    func calibration(kind: CalibrationKind) throws {
        let scores = try fixture.values("calibration.scores")
        let predictions = HostMatrix(rows: scores.count, columns: 2)
        for (row, score) in scores.enumerated() {
            (predictions[row, 0], predictions[row, 1]) = (Float(1 - score), Float(score))
        }
        let calibration = try Calibration(
            kind, predictions: predictions, target: try fixture.values("binary"), weights: nil,
            task: .binary(negative: "0", positive: "1"))
        let put = calibration.apply(predictions)
        let own = scores.indices.map { Double(put[$0, 1]) }
        // scikit-learn's L-BFGS ends a little before the minimum.
        #expect(
            largestDifference(own, try fixture.values("calibration.\(kind.rawValue)")) < (kind == .platt ? 2e-4 : 1e-6))
    }

    @Test func binaryMetrics() throws {
        let scores = try fixture.values("binary_metrics.scores")
        let predictions = HostMatrix(rows: scores.count, columns: 2)
        for (row, score) in scores.enumerated() {
            (predictions[row, 0], predictions[row, 1]) = (Float(1 - score), Float(score))
        }
        let values = SupervisedEvaluation.values(
            predictions, task: .binary(negative: "0", positive: "1"), target: try fixture.values("binary"),
            weights: try fixture.values("weights"))
        for (name, value) in values where !["lift@10%", "gain@10%", "calibration_error"].contains(name) {
            #expect(abs(value - (try fixture.values("binary_metrics.\(name)")[0])) < 1e-6, "\(name)")
        }
    }

    @Test func metricsOfSeveralClassesAndNumbers() throws {
        let scores = try fixture.values("multi_metrics.scores")
        let predictions = HostMatrix(rows: scores.count / 3, columns: 3, elements: scores.map { Float($0) })
        let several = SupervisedEvaluation.values(
            predictions, task: try .classification(["0", "1", "2"]), target: try fixture.values("multi"))
        for (name, value) in several where name != "brier" {
            #expect(abs(value - (try fixture.values("multi_metrics.\(name)")[0])) < 1e-6, "\(name)")
        }
        let numbers = try fixture.values("number_metrics.predictions")
        let regression = SupervisedEvaluation.values(
            HostMatrix(rows: numbers.count, columns: 1, elements: numbers.map { Float($0) }), task: .regression,
            target: try fixture.values("number"), weights: try fixture.values("weights"))
        for (name, value) in regression where !["median_absolute_error", "pinball@0.5"].contains(name) {
            #expect(abs(value - (try fixture.values("number_metrics.\(name)")[0])) < 1e-6, "\(name)")
        }
    }
}
