import Compute
import Core
import Learners
import Tables
import Testing

/// Segments: found, counted, described, kept.
@Suite struct SegmentTests {
    @Test func purchasesAreSummedUp() throws {
        let day: Int64 = 86_400
        let lines = try Table([
            Column("CustomerID", categories: ["a", "a", "a", "b", "b", nil, "c", "a", "d"]),
            Column("InvoiceDate", .date([0, 0, day * 5, day, day, day, day * 9, day * 3, day * 20])),
            Column("InvoiceNo", categories: ["1", "1", "2", "3", "4", "5", "6", "7", "8"]),
            Column("Quantity", .integer([2, 1, 1, 4, -1, 1, -2, -1, 1])),
            Column("UnitPrice", .number([1.5, 2, 10, 1, 1, 7, 3, 5, 1])),
        ])
        let summary = try PurchaseSummary(lines, asOf: day * 10)
        // c has only returned something, d comes later, one line has no customer.
        let ids = try summary.table.column("CustomerID")
        #expect((0..<summary.table.rowCount).map { ids.text($0) } == ["a", "b"])
        #expect(try summary.table.column("recency").numbers == [5, 9])
        #expect(try summary.table.column("frequency").numbers == [2, 1])
        #expect(try summary.table.column("spending").numbers == [10, 3])
        #expect(summary.incomplete == 1 && summary.later == 1 && summary.lines == 7)
        #expect(throws: DataError.self) { try PurchaseSummary(lines.dropping(["UnitPrice"])) }
        #expect(throws: DataError.self) { try PurchaseSummary(lines, asOf: 0) }
    }

    /// Three kinds of customers, told apart by spending and city.
    static func customers() throws -> (Table, [Int32]) {
        let random = Philox(seed: 6, stream: 6)
        let kinds = (0..<900).map { Int32(random.integer(UInt64($0), below: 3)) }
        func noise(_ row: Int, _ purpose: Int) -> Double { random.normal(UInt64(10_000 * purpose + row)) }
        let table = try Table([
            Column("spending", .number(kinds.enumerated().map { [100, 500, 100][Int($1)] + 20 * noise($0, 1) })),
            Column("age", .number((0..<900).map { 40 + 10 * noise($0, 2) })),
            Column("city", categories: kinds.map { ["Paris", "Paris", "Rome"][Int($0)] }),
        ])
        return (table, kinds)
    }

