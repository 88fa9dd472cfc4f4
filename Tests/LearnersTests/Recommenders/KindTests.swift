import Compute
import Core
import Learners
import Tables
import Testing

/// What every kind of recommender owes: a model file, answers for everyone, and quality on a planted structure.
@Suite struct KindTests {
    /// One learner of each kind, some in several forms.
    static let learners: [any RecommenderLearner] = {
        var all: [any RecommenderLearner] = []
        var factorization = FactorizationOptions()
        factorization.factors = 8
        factorization.iterations = 5
        all.append(FactorizationLearner(factorization))
        for side in RecommenderSide.allCases {
            var neighbors = NeighborOptions()
            neighbors.side = side
            neighbors.neighbors = 15
            all.append(NeighborLearner(neighbors))
        }
        var ease = EASEOptions()
        ease.regularization = 20
        all.append(EASELearner(ease))
        for loss in PairwiseLoss.allCases {
            var pairs = PairwiseOptions(loss)
            pairs.factors = 8
            pairs.learningRate = 0.1
            pairs.iterations = 60
            all.append(PairwiseLearner(pairs))
        }
        for architecture in SequenceArchitecture.allCases {
            var sequence = SequenceOptions(architecture)
            sequence.factors = 16
            sequence.length = 20
            sequence.hidden = 16
            sequence.layers = 1
            sequence.epochs = 30
            sequence.batchSize = 32
            sequence.learningRate = 0.01
            all.append(SequenceLearner(sequence))
        }
        var towers = TwoTowerOptions()
        (towers.factors, towers.embedding, towers.hidden) = (8, 8, [16])
        (towers.epochs, towers.batchSize, towers.learningRate) = (12, 128, 0.01)
        all.append(TwoTowerLearner(towers))
        if let hybrid = try? HybridLearner([all[0], all[1], all[3]], seed: 7) { all.append(hybrid) }
        for rule in PopularityRule.allCases {
            var popularity = PopularityOptions()
            popularity.rule = rule
            all.append(PopularityLearner(popularity))
        }
        return all
    }()

    /// A training that goes on from a checkpoint comes to the same bits.
    @Test(arguments: TestDevices.names) func twoTowersResume(_ device: String) throws {
        let byUser = try Self.planted().byUser
        var options = TwoTowerOptions()
        (options.factors, options.embedding, options.hidden, options.epochs) = (8, 8, [16], 5)
        let folder = TemporaryFolder()
        func train(_ session: NetworkSession) throws -> TwoTowerTable {
            try NetworkSession.$current.withValue(session) {
                try TwoTowerTable(byUser: byUser, options: options, stream: TestDevices.stream(device))
            }
        }
        let whole = try train(NetworkSession(saved: (folder.file("checkpoint"), 2)))
        let state = try NetworkCheckpoint(path: folder.file("checkpoint"))
        #expect(state.history.epochs == 4)
        let session = NetworkSession(resuming: state)
        #expect(try train(session).items.isIdentical(to: whole.items) && session.wasUsed)
        let people = try whole.people(byUser, stream: TestDevices.stream(device))
        #expect(people.rows == byUser.rows && people.columns == 8)
    }

    private static func personal(_ learner: any RecommenderLearner) -> Bool { learner.kind != "popular" }

    /// Users like the items of their own third; a few exceptions.
    static func planted(users: Int = 150, items: Int = 60) throws -> Interactions {
        let random = Philox(seed: 5, stream: 9)
        var (names, things, times): ([String], [String], [Int64]) = ([], [], [])
        for user in 0..<users {
            for item in 0..<items {
                let place = UInt64(user * items + item)
                guard random.uniform(place) < (user % 3 == item % 3 ? 0.5 : 0.03) else { continue }
                names.append("u\(user)")
                things.append("i\(item)")
                times.append(1_700_000_000 + Int64(random.integer(place, below: 100_000_000)))
            }
        }
        var options = InteractionOptions()
        options.needsTimes = true
        return try Interactions(users: names, items: things, times: times, options: options)
    }

    @Test func examplesOfTwoTowersComeInParts() throws {
        let byUser = randomInteractions(rows: 300, columns: 50, lengths: [1, 5, 0, 12])
        var options = TwoTowerOptions()
        options.history = 4
        let whole = try TwoTowerExamples(byUser, options)
        let parts = try TwoTowerExamples(byUser, options, partBytes: 4 * 6 * 200)
        #expect(whole.partRows.count == 1 && parts.partRows.count > 4)
        #expect(parts.partRows.reduce(0, +) == whole.partRows[0] && parts.fingerprint == whole.fingerprint)
        func rows(_ examples: TwoTowerExamples) -> [String] {
            var rows: [String] = []
            for index in examples.partRows.indices {
                let part = examples.part(index)
                #expect(part.rows == examples.partRows[index])
                for row in 0..<part.rows {
                    rows.append("\(part.identifiers!.values[row * 5..<row * 5 + 5]) \(part.targets[row])")
                }
            }
            return rows.sorted()
        }
        #expect(rows(whole) == rows(parts))
    }

