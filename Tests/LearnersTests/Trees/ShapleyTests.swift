import Core
import Learners
import Testing

/// Shapley values against their definition: all subsets of the columns, the expectation of each by walking the trees.
struct ShapleyTests {
    /// Σ over subsets of known columns of weight × difference, with `value(of: known columns)` from the predictor.
    private func definition(_ columns: Int, _ value: (Set<Int>) -> Double) -> [Double] {
        var factorial = [1.0]
        for n in 1...columns { factorial.append(factorial[n - 1] * Double(n)) }
        var result = [Double](repeating: 0, count: columns)
        for bits in 0..<1 << columns {
            let known = Set((0..<columns).filter { bits >> $0 & 1 == 1 })
            let base = value(known)
            for column in 0..<columns where !known.contains(column) {
                let weight = factorial[known.count] * factorial[columns - known.count - 1] / factorial[columns]
                result[column] += weight * (value(known.union([column])) - base)
            }
        }
        return result
    }

    @Test func boostingAgreesWithTheDefinition() throws {
        let table = PlantedTable.binary(rows: 2000)
        var options = GradientBoosting()
        options.rounds = 5
        options.leaves = 40
        let model = try BoostedTrees.fit(try table.data(classes: 2), options: options, threads: 1)
        let some = table.part(0..<12)
        let found = try model.contributions(some.matrix, threads: 1)
        for row in 0..<12 {
            let truth = definition(7) { model.expectation(some.rows[row], known: $0) }
            for column in 0..<7 { #expect(abs(found.row(row)[column] - truth[column]) < 1e-9) }
            #expect(abs(found.base - model.expectation(some.rows[row], known: [])) < 1e-9)
        }
    }

    @Test func sumsEqualPredictions() throws {
        let (table, score) = PlantedTable.mixed(rows: 3000)
        var options = GradientBoosting()
        options.rounds = 50
        options.leaves = 255
        options.minimumLeafRows = 1
        let model = try BoostedTrees.fit(try table.data(), options: options, threads: 2)
        let found = try model.contributions(table.matrix, threads: 2),
            scores = try model.scores(table.matrix, threads: 2)
        for row in 0..<3000 { #expect(abs(found.base + found.row(row).reduce(0, +) - scores[row]) < 1e-6) }

        // Several classes: one sum each, for boosting and for a forest at full depth.
        var classes = table.part(0..<800)
        classes.target = score[0..<800].map { $0 < -0.5 ? 0 : $0 < 1 ? 1 : 2 }
        options.rounds = 5
        let boosted = try BoostedTrees.fit(try classes.data(classes: 3), options: options, threads: 2)
        let several = try boosted.scores(classes.matrix, threads: 2)
        var growing = RandomForest()
        growing.trees = 10
        growing.minimumLeafRows = 1
        let forest = try AveragedTrees.fitForest(try classes.data(classes: 3), options: growing, threads: 2)
        let shares = try forest.predict(classes.matrix, threads: 2)
        for output in 0..<3 {
            let a = try boosted.contributions(classes.matrix, output: output, threads: 2)
            let b = try forest.contributions(classes.matrix, output: output, threads: 2)
            for row in 0..<800 {
                #expect(abs(a.base + a.row(row).reduce(0, +) - several[3 * row + output]) < 1e-6)
                #expect(abs(b.base + b.row(row).reduce(0, +) - Double(shares[row, output])) < 1e-6)
            }
        }
    }

    @Test func manyColumnsOnAPath() throws {
        // More than 16 columns on a path, so that the quadrature needs more points; 40 don't matter on their own.
        let random = Philox(seed: 2, stream: 9)
        var table = PlantedTable(kinds: [TreeFeatureKind](repeating: .number, count: 40))
        for row in 0..<400 {
            table.rows.append((0..<40).map { Float(random.normal(UInt64(row * 40 + $0))) })
            table.target.append(Float(random.normal(UInt64(100_000 + row))))
        }
        var options = RandomForest()
        options.trees = 20
        options.columnsPerSplit = 1
        let model = try AveragedTrees.fitForest(try table.data(), options: options, threads: 2)
        let found = try model.contributions(table.matrix, output: 0, threads: 2)
        let predictions = try model.predict(table.matrix, threads: 2)
        for row in 0..<400 {
            #expect(abs(found.base + found.row(row).reduce(0, +) - Double(predictions[row, 0])) < 1e-6)
        }
    }
}
