import Compute
import Core
import Glibc
import Learners
import Tables
import Testing

/// A ranking that is given.
private struct GivenRanking: Recommender {
    let itemCount: Int
    let rankings: [[Int32]]

    func topItems(
        for audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> TopItems {
        let rows = rankings.map { Array($0.prefix(count)) + [Int32](repeating: -1, count: max(count - $0.count, 0)) }
        return TopItems(
            count: count, items: Array(rows.joined()), scores: [Float](repeating: 0, count: rows.count * count))
    }
}

@Suite struct RankingTests {
    /// Three people of whom the last has nothing to be found.
    private func evaluate() throws -> RankingResult {
        let ranking = GivenRanking(itemCount: 8, rankings: [[1, 2, 4, 5], [3, 5, 0, 6], [2, 3, 6, 7]])
        let truth = HostSparseMatrix(
            rows: 3, columns: 8,
            entries: [(row: 0, column: 1, value: 1), (0, 4, 1), (0, 7, 1), (row: 1, column: 0, value: 1)])
        let known = HostSparseMatrix(rows: 3, columns: 8, entries: [])
        var evaluation = RankingEvaluation()
        evaluation.cutoffs = [2, 4]
        return try evaluation.evaluate(
            ranking, on: RankingTask(audience: .users([0, 1, 2]), known: known, truth: truth), coverableItems: 8)
    }

    @Test func metricsByHand() throws {
        let result = try evaluate()
        #expect(result.people == 2)
        let second = 1 / log2(3.0)
        // By person: (first + second) / 2.
        let expected: [String: Double] = [
            "recall@2": (1.0 / 2 + 0) / 2, "precision@2": (1.0 / 2 + 0) / 2, "f1@2": (1.0 / 2 + 0) / 2,
            "ndcg@2": (1 / (1 + second) + 0) / 2, "map@2": (1.0 / 2 + 0) / 2, "mrr@2": (1.0 + 0) / 2,
            "hit_rate@2": 0.5,
            "recall@4": (2.0 / 3 + 1) / 2, "precision@4": (2.0 / 4 + 1.0 / 4) / 2, "f1@4": (4.0 / 7 + 2.0 / 5) / 2,
            "ndcg@4": (1.5 / (1.5 + second) + 0.5) / 2, "map@4": ((1 + 2.0 / 3) / 3 + 1.0 / 3) / 2,
            "mrr@4": (1 + 1.0 / 3) / 2, "hit_rate@4": 1, "coverage@2": 4.0 / 8, "coverage@4": 8.0 / 8,
        ]
        #expect(result.metrics.count == expected.count)
        for (name, value) in expected {
            #expect(abs((result[name] ?? .nan) - value) < 1e-12, "\(name) is \(result[name] ?? .nan), not \(value)")
        }
        for (_, figure) in result.metrics { #expect(figure.low <= figure.value && figure.value <= figure.high) }
    }

    /// Of intervals meant to cover in 95 % of cases, about so many do.
    @Test func bootstrapIntervalsCover() {
        let random = Philox(seed: 11, stream: 4)
        var covered = 0
        for round in 0..<200 {
            let sample = (0..<100).map { random.uniform64(UInt64(round * 100 + $0)) < 0.3 ? 1.0 : 0.0 }
            let interval = Bootstrap.means(sample, columns: 1, seed: UInt64(round))[0]
            #expect(abs(interval.value - sample.reduce(0, +) / 100) < 1e-12)
            if interval.low <= 0.3 && 0.3 <= interval.high { covered += 1 }
        }
        #expect((176...198).contains(covered), "\(covered) of 200")
        #expect(
            Bootstrap.means([1, 0, 1, 1], columns: 1, seed: 5) == Bootstrap.means([1, 0, 1, 1], columns: 1, seed: 5))
    }

    @Test func ratingErrorsByHand() {
        let figures = RatingEvaluation.evaluate(predictions: [3, 4, 1.5], ratings: [4, 4, 3.5], seed: 1)
        #expect(abs(figures[0].value.value - (5.0 / 3).squareRoot()) < 1e-12 && figures[0].name == "rmse")
        #expect(abs(figures[1].value.value - 1) < 1e-12 && figures[1].name == "mae")
    }

    @Test func popularItems() throws {
        let popular = PopularItems(counts: [5, 0, 9, 5, 1])
        let known = HostSparseMatrix(rows: 2, columns: 5, entries: [(row: 1, column: 2, value: 1)])
        let top = try popular.topItems(for: .users([0, 1]), count: 3, exclusions: known, filter: ItemFilter())
        #expect(top.items == [2, 0, 3, 0, 3, 4] && top.scores == [9, 5, 5, 5, 5, 1])
        let filtered = try popular.topItems(
            for: .users([0]), count: 3, exclusions: nil, filter: ItemFilter(excluded: [2], allowed: [2, 4, 0]))
        #expect(filtered.items == [0, 4, -1] && filtered.row(0).count == 2)
    }

    @Test func randomItemsAreDifferentOnes() throws {
        var counts = [Float](repeating: 1, count: 60)
        counts[7] = 0
        let random = RandomItems(counts: counts, seed: 1)
        let known = HostSparseMatrix(rows: 40, columns: 60, entries: (0..<40).map { (row: $0, column: 3, value: 1) })
        let audience = Audience.users((0..<40).map { Int32($0) })
        let top = try random.topItems(for: audience, count: 59, exclusions: known, filter: ItemFilter())
        for person in 0..<40 {
            let items = top.row(person).map(\.item)
            #expect(items.count == 58 && Set(items).count == 58 && !items.contains(7) && !items.contains(3))
        }
        #expect(top.row(0).map(\.item) != top.row(1).map(\.item))
        let firsts = Set((0..<40).map { top.row($0)[0].item })
        #expect(firsts.count > 20, "the first places should differ between people")
        let again = try random.topItems(for: audience, count: 59, exclusions: known, filter: ItemFilter())
        #expect(again.items == top.items)
    }
}