    @Test(arguments: learners.indices)
    func filesRoundTripBitForBit(number: Int) throws {
        let folder = TemporaryFolder()
        let stream = try TestDevices.stream("cpu")
        var fitting = RecommenderFitting(Self.learners[number])
        fitting.split = SplitOptions(kind: .users, seed: 3)
        fitting.cutoffs = [5]
        let data = try Self.planted(users: 60, items: 30)
        let model = try fitting.run(data, stream: stream).model
        try model.save(to: folder.file("a.apus"))
        let loaded = try RecommenderModel(path: folder.file("a.apus"))
        #expect(loaded.kind == Self.learners[number].kind && loaded.provenance == model.provenance)
        #expect(loaded.learned.facts.map(\.value) == model.learned.facts.map(\.value))
        try loaded.save(to: folder.file("b.apus"))
        #expect(try readBytes(folder.file("a.apus")) == readBytes(folder.file("b.apus")))
        // The same answers, and the same figures on the held-out part of the same data.
        let everyone = Audience.users((0..<Int32(model.users.count)).map { $0 })
        let tops = try [model, loaded].map {
            try $0.open(on: stream).topItems(for: everyone, count: 5, exclusions: $0.seen, filter: ItemFilter())
        }
        #expect(tops[0].items == tops[1].items && tops[0].scores == tops[1].scores)
        let again = try ModelEvaluation.evaluate(loaded, on: data, cutoffs: [5], stream: stream)
        #expect(again.result.metrics.first?.value == model.provenance.metrics["recall@5"])
    }

    @Test(arguments: learners.indices)
    func damagedFilesAreRefusedOrAnswer(number: Int) throws {
        let folder = TemporaryFolder()
        let stream = try TestDevices.stream("cpu")
        let data = try Self.planted(users: 30, items: 15)
        try RecommenderFitting(Self.learners[number]).run(data, stream: stream).model.save(to: folder.file("a.apus"))
        let bytes = try readBytes(folder.file("a.apus"))
        let random = Philox(seed: 23, stream: 8)
        var refused = 0
        for round in 0..<300 {
            var mutated = bytes
            let header = 8 + Int(bytes[0]) | Int(bytes[1]) << 8
            let place = random.integer(
                UInt64(round * 3), below: round % 2 == 0 ? min(header, bytes.count) : bytes.count)
            mutated[place] = UInt8(random.integer(UInt64(round * 3 + 1), below: 256))
            try writeBytes(mutated, to: folder.file("b.apus"))
            do {
                let model = try RecommenderModel(path: folder.file("b.apus"))
                let recommender = try model.open(on: stream)
                _ = try recommender.topItems(
                    for: .users([0, 1]), count: 4, exclusions: model.seen.selectingRows([0, 1]), filter: ItemFilter())
            } catch is DataError { refused += 1 } catch is ComputeError {} catch is ParameterError {}
        }
        #expect(refused > 0)
    }

    @Test(arguments: TestDevices.names, learners.indices)
    func personalKindsBeatPopularity(device: String, number: Int) throws {
        let learner = Self.learners[number]
        var fitting = RecommenderFitting(learner)
        fitting.split = SplitOptions(kind: .users, seed: 1, heldOutUserFraction: 0.3)
        fitting.cutoffs = [10]
        let result = try fitting.run(try Self.planted(), stream: try TestDevices.stream(device))
        let own = try #require(result.metrics.first { $0.name == "ndcg@10" }?.value.value)
        let popular = try #require(result.baselines.first?.metrics.first { $0.name == "ndcg@10" }?.value.value)
        if Self.personal(learner) {
            #expect(own > popular + 0.2, "\(learner.kind) \(learner.label): \(own), popular \(popular)")
        } else {
            #expect(own <= popular + 0.1)
        }
    }

