import Core
import Learners
import Testing

struct DecisionTreeTests {
    private func options(_ change: (inout DecisionTree) -> Void = { _ in }) -> DecisionTree {
        var options = DecisionTree()
        options.pruningFolds = 0
        options.minimumLeafRows = 1
        change(&options)
        return options
    }

    /// Impurity times weight, from the definition.
    private func impurity(_ targets: [Float], _ criterion: TreeCriterion, classes: Int) -> Double {
        let count = Double(targets.count)
        guard count > 0 else { return 0 }
        if criterion == .variance {
            let mean = targets.reduce(0) { $0 + Double($1) } / count
            return targets.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
        }
        return (0..<classes).reduce(0) { sum, label in
            let share = Double(targets.filter { Int($0) == label }.count) / count
            guard share > 0 else { return sum }
            return sum + count * (criterion == .gini ? share * (1 - share) : -share * log2(share))
        }
    }

    private func log2(_ x: Double) -> Double {
        // Series of the natural logarithm around 1, after halving: enough for a test, and not the code under test.
        var (x, exponent) = (x, 0.0)
        while x < 0.75 {
            x *= 2
            exponent -= 1
        }
        let y = (x - 1) / (x + 1)
        var (power, sum) = (y, 0.0)
        for term in 0..<30 {
            sum += power / Double(2 * term + 1)
            power *= y * y
        }
        return exponent + 2 * sum / 0.6931471805599453
    }

    /// Impurity that is left when rows are grouped by what is predicted for them: by the leaves of a stump.
    private func remaining(_ model: AveragedTrees, _ table: PlantedTable, _ criterion: TreeCriterion, _ classes: Int)
        throws -> Double
    {
        let predictions = try model.predict(table.matrix, threads: 1)
        let groups = Dictionary(grouping: 0..<table.rows.count) { predictions.row($0).map { $0 } }
        #expect(groups.count == 2)
        return groups.values.reduce(0) { sum, rows in
            sum + impurity(rows.map { table.target[$0] }, criterion, classes: classes)
        }
    }

    /// A stump's split against every threshold, or every subset of categories, with missing values on either side.
    @Test(arguments: [(TreeCriterion.variance, 0), (.gini, 2), (.entropy, 2), (.gini, 4), (.entropy, 3)])
    func firstSplitIsTheBest(_ criterion: TreeCriterion, _ classes: Int) throws {
        for seed: UInt64 in 1...6 {
            for categorical in [false, true] {
                let random = Philox(seed: seed, stream: 40)
                var table = PlantedTable(kinds: [categorical ? .category(levels: 6) : .number])
                let count = categorical ? 240 : seed % 2 == 0 ? 400 : 60
                for row in 0..<count {
                    let base = UInt64(4 * row)
                    let value = random.uniform(base) < 0.1 ? Float.nan : Float(random.integer(base + 1, below: 6))
                    // A target that depends on the value, so that the best split stands out.
                    let level = value.isNaN ? 3 : (Int(value) * 5) % 7
                    table.rows.append([value])
                    table.target.append(
                        classes == 0
                            ? Float(level) + Float(random.normal(base + 2))
                            : Float((level + random.integer(base + 3, below: 4)) % classes))
                }
                var best = Double.infinity
                for subset in 0..<1 << 7 {
                    // Bit 6 stands for missing values; thresholds are the subsets 0 … k.
                    if !categorical && !(subset & 63 + 1).isPowerOfTwo { continue }
                    func left(_ value: Float) -> Bool { subset >> (value.isNaN ? 6 : Int(value)) & 1 == 1 }
                    let sides = (
                        table.rows.indices.filter { left(table.rows[$0][0]) },
                        table.rows.indices.filter { !left(table.rows[$0][0]) }
                    )
                    guard !sides.0.isEmpty, !sides.1.isEmpty else { continue }
                    best = min(
                        best,
                        impurity(sides.0.map { table.target[$0] }, criterion, classes: classes)
                            + impurity(sides.1.map { table.target[$0] }, criterion, classes: classes))
                }
                for splits in TreeSplits.allCases {
                    let model = try AveragedTrees.fitTree(
                        try table.data(classes: classes),
                        options: options {
                            $0.criterion = criterion
                            $0.splits = splits
                            $0.maximumDepth = 1
                        }, threads: 1)
                    let found = try remaining(model, table, criterion, classes)
                    // With several classes the order of categories is a heuristic, within a few hundredths.
                    let slack = categorical && classes > 2 ? 0.05 * best : 1e-6 * best + 1e-9
                    #expect(found >= best - 1e-6 * best && found <= best + slack, "\(found) \(best) \(seed) \(splits)")
                }
            }
        }
    }

    /// A node whose rows leave a gap puts its threshold in the middle, with bins as with values: other nodes' values fill
    /// the bins in between.
    @Test(arguments: TreeSplits.allCases) func thresholdsLieInTheMiddleOfGaps(_ splits: TreeSplits) throws {
        var table = PlantedTable(kinds: [.number, .number])
        for row in 0..<200 {
            // The third class parts from the others by the first column, and holds every value of the second.
            table.rows.append([1, Float(row)])
            table.target.append(2)
            table.rows.append([0, row < 100 ? 10 : 190])
            table.target.append(row < 100 ? 0 : 1)
        }
        let model = try AveragedTrees.fitTree(
            try table.data(classes: 3), options: options { $0.splits = splits }, threads: 1)
        let asked = HostMatrix(rows: 4, columns: 2, elements: [0, 20, 0, 90, 0, 110, 0, 180])
        let predictions = try model.predict(asked, threads: 1)
        for row in 0..<4 {
            #expect(predictions[row, row < 2 ? 0 : 1] == 1, "\(asked[row, 1]): \(predictions.row(row).map { $0 })")
        }
    }

