import Compute
import Core
import Learners
import Testing

/// The loss, and what the solvers make of it.
@Suite struct LossTests {
    private func data(_ options: FactorizationOptions) throws -> FactorizationData {
        let byUser = randomInteractions(rows: 80, columns: 60, lengths: [4, 9, 0, 20, 35])
        return try FactorizationData(byUser: byUser, byItem: byUser.transposed(), options: options)
    }

    private func options(_ feedback: Feedback = .implicit, iterations: Int = 6) -> FactorizationOptions {
        var options = FactorizationOptions()
        options.feedback = feedback
        options.factors = 12
        options.iterations = iterations
        options.regularization = feedback == .implicit ? 0.01 : 0.1
        options.confidence = .log
        options.blockSize = 5
        options.solver = .exact
        options.computesLoss = true
        return options
    }

    private func losses(_ options: FactorizationOptions, device: String = "cpu") throws -> [Double] {
        let trainer = try FactorizationTrainer(
            data: try data(options), options: options, stream: try TestDevices.stream(device))
        var losses: [Double] = []
        try trainer.run { report in
            losses.append(report.loss ?? .nan)
            return .proceed
        }
        return losses
    }

    /// The Gram trick against a double sum over all pairs.
    @Test(arguments: TestDevices.names, Feedback.allCases)
    func lossIsTheSumOverAllPairs(device: String, feedback: Feedback) throws {
        for confidence in ConfidenceRule.allCases {
            var options = options(feedback, iterations: 2)
            options.confidence = confidence
            // The matrix as given: the data holds confidences already.
            let raw = randomInteractions(rows: 80, columns: 60, lengths: [4, 9, 0, 20, 35])
            let trainer = try FactorizationTrainer(
                data: try data(options), options: options, stream: try TestDevices.stream(device))
            _ = try trainer.iterate()
            let loss = try #require(try trainer.iterate().loss)
            let factors = try trainer.factors()
            let direct = DenseReference(options: options, mean: Double(factors.mean)).loss(
                raw, users: factors.users.rowsOfDoubles, items: factors.items.rowsOfDoubles)
            #expect(abs(loss - direct) < 1e-5 * direct, "\(confidence): \(loss), directly \(direct)")
        }
    }

    @Test(arguments: TestDevices.names, Feedback.allCases)
    func solversReachTheSameLoss(device: String, feedback: Feedback) throws {
        var final: [FactorizationSolver: Double] = [:]
        for solver in [FactorizationSolver.exact, .cg, .subspace] {
            var options = options(feedback, iterations: 60)
            options.solver = solver
            options.conjugateGradientSteps = 4
            final[solver] = try losses(options, device: device).last
        }
        let exact = try #require(final[.exact])
        for (solver, loss) in final { #expect(abs(loss - exact) < 0.005 * exact, "\(solver): \(loss), exact \(exact)") }
    }

    /// d steps of conjugate gradients solve a system of d unknowns.
    @Test(arguments: TestDevices.names, Feedback.allCases)
    func manyConjugateGradientStepsAreExact(device: String, feedback: Feedback) throws {
        var options = options(feedback)
        let exact = try losses(options, device: device)
        options.solver = .cg
        options.conjugateGradientSteps = 40
        for (a, b) in zip(try losses(options, device: device), exact) { #expect(abs(a - b) < 1e-4 * b) }
        options.conjugateGradientSteps = 1
        #expect(try losses(options, device: device)[0] > exact[0] * 1.001, "one step must not pass for exact")
    }

    @Test(arguments: [FactorizationSolver.exact, .cg, .subspace], Feedback.allCases)
    func lossCurvesAreEqualOnEveryDevice(solver: FactorizationSolver, feedback: Feedback) throws {
        var options = options(feedback)
        options.solver = solver
        let cpu = try losses(options)
        for device in TestDevices.names where device != "cpu" {
            for (a, b) in zip(try losses(options, device: device), cpu) {
                #expect(abs(a - b) < 1e-4 * b, "\(device): \(a), cpu \(b)")
            }
        }
    }

    @Test func sameSeedSameBits() throws {
        for device in TestDevices.names {
            #expect(try losses(options(), device: device) == losses(options(), device: device))
        }
        var other = options()
        other.seed = 7
        #expect(try losses(other) != losses(options()))
    }
}