    @Test(arguments: learners.indices)
    func everyoneHasAnAnswer(number: Int) throws {
        let learner = Self.learners[number]
        let stream = try TestDevices.stream("cpu")
        let data = try Self.planted()
        let model = try RecommenderFitting(learner).run(data, stream: stream).model
        let recommender = try model.open(on: stream)
        // A new user by items of one third, and one of whom nothing is known.
        let third = (0..<60).filter { $0 % 3 == 1 }.compactMap { model.items.index(of: "i\($0)") }.prefix(6)
        let histories = HostSparseMatrix(
            rows: 2, columns: model.items.count, entries: third.map { (0, $0, 1) })
        let top = try recommender.topItems(
            for: .histories(histories), count: 8, exclusions: histories, filter: ItemFilter(excluded: [0, 7]))
        #expect(top.row(0).count == 8)
        #expect(top.items.allSatisfy { $0 != 0 && $0 != 7 })
        #expect(Set(top.row(0).map { Int($0.item) }).isDisjoint(with: third))
        #expect(top.scores.allSatisfy { !$0.isNaN })
        let rest = top.row(0).map(\.score)
        #expect(rest == rest.sorted(by: >))
        let narrow = try recommender.topItems(
            for: .histories(histories), count: 8, exclusions: histories, filter: ItemFilter(allowed: [3, 4]))
        #expect(narrow.items.allSatisfy { [-1, 3, 4].contains($0) })
        if Self.personal(learner) {
            let same = top.row(0).count { model.items[Int($0.item)].dropFirst().isThird(1) }
            #expect(same >= 7, "\(learner.kind) \(learner.label): \(same) of 8")
        } else {
            #expect(top.row(1).count == 8)
        }
        #expect(throws: ParameterError.self) {
            _ = try recommender.topItems(for: .histories(histories), count: 0, exclusions: nil, filter: ItemFilter())
        }
        if Self.personal(learner) {
            #expect(throws: ParameterError.self) {
                _ = try recommender.topItems(for: .users([9999]), count: 3, exclusions: nil, filter: ItemFilter())
            }
        }
    }

    /// Scores of pairs are those of the ranking, and explanations add up to them.
    @Test(arguments: learners.indices)
    func scoresRankAndExplain(number: Int) throws {
        let learner = Self.learners[number]
        guard Self.personal(learner) else { return }
        let stream = try TestDevices.stream("cpu")
        let model = try RecommenderFitting(learner).run(try Self.planted(), stream: stream).model
        let recommender = try model.open(on: stream)
        let history = model.seen.selectingRows([4])
        let top = try recommender.topItems(
            for: .histories(history), count: 6, exclusions: history, filter: ItemFilter()
        ).row(0)
        let pairs = HostSparseMatrix(
            rows: 1, columns: model.items.count, entries: top.map { (0, Int($0.item), 1) })
        let scores = try recommender.scores(for: .histories(history), of: pairs)
        for (entry, score) in zip(pairs.columnIndices.elements, scores) {
            let ranked = try #require(top.first { $0.item == entry }).score
            #expect(abs(ranked - score) <= 1e-4 * max(abs(ranked), 1), "\(learner.kind)")
        }
        for (item, score) in top.prefix(2) {
            let parts = try recommender.explain(item: item, history: model.history(of: 4))
            var sum = parts.reduce(0) { $0 + $1.contribution }
            // A bias is everybody's, and no part of the history's; a blend has no scores to add up to.
            if let pairs = model.learned as? PairwiseFactors { sum += Double(pairs.biases[Int(item)]) }
            if learner.kind == HybridTable.kind { sum = Double(score) }
            #expect(abs(sum - Double(score)) <= 1e-3 * Double(abs(score)), "\(learner.kind): \(sum), score \(score)")
            #expect(abs(parts.reduce(0) { $0 + $1.share } - 1) < 1e-9)
        }
    }

    /// Neighbors are of the same third, or the reason is given why there are none.
    @Test(arguments: learners.indices)
    func similarRowsAreAlike(number: Int) throws {
        let learner = Self.learners[number]
        let stream = try TestDevices.stream("cpu")
        let model = try RecommenderFitting(learner).run(try Self.planted(), stream: stream).model
        let recommender = try model.open(on: stream)
        for side in RecommenderSide.allCases {
            let names = side == .items ? model.items : model.users
            let found: [(item: Int32, score: Float)]
            do { found = try recommender.similar(side, to: [5], count: 5).row(0) } catch let error as ParameterError {
                #expect(error.reason.count > 20)
                continue
            }
            let own = (Int(names[5].dropFirst()) ?? 0) % 3
            let alike = found.count { names[Int($0.item)].dropFirst().isThird(own) }
            #expect(found.count == 5 && alike >= 4, "\(learner.kind) \(side): \(alike)")
            #expect(found.allSatisfy { $0.item != 5 })
        }
    }
}

extension Substring {
    fileprivate func isThird(_ third: Int) -> Bool { (Int(self) ?? -1) % 3 == third }
}
