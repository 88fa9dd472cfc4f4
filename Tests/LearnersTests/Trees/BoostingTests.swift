import Core
import Learners
import Testing

struct BoostingTests {
    private func options(_ change: (inout GradientBoosting) -> Void = { _ in }) -> GradientBoosting {
        var options = GradientBoosting()
        options.rounds = 60
        options.learningRate = 0.1
        options.leaves = 31
        options.l2 = 0
        change(&options)
        return options
    }

    @Test func recoversAPlantedScore() throws {
        let (table, score) = PlantedTable.mixed(rows: 12_000)
        let model = try BoostedTrees.fit(
            try table.part(0..<9000).data(), options: options { $0.rounds = 200 }, threads: 2)
        let test = table.part(9000..<12_000)
        let predictions = try model.predict(test.matrix, threads: 2).column(0)
        // The noise can't be predicted; the score behind it can.
        let share = explainedVariance(predictions, Array(score[9000...]))
        #expect(share > 0.93, "\(share)")
        // What matters is told from what doesn't.
        let importances = model.importances
        #expect([4, 5, 6].allSatisfy { importances[$0] < 0.03 }, "\(importances)")
    }

    @Test func tellsTwoClassesApart() throws {
        let table = PlantedTable.binary(rows: 12_000)
        let model = try BoostedTrees.fit(try table.part(0..<9000).data(classes: 2), options: options(), threads: 2)
        let test = table.part(9000..<12_000)
        let predictions = try model.predict(test.matrix, threads: 2)
        let area = areaUnderCurve(predictions.column(1), test.target)
        #expect(area > 0.95, "\(area)")
        for row in 0..<100 { #expect(abs(predictions[row, 0] + predictions[row, 1] - 1) < 1e-6) }
        // Calibrated: the mean prediction is the share of the positive class.
        let mean = predictions.column(1).reduce(0, +) / 3000
        #expect(abs(mean - Double(test.target.reduce(0, +)) / 3000) < 0.02)
    }

    @Test func tellsSeveralClassesApart() throws {
        var (table, score) = PlantedTable.mixed(rows: 8000)
        table.target = score.map { $0 < -0.5 ? 0 : $0 < 1 ? 1 : 2 }
        let model = try BoostedTrees.fit(try table.part(0..<6000).data(classes: 3), options: options(), threads: 2)
        let test = table.part(6000..<8000)
        let predictions = try model.predict(test.matrix, threads: 2)
        let right = (0..<2000).filter { row in
            let shares = predictions.row(row)
            return shares.indices.max { shares[$0] < shares[$1] } == Int(test.target[row])
        }.count
        #expect(right > 1750, "\(right)")
    }

    @Test(arguments: [0.1, 0.9]) func predictsAQuantile(_ quantile: Double) throws {
        let (table, _) = PlantedTable.mixed(rows: 8000)
        let model = try BoostedTrees.fit(
            try table.part(0..<6000).data(),
            options: options {
                $0.loss = .quantile
                $0.quantile = quantile
            }, threads: 2)
        let test = table.part(6000..<8000)
        let predictions = try model.predict(test.matrix, threads: 2).column(0)
        let below = zip(predictions, test.target).filter { Double($1) <= $0 }.count
        #expect(abs(Double(below) / 2000 - quantile) < 0.05, "\(below)")
        // It follows the score, not only the level.
        let width = zip(predictions, test.target).reduce(0) { $0 + abs(Double($1.1) - $1.0) } / 2000
        #expect(width < 1.6, "\(width)")
    }

    @Test func isTheSameForEveryThreadCount() throws {
        let table = PlantedTable.binary(rows: 40_000)
        let some = options {
            $0.rounds = 6
            $0.rowFraction = 0.7
            $0.columnFraction = 0.6
            $0.earlyStopping = 5
        }
        let data = try table.data(classes: 2, weights: (0..<40_000).map { Float($0 % 7) * 0.3 })
        let one = try BoostedTrees.fit(data, options: some, threads: 1)
        let reference = try one.predict(table.matrix, threads: 1)
        for threads in [2, 3, 8] {
            let other = try BoostedTrees.fit(data, options: some, threads: threads)
            #expect(try other.predict(table.matrix, threads: threads).isIdentical(to: reference))
            #expect(other.validationLosses == one.validationLosses)
        }
    }

    @Test func weightsAreRepetitions() throws {
        let table = PlantedTable.coarse(rows: 600, columns: 4, values: 9, classes: 0, seed: 4)
        let weights = (0..<600).map { Float($0 % 3) }
        var repeated = PlantedTable(kinds: table.kinds)
        for (row, weight) in weights.enumerated() {
            for _ in 0..<Int(weight) {
                repeated.rows.append(table.rows[row])
                repeated.target.append(table.target[row])
            }
        }
        let some = options {
            $0.minimumLeafRows = 1
            $0.minimumChildWeight = 12
            $0.rounds = 20
        }
        let weighted = try BoostedTrees.fit(try table.data(weights: weights), options: some, threads: 2)
        let plain = try BoostedTrees.fit(try repeated.data(), options: some, threads: 2)
        let a = try weighted.predict(table.matrix, threads: 2), b = try plain.predict(table.matrix, threads: 2)
        for row in 0..<600 { #expect(abs(a[row, 0] - b[row, 0]) < 1e-3) }
    }

    /// The first split, against every bin of every column in double precision.
    @Test(arguments: [1, 2, 3, 4]) func firstSplitIsTheBest(_ seed: UInt64) throws {
        let table = PlantedTable.coarse(rows: 500, columns: 5, values: 30, classes: 0, seed: seed)
        let model = try BoostedTrees.fit(
            try table.data(),
            options: options {
                $0.rounds = 1
                $0.leaves = 2
                $0.learningRate = 1
                $0.minimumLeafRows = 1
                $0.minimumChildWeight = 20
            }, threads: 1)
        let predictions = try model.predict(table.matrix, threads: 1).column(0)
        let error = zip(predictions, table.target).reduce(0) { $0 + ($1.0 - Double($1.1)) * ($1.0 - Double($1.1)) }
        var best = Double.infinity
        for column in 0..<5 {
            for threshold in 0..<29 {
                let left = table.rows.indices.filter { table.rows[$0][column] <= Float(threshold) }
                let right = table.rows.indices.filter { table.rows[$0][column] > Float(threshold) }
                guard left.count >= 20, right.count >= 20 else { continue }
                var sum = 0.0
                for side in [left, right] {
                    let mean = side.reduce(0) { $0 + Double(table.target[$1]) } / Double(side.count)
                    sum += side.reduce(0) { $0 + (Double(table.target[$1]) - mean) * (Double(table.target[$1]) - mean) }
                }
                best = min(best, sum)
            }
        }
        #expect(abs(error - best) < 1e-4 * best, "\(error) \(best)")
    }

    @Test func missingValuesGoWhereTheyBelong() throws {
        // Missing is like a large value for the target, and like a small one in the other table.
        for sign: Float in [1, -1] {
            var table = PlantedTable(kinds: [.number])
            for row in 0..<900 {
                let value = row % 3 == 0 ? Float.nan : Float(row % 100)
                table.rows.append([value])
                table.target.append(value.isNaN ? sign : value >= 50 ? 1 : -1)
            }
            let model = try BoostedTrees.fit(
                try table.data(),
                options: options {
                    $0.rounds = 1
                    $0.leaves = 2
                    $0.learningRate = 1
                }, threads: 1)
            let predictions = try model.predict(
                HostMatrix(rows: 3, columns: 1, elements: [10, 90, .nan]), threads: 1)
            #expect(predictions[0, 0] == -1 && predictions[1, 0] == 1 && predictions[2, 0] == sign)
        }
    }

    @Test func manyCategoriesAreSorted() throws {
        let random = Philox(seed: 3, stream: 5)
        let effects = (0..<250).map { random.normal(UInt64($0)) }
        var table = PlantedTable(kinds: [.category(levels: 250)])
        for row in 0..<60_000 {
            // Frequent levels and rare ones.
            let level = Int(250 * pow3(Double(random.uniform64(UInt64(5000 + row)))))
            table.rows.append([Float(level)])
            table.target.append(Float(effects[level]))
        }
        let model = try BoostedTrees.fit(try table.data(), options: options { $0.rounds = 100 }, threads: 2)
        let predictions = try model.predict(table.matrix, threads: 2).column(0)
        let share = explainedVariance(predictions, table.target.map { Double($0) })
        #expect(share > 0.9, "\(share)")
        // Of more levels than bins the frequent ones keep bins of their own, and with them their effects.
        var many = PlantedTable(kinds: [.category(levels: 1_000_000)], target: table.target)
        many.rows = table.rows.map { [$0[0] * 4000] }
        for row in stride(from: 0, to: 60_000, by: 20) {
            many.rows[row] = [Float(1 + row)]
            many.target[row] = 0
        }
        let wide = try BoostedTrees.fit(try many.data(), options: options { $0.rounds = 100 }, threads: 2)
        let wideShare = explainedVariance(
            try wide.predict(many.matrix, threads: 2).column(0), many.target.map { Double($0) })
        #expect(wideShare > 0.8, "\(wideShare)")
        // Unknown codes are missing values, not faults.
        let unknown = try model.predict(
            HostMatrix(rows: 4, columns: 1, elements: [250, -1, .infinity, .nan]), threads: 1
        ).column(0)
        #expect(unknown.allSatisfy { $0 == unknown[3] && $0.isFinite })
    }

    private func pow3(_ x: Double) -> Double { x * x * x }

    @Test func stopsEarlyAndKeepsTheBest() throws {
        let (table, _) = PlantedTable.mixed(rows: 3000, noise: 3)
        let model = try BoostedTrees.fit(
            try table.data(),
            options: options {
                $0.rounds = 500
                $0.learningRate = 0.3
                $0.earlyStopping = 10
            }, threads: 2)
        let losses = model.validationLosses
        #expect(losses.count < 500 && model.rounds == losses.count - 10)
        #expect(losses[model.rounds - 1] == losses.min())
    }

    @Test func stopsWhenTold() throws {
        let table = PlantedTable.binary(rows: 500)
        var rounds = 0
        #expect(throws: CancellationError.self) {
            try BoostedTrees.fit(try table.data(classes: 2), options: options(), threads: 1) { completed, total, _ in
                rounds = completed
                #expect(total == 60)
                if completed == 7 { throw CancellationError() }
            }
        }
        #expect(rounds == 7)
    }

    @Test func degenerateTablesHaveResults() throws {
        // Nothing to split by: the mean.
        var table = PlantedTable(kinds: [.number, .number, .category(levels: 3)])
        for row in 0..<100 {
            table.rows.append([7, .nan, 1])
            table.target.append(Float(row % 2))
        }
        let model = try BoostedTrees.fit(try table.data(), options: options(), threads: 1)
        #expect(abs(try model.predict(table.matrix, threads: 1)[0, 0] - 0.5) < 1e-6)
        // One row.
        let one = try BoostedTrees.fit(try table.part(0..<1).data(), options: options(), threads: 1)
        #expect(try one.predict(table.matrix, threads: 1)[0, 0] == 0)
        // More columns than rows.
        var wide = PlantedTable(kinds: [TreeFeatureKind](repeating: .number, count: 300))
        for row in 0..<20 {
            wide.rows.append((0..<300).map { Float($0 == 9 ? row : $0) })
            wide.target.append(row < 10 ? 0 : 1)
        }
        let some = try BoostedTrees.fit(
            try wide.data(classes: 2), options: options { $0.minimumLeafRows = 1 }, threads: 2)
        let shares = try some.predict(wide.matrix, threads: 2).column(1)
        #expect(shares[0] < 0.1 && shares[19] > 0.9)
        // Infinite values are ordered like any others.
        wide.rows[19][9] = .infinity
        wide.rows[0][9] = -.infinity
        let infinite = try BoostedTrees.fit(
            try wide.data(classes: 2), options: options { $0.minimumLeafRows = 1 }, threads: 2)
        #expect(try infinite.predict(wide.matrix, threads: 2)[19, 1] > 0.9)
    }

    @Test func refusesWhatMakesNoSense() throws {
        let table = PlantedTable.binary(rows: 50)
        for change: (inout GradientBoosting) -> Void in [
            { $0.rounds = 0 }, { $0.learningRate = 0 }, { $0.leaves = 1 }, { $0.leaves = 256 }, { $0.bins = 1 },
            { $0.rowFraction = 0 }, { $0.l2 = -1 }, { $0.loss = .squared },
        ] {
            #expect(throws: ParameterError.self) {
                try BoostedTrees.fit(try table.data(classes: 2), options: options(change), threads: 1)
            }
        }
        let model = try BoostedTrees.fit(try table.data(classes: 2), options: options { $0.rounds = 2 }, threads: 1)
        #expect(throws: DataError.self) { try model.predict(HostMatrix(rows: 1, columns: 3), threads: 1) }
        #expect(throws: DataError.self) { try table.data(classes: 1) }
    }
}