    @Test func learnsWhatNoSingleSplitTells() throws {
        // Exclusive or: the first split gains nothing.
        var table = PlantedTable(kinds: [.number, .number])
        for row in 0..<40 {
            let (a, b) = (row & 1, row >> 1 & 1)
            table.rows.append([Float(a), Float(b)])
            table.target.append(Float(a ^ b))
        }
        let model = try AveragedTrees.fitTree(try table.data(classes: 2), options: options(), threads: 1)
        #expect(try model.predict(table.matrix, threads: 1).column(1) == table.target.map { Double($0) })
    }

    @Test func weightsAreRepetitions() throws {
        let table = PlantedTable.coarse(rows: 400, columns: 4, values: 9, classes: 3, seed: 2)
        var labelled = table
        labelled.target = table.target.map { Float(Int($0) % 3) }
        let weights = (0..<400).map { Float($0 % 4) }
        var repeated = PlantedTable(kinds: table.kinds)
        for (row, weight) in weights.enumerated() {
            for _ in 0..<Int(weight) {
                repeated.rows.append(labelled.rows[row])
                repeated.target.append(labelled.target[row])
            }
        }
        for splits in TreeSplits.allCases {
            let some = options {
                $0.splits = splits
                $0.minimumLeafRows = 6
            }
            let a = try AveragedTrees.fitTree(
                try labelled.data(classes: 3, weights: weights), options: some, threads: 1)
            let b = try AveragedTrees.fitTree(try repeated.data(classes: 3), options: some, threads: 2)
            #expect(try a.predict(table.matrix, threads: 1).isIdentical(to: b.predict(table.matrix, threads: 1)))
        }
    }

    @Test func pruningCutsNoiseAndKeepsStructure() throws {
        let (table, score) = PlantedTable.mixed(rows: 6000, noise: 1.5)
        let training = table.part(0..<4000), test = table.part(4000..<6000)
        let full = try AveragedTrees.fitTree(try training.data(), options: options(), threads: 2)
        let pruned = try AveragedTrees.fitTree(
            try training.data(), options: options { $0.pruningFolds = 5 }, threads: 2)
        let truth = Array(score[4000...])
        let before = explainedVariance(try full.predict(test.matrix, threads: 2).column(0), truth)
        let after = explainedVariance(try pruned.predict(test.matrix, threads: 2).column(0), truth)
        #expect(pruned.leafCount < full.leafCount / 5 && pruned.costComplexity > 0)
        #expect(after > before + 0.1 && after > 0.5, "\(before) \(after) \(pruned.leafCount)")
        // A cost beyond all use leaves the mean.
        let stump = try AveragedTrees.fitTree(
            try training.data(), options: options { $0.costComplexity = 1e9 }, threads: 1)
        #expect(stump.leafCount == 1)
    }

    @Test func limitsHold() throws {
        let table = PlantedTable.binary(rows: 2000)
        let data = try table.data(classes: 2)
        let few = try AveragedTrees.fitTree(data, options: options { $0.leaves = 9 }, threads: 2)
        #expect(few.leafCount == 9)
        let shallow = try AveragedTrees.fitTree(data, options: options { $0.maximumDepth = 3 }, threads: 2)
        #expect(shallow.leafCount <= 8 && shallow.leafCount > 4)
        let wide = try AveragedTrees.fitTree(data, options: options { $0.minimumLeafRows = 200 }, threads: 2)
        #expect(wide.leafCount <= 10 && wide.leafCount > 2)
        // Best first is not worse than the same number of leaves level by level.
        let deep = areaUnderCurve(try few.predict(table.matrix, threads: 1).column(1), table.target)
        let level = areaUnderCurve(try shallow.predict(table.matrix, threads: 1).column(1), table.target)
        #expect(deep > level - 0.02)
        // Every row is told apart in the end, exact or by bins of few values.
        let whole = try AveragedTrees.fitTree(data, options: options(), threads: 2)
        #expect(areaUnderCurve(try whole.predict(table.matrix, threads: 1).column(1), table.target) > 0.9999)
    }

    @Test func isTheSameForEveryThreadCount() throws {
        let table = PlantedTable.binary(rows: 9000)
        let data = try table.data(classes: 2)
        for splits in TreeSplits.allCases {
            let some = options { $0.splits = splits }
            let one = try AveragedTrees.fitTree(data, options: some, threads: 1)
            let many = try AveragedTrees.fitTree(data, options: some, threads: 4)
            #expect(try one.predict(table.matrix, threads: 1).isIdentical(to: many.predict(table.matrix, threads: 2)))
        }
    }

    @Test func pathsAreInWords() throws {
        var table = PlantedTable(kinds: [.number, .category(levels: 3)])
        for row in 0..<90 {
            let age = Float(20 + row % 30), plan = Float(row % 3)
            table.rows.append([row == 89 ? .nan : age, plan])
            table.target.append(plan == 1 ? (age > 35 ? 1 : 0) : 0)
        }
        let model = try AveragedTrees.fitTree(try table.data(classes: 2), options: options(), threads: 1)
        let names = TreeFeatureNames(columns: ["age", "plan"], levels: [[], ["basic", "gold", "none"]])
        let path = try model.decisionPath(table.matrix, row: 28, names: names, labels: ["stays", "leaves"])
        #expect(path.count == 2)
        #expect(path.first?.hasPrefix("plan is gold: 30 rows, ") == true, "\(path)")
        #expect(path.last?.hasPrefix("age > 34.5") == true && path.last?.hasSuffix("100 % leaves") == true, "\(path)")
    }
}

extension Int {
    fileprivate var isPowerOfTwo: Bool { self > 0 && self & (self - 1) == 0 }
}
