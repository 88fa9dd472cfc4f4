import Compute
import Core
import Learners
import Tables
import Testing

/// New users, new items, and why something is recommended.
@Suite struct FoldInTests {
    private func options(_ feedback: Feedback) -> RecommenderTrainingOptions {
        var options = RecommenderTrainingOptions()
        options.factorization.feedback = feedback
        options.factorization.factors = 10
        options.factorization.iterations = 5
        options.factorization.solver = .exact
        options.factorization.confidence = .log
        if feedback == .explicit { options.factorization.regularization = 0.05 }
        return options
    }

    /// The recommender of a model trained on everything.
    private func trained(
        _ feedback: Feedback, device: String
    ) throws -> (model: RecommenderModel, recommender: FactorizationRecommender, interactions: Interactions) {
        let interactions = try shop()
        let stream = try TestDevices.stream(device)
        let model = try RecommenderTraining(
            interactions: interactions, options: options(feedback), stream: stream
        ).run().model
        let recommender = try FactorizationRecommender(
            factors: model.factors!, itemCounts: model.itemCounts,
            userDegrees: (0..<model.users.count).map { model.seen.range(ofRow: $0).count }, stream: stream)
        return (model, recommender, interactions)
    }

    /// Folding a trained user in is one more half-step of that user: exactly what the next iteration would do first.
    @Test(arguments: TestDevices.names, Feedback.allCases)
    func foldingInATrainedUserIsOneMoreHalfStep(device: String, feedback: Feedback) throws {
        let (model, recommender, interactions) = try trained(feedback, device: device)
        let folded = try recommender.foldInUsers(interactions.byUser)
        let reference = DenseReference(options: model.factors!.options, mean: Double(model.factors!.mean))
        let expected = reference.halfStep(
            interactions.byUser, fixed: model.factors!.items.rowsOfDoubles, otherSideCount: interactions.items.count)
        #expect(relativeDifference(folded.rowsOfDoubles, expected) < 1e-4)
        // Another iteration, from the same tables, begins with that half-step.
        let trainer = try FactorizationTrainer(
            data: try FactorizationData(
                byUser: interactions.byUser, byItem: interactions.byItem, options: model.factors!.options),
            options: model.factors!.options, stream: try TestDevices.stream(device), initial: model.factors!)
        _ = try trainer.iterate()
        let users = try trainer.factors().users.rowsOfDoubles
        let norms = { (table: [[Double]]) in table.map { [$0.reduce(0) { $0 + $1 * $1 }.squareRoot()] } }
        #expect(relativeDifference(norms(users), norms(folded.rowsOfDoubles)) < 1e-4)
    }

    @Test(arguments: TestDevices.names, Feedback.allCases)
    func newItemsAreSolvedAgainstTheUsers(device: String, feedback: Feedback) throws {
        let (model, recommender, interactions) = try trained(feedback, device: device)
        let rows = interactions.byItem.selectingRows([3, 50, 7])
        let folded = try recommender.foldInItems(rows)
        let expected = DenseReference(options: model.factors!.options, mean: Double(model.factors!.mean)).halfStep(
            rows, fixed: model.factors!.users.rowsOfDoubles, otherSideCount: interactions.users.count)
        #expect(relativeDifference(folded.rowsOfDoubles, expected) < 1e-4)
    }

    @Test(arguments: Feedback.allCases)
    func everyoneInTheFileHasAnAnswer(feedback: Feedback) throws {
        var options = options(feedback)
        options.split = SplitOptions(kind: .users, seed: 2)
        let interactions = try shop()
        let split = try interactions.split(options.split)
        let result = try RecommenderTraining(
            interactions: interactions, options: options, stream: try TestDevices.stream("cpu")
        ).run()
        let heldOut = (0..<interactions.users.count).filter { split.trainingByUser.range(ofRow: $0).isEmpty }
        #expect(heldOut.count >= 20)
        let users = result.model.factors!.users.rowsOfDoubles
        for user in heldOut {
            #expect(users[user].allSatisfy(\.isFinite) && users[user].contains { $0 != 0 }, "user \(user)")
        }
        let expected = DenseReference(options: options.factorization, mean: Double(result.model.factors!.mean))
            .halfStep(
                interactions.byUser.selectingRows(heldOut.map { Int32($0) }),
                fixed: result.model.factors!.items.rowsOfDoubles,
                otherSideCount: (0..<interactions.items.count).count { !split.trainingByItem.range(ofRow: $0).isEmpty })
        #expect(relativeDifference(heldOut.map { users[$0] }, expected) < 1e-4)
    }

    @Test(arguments: Feedback.allCases)
    func explanationsAddUp(feedback: Feedback) throws {
        let (model, recommender, _) = try trained(feedback, device: "cpu")
        let reference = DenseReference(options: model.factors!.options, mean: Double(model.factors!.mean))
        for user in [0, 17, 120] {
            let history = model.history(of: user)
            let folded = try recommender.foldInUsers(model.seen.selectingRows([Int32(user)])).rowsOfDoubles[0]
            for item in [Int32(0), 33, 119] {
                let parts = try recommender.explain(item: item, history: history)
                let sum = parts.reduce(0) { $0 + $1.contribution }
                let vector = model.factors!.items.rowsOfDoubles[Int(item)]
                var score = reference.predict(folded, vector)
                if feedback == .explicit {
                    score -= reference.mean + reference.scale * vector[model.factors!.options.factors]
                }
                let size = parts.reduce(0) { $0 + abs($1.contribution) }
                #expect(abs(sum - score) < 1e-3 * max(abs(score), 0.1 * size), "\(sum), score \(score)")
                #expect(parts.count == history.count && abs(parts.reduce(0) { $0 + $1.share } - 1) < 1e-9)
                #expect(zip(parts, parts.dropFirst()).allSatisfy { $0.contribution >= $1.contribution })
            }
        }
    }

    @Test func mistakesAreRefusedNotTrapped() throws {
        let (model, recommender, interactions) = try trained(.implicit, device: "cpu")
        let (users, items) = (Int32(model.users.count), Int32(model.items.count))
        #expect(throws: ParameterError.self) {
            try recommender.topItems(for: .users([0, users]), count: 5, exclusions: nil, filter: ItemFilter())
        }
        #expect(throws: ParameterError.self) {
            try recommender.topItems(for: .users([-1]), count: 5, exclusions: nil, filter: ItemFilter())
        }
        #expect(throws: ParameterError.self) { try recommender.similar(.items, to: [items], count: 3) }
        #expect(throws: ParameterError.self) { try recommender.explain(item: items, history: []) }
        #expect(throws: ParameterError.self) { try recommender.explain(item: 0, history: [(item: -1, value: 1)]) }
        #expect(throws: ParameterError.self) { try recommender.predict(users: [0, users], items: [0, 0]) }
        #expect(throws: ParameterError.self) { try recommender.predict(users: [0], items: [0, 1]) }
        #expect(throws: ComputeError.self) { try recommender.foldInUsers(interactions.byItem) }
        for value in [Float.nan, .infinity, -1] {
            let bad = HostSparseMatrix(rows: 1, columns: Int(items), entries: [(row: 0, column: 2, value: value)])
            #expect(throws: DataError.self) { try recommender.foldInUsers(bad) }
        }
    }
}
