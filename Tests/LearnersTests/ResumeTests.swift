import Compute
import Core
import Learners
import Tables
import Testing

/// An interrupted and resumed run gives the same bits as one that was never interrupted.
@Suite struct ResumeTests {
    private func options(
        _ solver: FactorizationSolver, _ feedback: Feedback, earlyStopping: Int? = nil
    ) -> RecommenderTrainingOptions {
        var options = RecommenderTrainingOptions()
        options.factorization.feedback = feedback
        options.factorization.factors = 12
        options.factorization.iterations = 9
        options.factorization.solver = solver
        options.factorization.blockSize = 5
        options.factorization.confidence = .log
        if feedback == .explicit { options.factorization.regularization = 0.05 }
        options.factorization.computesLoss = true
        options.split = SplitOptions(kind: .users, seed: 1)
        options.cutoffs = [10]
        options.earlyStopping = earlyStopping
        return options
    }

    private func run(
        _ interactions: Interactions, _ options: RecommenderTrainingOptions, _ stream: Compute.Stream,
        interruptedAfter stop: Int, folder: TemporaryFolder
    ) throws -> (whole: RecommenderTrainingResult, resumed: RecommenderTrainingResult) {
        // A training runs once.
        func training() throws -> RecommenderTraining {
            try RecommenderTraining(interactions: interactions, options: options, stream: stream)
        }
        let whole = try training().run()
        var resumed: RecommenderTrainingResult?
        let path = folder.file("state")
        do {
            _ = try training().run { report in report.completed == stop ? .stop : .proceed }
            Issue.record("the training was not interrupted")
        } catch let interruption as InterruptedTraining {
            #expect(interruption.checkpoint.history.iterations == stop)
            try interruption.checkpoint.save(to: path)
        }
        resumed = try training().run(resuming: try FactorizationCheckpoint(path: path))
        return (whole, try #require(resumed))
    }

    private func expectSame(_ whole: RecommenderTrainingResult, _ resumed: RecommenderTrainingResult) {
        #expect(whole.model.factors!.users.isIdentical(to: resumed.model.factors!.users))
        #expect(whole.model.factors!.items.isIdentical(to: resumed.model.factors!.items))
        #expect(whole.model.factors!.mean == resumed.model.factors!.mean)
        #expect(whole.history.losses == resumed.history.losses)
        #expect(whole.history.validation == resumed.history.validation)
        #expect(whole.history.bestIteration == resumed.history.bestIteration)
        #expect(whole.metrics.map(\.value) == resumed.metrics.map(\.value))
    }

    @Test(
        arguments: TestDevices.names,
        [
            (FactorizationSolver.exact, Feedback.implicit), (.cg, .implicit), (.subspace, .implicit),
            (.exact, .explicit), (.cg, .explicit),
        ])
    func sameBits(device: String, kind: (solver: FactorizationSolver, feedback: Feedback)) throws {
        let (whole, resumed) = try run(
            shop(), options(kind.solver, kind.feedback), try TestDevices.stream(device), interruptedAfter: 4,
            folder: TemporaryFolder())
        #expect(whole.history.iterations == 9)
        expectSame(whole, resumed)
    }

    @Test(arguments: TestDevices.names, Feedback.allCases)
    func sameBitsWithEarlyStopping(device: String, feedback: Feedback) throws {
        var options = options(.exact, feedback, earlyStopping: 2)
        options.factorization.iterations = 40
        // Too little regularization: the validation figure gets worse soon.
        options.factorization.regularization = feedback == .implicit ? 1e-5 : 1e-3
        let (whole, resumed) = try run(
            shop(), options, try TestDevices.stream(device), interruptedAfter: 2, folder: TemporaryFolder())
        #expect(whole.history.iterations < 40, "the run should have stopped early")
        #expect(whole.history.bestIteration == whole.history.iterations - 2)
        let best = whole.history.validation.max()
        #expect(best == whole.history.validation[whole.history.bestIteration - 1])
        expectSame(whole, resumed)
    }

    @Test func checkpointOfOtherDataIsRefused() throws {
        let stream = try TestDevices.stream("cpu")
        let options = options(.exact, .implicit)
        let other = try RecommenderTraining(interactions: try shop(seed: 4), options: options, stream: stream)
        do {
            _ = try RecommenderTraining(interactions: shop(), options: options, stream: stream).run { _ in .stop }
            Issue.record("the training was not interrupted")
        } catch let interruption as InterruptedTraining {
            #expect(throws: DataError.self) { try other.run(resuming: interruption.checkpoint) }
        }
    }

    @Test func statesAreSavedOnTheWay() throws {
        let folder = TemporaryFolder()
        let training = try RecommenderTraining(
            interactions: try shop(), options: options(.exact, .implicit), stream: try TestDevices.stream("cpu"))
        training.request = ["arguments": "train"]
        training.checkpoints = (folder.file("state"), 4)
        _ = try training.run()
        let state = try FactorizationCheckpoint(path: folder.file("state"))
        #expect(state.history.iterations == 8 && state.request == ["arguments": "train"])
        #expect(state.options.solver == .exact && state.best == nil)
    }

    /// A state whose history contradicts itself is refused, not trapped on.
    @Test func damagedHistoryIsRefused() throws {
        let folder = TemporaryFolder()
        let training = try RecommenderTraining(
            interactions: try shop(), options: options(.exact, .implicit), stream: try TestDevices.stream("cpu"))
        training.checkpoints = (folder.file("state"), 9)
        _ = try training.run()
        let good = try readBytes(folder.file("state"))
        for (old, new) in [
            ("bestIteration\\\":0", "bestIteration\\\":7"), ("iterations\\\":9,\\\"l", "iterations\\\":-,\\\"l"),
        ] {
            let (from, to) = (Array(old.utf8), Array(new.utf8))
            var bytes = good
            let place = try #require((0..<good.count - from.count).first { Array(good[$0..<$0 + from.count]) == from })
            bytes.replaceSubrange(place..<place + from.count, with: to)
            try writeBytes(bytes, to: folder.file("damaged"))
            #expect(throws: DataError.self) { try FactorizationCheckpoint(path: folder.file("damaged")) }
        }
    }
}
