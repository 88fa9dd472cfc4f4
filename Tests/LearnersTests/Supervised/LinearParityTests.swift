import Core
import Learners
import Tables
import Testing

/// Coefficients and probabilities equal to scikit-learn's where the minimum is unique.
@Suite struct LinearParityTests {
    let fixture = SupervisedFixture.shared

    /// Coefficients in scikit-learn's order: class after class, and the intercepts.
    private func split(_ predictor: LinearPredictor) throws -> (coefficients: [Double], intercepts: [Double]) {
        let all = try #require(predictor.coefficients)
        let labels = Array(Set(all.map(\.label))).sorted { ($0 ?? "") < ($1 ?? "") }
        return (
            labels.flatMap { label in
                all.filter { $0.label == label && $0.feature != "(intercept)" }.map(\.value)
            },
            labels.flatMap { label in all.filter { $0.label == label && $0.feature == "(intercept)" }.map(\.value) }
        )
    }

    private func check(_ predictor: LinearPredictor, _ name: String, within tolerance: Double = 1e-5) throws {
        let (coefficients, intercepts) = try split(predictor)
        #expect(largestDifference(coefficients, try fixture.values("\(name).coefficients")) < tolerance)
        #expect(largestDifference(intercepts, try fixture.values("\(name).intercept")) < tolerance)
    }

    @Test(arguments: [LinearRegression.Solver.qr, .normal, .coordinate, .conjugateGradient])
    func leastSquares(solver: LinearRegression.Solver) throws {
        var learner = LinearRegression()
        learner.solver = solver
        learner.tolerance = 1e-12
        let predictor = try learner.fit(try fixture.training("number"), context: cpuContext())
        try check(predictor, "ols")
        try check(
            try learner.fit(try fixture.training("number", weighted: true), context: cpuContext()), "ols_weighted")
        if solver == .qr || solver == .normal {
            let errors = try #require(predictor.coefficients).compactMap(\.standardError)
            #expect(largestDifference(errors, try fixture.values("ols.standard_errors")) < 1e-7)
        }
    }

    @Test(arguments: ["ridge", "lasso", "elastic"])
    func penalties(name: String) throws {
        var learner = LinearRegression()
        learner.l1 = try fixture.values("\(name).l1")[0]
        learner.l2 = try fixture.values("\(name).l2")[0]
        learner.tolerance = 1e-12
        try check(try learner.fit(try fixture.training("number"), context: cpuContext()), name)
        guard learner.l1 == 0 else { return }
        learner.solver = .conjugateGradient
        try check(try learner.fit(try fixture.training("number"), context: cpuContext()), name)
    }

    @Test(
        arguments: [
            ("logistic", "binary", false), ("logistic_weighted", "binary", true), ("multinomial", "multi", false),
        ], [LogisticRegression.Solver.newton, .newtonCG, .lbfgs, .coordinate, .stochastic])
    func logistic(fit: (name: String, target: String, weighted: Bool), solver: LogisticRegression.Solver) throws {
        var learner = LogisticRegression()
        learner.l2 = try fixture.values("\(fit.name).l2")[0]
        learner.solver = solver
        learner.tolerance = solver == .stochastic ? 1e-9 : 1e-9
        learner.maximumIterations = 20_000
        let training = try fixture.training(fit.target, weighted: fit.weighted)
        let predictor = try learner.fit(training, context: cpuContext())
        if solver == .stochastic, fit.target == "multi" {
            // Unpenalised intercepts may all be shifted alike.
            let (coefficients, _) = try split(predictor)
            #expect(largestDifference(coefficients, try fixture.values("\(fit.name).coefficients")) < 1e-4)
        } else if fit.target == "multi" {
            let (coefficients, _) = try split(predictor)
            #expect(largestDifference(coefficients, try fixture.values("\(fit.name).coefficients")) < 1e-5)
        } else {
            try check(predictor, fit.name)
        }
        let probabilities = try predictor.predict(
            try fixture.features("test", columns: fixture.columns), context: cpuContext())
        #expect(largestDifference(probabilities.doubles, try fixture.values("\(fit.name).probabilities")) < 1e-5)
    }

