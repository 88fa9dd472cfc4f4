import Core
import Learners
import Testing

struct ForestTests {
    private func options(_ change: (inout RandomForest) -> Void = { _ in }) -> RandomForest {
        var options = RandomForest()
        options.trees = 60
        options.minimumLeafRows = 1
        change(&options)
        return options
    }

    @Test func tellsTwoClassesApart() throws {
        let table = PlantedTable.binary(rows: 8000)
        let model = try AveragedTrees.fitForest(
            try table.part(0..<6000).data(classes: 2), options: options { $0.outOfBag = true }, threads: 2)
        let test = table.part(6000..<8000)
        let area = areaUnderCurve(try model.predict(test.matrix, threads: 2).column(1), test.target)
        #expect(area > 0.92, "\(area)")
        // Out of bag is as good as held out.
        let outside = try #require(model.outOfBag)
        let own = areaUnderCurve(outside.column(1), table.part(0..<6000).target)
        #expect(abs(own - area) < 0.02, "\(own) \(area)")
        // In the bag it would be nearly perfect.
        let inside = areaUnderCurve(
            try model.predict(table.part(0..<6000).matrix, threads: 2).column(1), table.part(0..<6000).target)
        #expect(inside > 0.99)
        #expect([4, 5, 6].allSatisfy { model.importances[$0] < model.importances[2] / 3 })
    }

    @Test func recoversAPlantedScore() throws {
        let (table, score) = PlantedTable.mixed(rows: 8000)
        let model = try AveragedTrees.fitForest(
            try table.part(0..<6000).data(),
            options: options {
                $0.columnsPerSplit = 5
                $0.minimumLeafRows = 3
            }, threads: 2)
        let predictions = try model.predict(table.part(6000..<8000).matrix, threads: 2).column(0)
        let share = explainedVariance(predictions, Array(score[6000...]))
        #expect(share > 0.8, "\(share)")
    }

    @Test func tellsSeveralClassesApart() throws {
        var (table, score) = PlantedTable.mixed(rows: 6000)
        table.target = score.map { $0 < -0.5 ? 0 : $0 < 1 ? 1 : 2 }
        for criterion in [TreeCriterion.gini, .entropy] {
            let model = try AveragedTrees.fitForest(
                try table.part(0..<4500).data(classes: 3), options: options { $0.criterion = criterion }, threads: 2)
            let predictions = try model.predict(table.part(4500..<6000).matrix, threads: 2)
            var right = 0
            for row in 0..<1500 {
                let shares = predictions.row(row)
                #expect(abs(shares.reduce(0, +) - 1) < 1e-5)
                if shares.indices.max(by: { shares[$0] < shares[$1] }) == Int(table.target[4500 + row]) { right += 1 }
            }
            #expect(right > 1150, "\(right)")
        }
    }

    @Test func isTheSameForEveryThreadCount() throws {
        let table = PlantedTable.binary(rows: 3000)
        let data = try table.data(classes: 2, weights: (0..<3000).map { Float($0 % 5) * 0.7 })
        let some = options { $0.outOfBag = true }
        let one = try AveragedTrees.fitForest(data, options: some, threads: 1)
        for threads in [2, 5] {
            let other = try AveragedTrees.fitForest(data, options: some, threads: threads)
            #expect(
                try other.predict(table.matrix, threads: threads).isIdentical(
                    to: one.predict(table.matrix, threads: 1)))
            #expect(try #require(other.outOfBag).isIdentical(to: #require(one.outOfBag)))
        }
        let another = try AveragedTrees.fitForest(data, options: options { $0.seed = 1 }, threads: 2)
        #expect(
            try !another.predict(table.matrix, threads: 2).isIdentical(to: one.predict(table.matrix, threads: 1)))
    }

    @Test func stopsWhenTold() throws {
        let table = PlantedTable.binary(rows: 300)
        #expect(throws: CancellationError.self) {
            try AveragedTrees.fitForest(try table.data(classes: 2), options: options(), threads: 2) { _, _, _ in
                throw CancellationError()
            }
        }
    }

    @Test func isolatesOddRows() throws {
        let random = Philox(seed: 8, stream: 3)
        var rows: [Float] = []
        var odd: [Float] = []
        for row in 0..<2000 {
            let isOdd = row % 50 == 0
            let base = UInt64(row * 8)
            // Two numbers that go together, except where the row is odd; a category that odd rows have of their own.
            let a = random.normal(base)
            rows += [
                Float(a), Float((isOdd ? -3 * a + 4 : a) + 0.2 * random.normal(base + 1)),
                Float(isOdd && row % 100 == 0 ? 5 : random.integer(base + 5, below: 3)),
            ]
            odd.append(isOdd ? 1 : 0)
        }
        let table = HostMatrix(rows: 2000, columns: 3, elements: rows)
        let kinds: [TreeFeatureKind] = [.number, .number, .category(levels: 6)]
        let forest = try IsolationForest.fit(table, kinds: kinds, threads: 2)
        let scores = try forest.scores(table, threads: 2)
        let area = areaUnderCurve(scores, odd)
        #expect(area > 0.93, "\(area)")
        #expect(scores.allSatisfy { $0 > 0 && $0 < 1 })
        #expect(try IsolationForest.fit(table, kinds: kinds, threads: 3).scores(table, threads: 1) == scores)
        // Rows that are all alike are not odd.
        let alike = HostMatrix(rows: 50, columns: 3, elements: (0..<50).flatMap { _ in [Float(1), .nan, 2] })
        let none = try IsolationForest.fit(alike, kinds: kinds, threads: 1).scores(alike, threads: 1)
        #expect(none.allSatisfy { abs($0 - 0.5) < 0.01 }, "\(none[0])")
    }
}