    @Test func descriptionsNameWhatDiffers() throws {
        let (table, kinds) = try Self.customers()
        let all = SegmentDescriber(table, labels: kinds, count: 3).describe(
            distances: [Float](repeating: 0, count: 900), identifiers: (0..<900).map { "c\($0)" }, revenue: "spending")
        let rich = all[1]
        #expect(rich.differences[0].feature == "spending" && rich.differences[0].effect > 3)
        #expect(
            rich.differences[0].low < rich.differences[0].effect
                && rich.differences[0].effect < rich.differences[0].high)
        #expect(abs((rich.center["spending"] ?? 0) - 500) < 5 && rich.name.contains("high spending"))
        #expect(rich.rule.hasPrefix("spending > ") && rich.rulePrecision > 0.99 && rich.ruleRecall > 0.99)
        #expect(abs((rich.revenueShare ?? 0) - 5.0 / 7) < 0.05)
        #expect(all[2].rule == "city is Rome" && all[2].name.contains("Rome"))
        // Age tells nobody apart: its interval holds 0, or nearly.
        let age = rich.differences.first { $0.feature == "age" }
        #expect(abs(age?.effect ?? 1) < 0.2)
        #expect(all.map(\.size).reduce(0, +) == 900 && abs(all.map(\.share).reduce(0, +) - 1) < 1e-9)
        #expect(Set(all.map(\.name)).count == 3 && all.allSatisfy { $0.examples.count == 3 })
    }

    /// Cohen's d by hand: means 1 and 3, variance 2 of both.
    @Test func effectsAreCohens() throws {
        let table = try Table([Column("x", .number([0, 2, 1, 1, 2, 4, 3, 3]))])
        let one = SegmentDescriber(table, labels: [0, 0, 0, 0, 1, 1, 1, 1], count: 2).describe(
            distances: [Float](repeating: 0, count: 8), identifiers: (0..<8).map(String.init))[0]
        #expect(abs(one.differences[0].effect - -2 / (4.0 / 6).squareRoot()) < 1e-12)
    }

    @Test func theNumberOfPlantedClustersIsChosen() throws {
        let random = Philox(seed: 1, stream: 8)
        let points = HostMatrix(rows: 1200, columns: 2)
        let centers: [(Float, Float)] = [(0, 0), (9, 1), (2, 9), (10, 10)]
        for i in 0..<1200 {
            points[i, 0] = centers[i % 4].0 + Float(random.normal(UInt64(2 * i)))
            points[i, 1] = centers[i % 4].1 + Float(random.normal(UInt64(2 * i + 1)))
        }
        var chooser = ClusterChooser()
        chooser.sample = 600
        chooser.references = 5
        chooser.resamples = 2
        let (choice, results) = try chooser.choose(points, range: 1...6, stream: TestDevices.stream("cpu"))
        #expect(choice.best == 4 && choice.bestByGap == 4)
        let four = choice.candidates[3]
        #expect(four.stability > 0.97 && four.silhouette > 0.6 && four.silhouetteError < 0.02)
        #expect(choice.candidates[0].silhouette.isNaN && results.count == 6)
        #expect(zip(choice.candidates, choice.candidates.dropFirst()).allSatisfy { $0.inertia > $1.inertia })
        #expect(throws: DataError.self) {
            try chooser.choose(HostMatrix(rows: 3, columns: 2), range: 2...5, stream: TestDevices.stream("cpu"))
        }
    }

    /// Four points on a line, by hand.
    @Test func silhouettes() {
        let points = HostMatrix(rows: 4, columns: 1, elements: [0, 1, 10, 12])
        let (mean, _) = Silhouette.mean(points, labels: [0, 0, 1, 1])
        let values: [Double] = [1 - 1 / 11.0, 1 - 1 / 10.0, 1 - 2 / 9.5, 1 - 2 / 11.5]
        let expected: Double = values.reduce(0, +) / 4
        #expect(abs(mean - expected) < 1e-12)
    }

    @Test func agreementOfClusterings() {
        #expect(RandIndex.adjusted([0, 0, 1, 1], [5, 5, 2, 2]) == 1)
        // scikit-learn's adjusted_rand_score.
        #expect(abs(RandIndex.adjusted([0, 0, 1, 1, 2, 2], [0, 0, 1, 2, 2, 2]) - 0.4444444444444444) < 1e-12)
        #expect(RandIndex.adjusted([0, 1, 2, 3], [0, 0, 0, 0]) == 0)
    }

    /// A second fit of shuffled, slightly moved points keeps the numbers.
    @Test func numbersStayWhenRefitted() throws {
        let (points, _) = KMeansTests.planted(n: 900, d: 3, k: 6)
        var options = KMeansOptions()
        options.clusters = 6
        options.restarts = 5
        let stream = try TestDevices.stream("cpu")
        let first = try KMeans(options: options, stream: stream).fit(points)
        let moved = HostMatrix(rows: 900, columns: 3, elements: points.storage.elements.map { $0 + 0.02 })
        options.seed = 77
        let second = try KMeans(options: options, stream: stream).fit(moved)
        let numbers = SegmentMatching.numbers(of: second.centers, like: first.centers)
        #expect(numbers.sorted() == Array(0..<6))
        let kept = SegmentMatching.renumbered(second, numbers)
        #expect(zip(kept.labels, first.labels).count { $0 != $1 } < 9)
        #expect(kept.sizes == (0..<6).map { label in kept.labels.count { $0 == Int32(label) } })
        let fewer = HostMatrix(rows: 2, columns: 3, elements: Array(first.centers.storage.elements.suffix(6)))
        #expect(SegmentMatching.numbers(of: fewer, like: first.centers) == [0, 1])
        let more = SegmentMatching.numbers(of: first.centers, like: fewer)
        #expect(more.sorted() == Array(0..<6) && more[4] == 0 && more[5] == 1)
    }

    @Test func componentsOfALine() throws {
        let random = Philox(seed: 2, stream: 1)
        let points = HostMatrix(rows: 500, columns: 3)
        for i in 0..<500 {
            let t = Float(random.normal(UInt64(i)))
            points[i, 0] = 3 * t + 100
            points[i, 1] = 4 * t
            points[i, 2] = 0.01 * Float(random.normal(UInt64(1000 + i)))
        }
        let components = try PrincipalComponents(points, count: 2, stream: TestDevices.stream("cpu"))
        #expect(abs(components.directions[0][0] - 0.6) < 1e-3 && abs(components.directions[0][1] - 0.8) < 1e-3)
        #expect(components.shares[0] > 0.999)
    }

    /// The likes of a list of two kinds come first; the list itself is left out.
    @Test(arguments: Lookalike.Method.allCases)
    func likesAreFound(method: Lookalike.Method) throws {
        let (points, truth) = KMeansTests.planted(n: 600, d: 6, k: 5)
        var means = [Float](repeating: 0, count: 6)
        for i in 0..<600 { for p in 0..<6 { means[p] += points[i, p] / 600 } }
        for i in 0..<600 { for p in 0..<6 { points[i, p] -= means[p] } }
        let seeds = truth.indices.filter { truth[$0] == 3 }.prefix(20)
        let ranked = try Lookalike.rank(
            points, seeds: Array(seeds), method: method, neighbors: 3, stream: TestDevices.stream("cpu"))
        let alike = truth.count { $0 == 3 } - 20
        #expect(ranked.count == 580 && Set(ranked.map(\.row)).isDisjoint(with: seeds))
        #expect(ranked.prefix(alike).count { truth[$0.row] == 3 } > alike * 9 / 10)
        #expect(throws: DataError.self) { try Lookalike.rank(points, seeds: [], stream: TestDevices.stream("cpu")) }
    }
}