    @Test(arguments: [LogisticRegression.Solver.coordinate, .stochastic])
    func lasso(solver: LogisticRegression.Solver) throws {
        var learner = LogisticRegression()
        learner.solver = solver
        learner.tolerance = 1e-10
        learner.maximumIterations = 50_000
        learner.l1 = try fixture.values("logistic_l1.l1")[0]
        learner.l2 = 0
        let predictor = try learner.fit(try fixture.training("binary"), context: cpuContext())
        try check(predictor, "logistic_l1")
        let zeros = try #require(predictor.coefficients).count { $0.value == 0 }
        #expect(zeros == (try fixture.values("logistic_l1.coefficients").count { $0 == 0 }))

        learner.l1 = try fixture.values("multinomial_elastic.l1")[0]
        learner.l2 = try fixture.values("multinomial_elastic.l2")[0]
        let several = try learner.fit(try fixture.training("multi"), context: cpuContext())
        let (coefficients, _) = try split(several)
        #expect(largestDifference(coefficients, try fixture.values("multinomial_elastic.coefficients")) < 1e-5)
    }

    @Test func sparseFeaturesGiveTheSame() throws {
        let dense = try fixture.training("binary", weighted: true)
        let sparse = TrainingSet(
            features: dense.features.asSparse, task: dense.task, target: dense.target, weights: dense.weights)
        var learner = LogisticRegression()
        learner.tolerance = 1e-9
        for solver in [LogisticRegression.Solver.newtonCG, .lbfgs, .coordinate] {
            learner.solver = solver
            try check(try learner.fit(sparse, context: cpuContext()), "logistic_weighted")
        }
    }

    @Test(arguments: [("svc_squared", "binary"), ("svc_hinge", "binary"), ("svc_multi", "multi")])
    func linearMachine(name: String, target: String) throws {
        var learner = SupportVectorMachine()
        learner.c = 0.7
        learner.loss = name == "svc_hinge" ? .hinge : .squaredHinge
        // Several classes are descended in float32.
        learner.tolerance = target == "multi" ? 2e-6 : 1e-10
        learner.maximumIterations = 20_000
        let training = try fixture.training(target)
        let sparse = TrainingSet(features: training.features.asSparse, task: training.task, target: training.target)
        for set in [training, sparse] {
            let predictor = try learner.fit(set, context: cpuContext())
            let all = try #require(predictor.coefficients)
            let labels = Array(Set(all.map(\.label))).sorted { ($0 ?? "") < ($1 ?? "") }
            let own = labels.flatMap { label in all.filter { $0.label == label }.map(\.value) }
            let theirs = try zip(
                fixture.values("\(name).coefficients").chunks(of: fixture.columns), fixture.values("\(name).intercept")
            ).flatMap { $0 + [$1] }
            #expect(largestDifference(own, theirs) < 1e-5)
        }
    }

    @Test(arguments: [1, 2, 3])
    func everyNumberOfThreadsGivesTheSameBits(threads: Int) throws {
        let training = try fixture.training("multi")
        let reference = try LogisticRegression().fit(training, context: cpuContext(threads: 1))
        let other = try LogisticRegression().fit(training, context: cpuContext(threads: threads))
        #expect(reference.coefficients == other.coefficients)
    }

    @Test func collinearColumnsHaveTheShortestSolution() throws {
        let training = try fixture.training("number")
        let matrix = training.features.dense
        let doubled = HostMatrix(rows: matrix.rows, columns: 2)
        for row in 0..<matrix.rows { (doubled[row, 0], doubled[row, 1]) = (matrix[row, 0], matrix[row, 0]) }
        for solver in [LinearRegression.Solver.qr, .normal] {
            var learner = LinearRegression()
            learner.solver = solver
            let predictor = try learner.fit(
                TrainingSet(features: Features(doubled), task: .regression, target: training.target),
                context: cpuContext())
            let own = try #require(predictor.coefficients)
            #expect(abs(own[0].value - own[1].value) < 1e-6)
            #expect(own[0].standardError == nil)
        }
    }

    @Test func moreColumnsThanRowsAreFitted() throws {
        let random = Philox(seed: 3, stream: 0)
        let matrix = HostMatrix(rows: 10, columns: 40, elements: (0..<400).map { Float(random.normal(UInt64($0))) })
        let target = (0..<10).map { Double($0) }
        let predictor = try LinearRegression().fit(
            TrainingSet(features: Features(matrix), task: .regression, target: target), context: cpuContext())
        let fitted = try predictor.predict(Features(matrix), context: cpuContext())
        #expect(largestDifference(fitted.doubles, target) < 1e-3)
    }
}

extension Array {
    func chunks(of size: Int) -> [[Element]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
    }
}
