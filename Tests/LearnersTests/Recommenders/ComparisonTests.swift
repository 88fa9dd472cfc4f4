import Compute
import Core
import Learners
import Tables
import Testing

@Suite struct ComparisonTests {
    private static func candidates(_ names: [String]) throws -> [RecommenderComparison.Candidate] {
        try names.map { try RecommenderTrials.candidate($0, seed: 1, confidence: .constant) }
    }

    @Test func bestFirstWithIntervalsOnTheSamePeople() throws {
        var comparison = RecommenderComparison(
            try Self.candidates(["random", "popular", "recent", "neighbors", "ease"]),
            split: SplitOptions(kind: .users, seed: 2, heldOutUserFraction: 0.3))
        comparison.trials = 2
        comparison.metric = "ndcg@10"
        comparison.cutoffs = [5]
        let entries = try comparison.run(try KindTests.planted(), stream: try TestDevices.stream("cpu"))
        let figures = entries.compactMap { $0["ndcg@10"] }
        #expect(figures.count == 5 && figures.map(\.value) == figures.map(\.value).sorted(by: >))
        #expect(figures.allSatisfy { $0.low <= $0.value && $0.value <= $0.high && $0.low < $0.high })
        #expect(Set(entries.prefix(2).map(\.name)) == ["neighbors", "ease"])
        #expect(Set(entries.map(\.evaluated)).count == 1)
        for entry in entries {
            #expect(entry.trials.count == (["random", "popular"].contains(entry.name) ? 0 : 2), "\(entry.name)")
            #expect(entry["recall@5"] != nil && entry.failure == nil)
            // The best of the trials was chosen.
            let best = entry.trials.max { ($0.figure ?? -1) < ($1.figure ?? -1) }
            if let best { #expect(entry.label == best.label || entry.trials.contains { $0.figure == best.figure }) }
        }
    }

    /// One recommender that can't work on the data does not stop the others.
    @Test func failuresAreSaid() throws {
        let users = (0..<30).flatMap { [String](repeating: "u\($0)", count: 8) }
        let items = (0..<30).flatMap { user in (0..<8).map { "i\((user + $0) % 20)" } }
        let comparison = RecommenderComparison(
            try Self.candidates(["recent", "popular"]), split: SplitOptions(kind: .users, seed: 2))
        let entries = try comparison.run(
            try Interactions(users: users, items: items), stream: try TestDevices.stream("cpu"))
        #expect(entries.map(\.name) == ["popular", "recent"])
        #expect(entries[1].failure?.contains("time") == true && entries[1].metrics.isEmpty)
        #expect(throws: ParameterError.self) { try Self.candidates(["oracle"]) }
        #expect(throws: ParameterError.self) { try Self.candidates(["content"]) }
    }

    /// A part that is no use gets little weight.
    @Test func blendsLeaveNoiseOut() throws {
        let stream = try TestDevices.stream("cpu")
        var random = PopularityOptions()
        random.rule = .random
        var ease = EASEOptions()
        ease.regularization = 20
        let learner = try HybridLearner([PopularityLearner(random), EASELearner(ease)], seed: 3)
        let data = try KindTests.planted()
        let learned = try #require(
            try learner.learn(RecommenderData(data), stream: stream, progress: nil) as? HybridTable)
        #expect(learned.parts[1].weight > 2 * learned.parts[0].weight, "\(learned.parts.map(\.weight))")
        #expect(abs(learned.parts.reduce(0) { $0 + $1.weight } - 1) < 1e-9)
        #expect(throws: ParameterError.self) { try HybridLearner([PopularityLearner(random)], seed: 3) }
        #expect(throws: ParameterError.self) { try HybridLearner([learner, learner], seed: 3) }
    }
}
