import Compute
import Core
import Glibc
import Learners
import Tables
import Testing

/// Networks as learners of tables: what they predict, keep, and explain.
@Suite("Networks as learners") struct NetworkLearnerTests {
    private func context(_ device: String) throws -> LearningContext {
        LearningContext(stream: try TestDevices.stream(device))
    }

    private func set(_ rows: Int, seed: UInt64, _ task: SupervisedTask, _ rule: ([Float], Double) -> Double)
        -> TrainingSet
    {
        let random = Philox(seed: seed, stream: 9)
        let features = HostMatrix(rows: rows, columns: 4)
        var target: [Double] = []
        for row in 0..<rows {
            for column in 0..<4 { features[row, column] = 4 * random.uniform(UInt64(row * 8 + column)) - 2 }
            target.append(rule(Array(features.row(row)), random.uniform64(UInt64(row * 4 + 3))))
        }
        return TrainingSet(features: Features(features), task: task, target: target)
    }

    @Test("tell classes apart that a line can't", arguments: TestDevices.names)
    func classes(_ device: String) throws {
        let task = try SupervisedTask.classification(["inside", "ring", "outside"])
        func rule(_ x: [Float], _: Double) -> Double {
            let r = x[0] * x[0] + x[1] * x[1]
            return r < 1 ? 0 : r < 3 ? 1 : 2
        }
        var learner = NetworkLearner()
        learner.hidden = [32, 32]
        learner.epochs = 40
        learner.learningRate = 0.005
        let test = set(1000, seed: 2, task, rule)
        let predictor = try learner.fit(set(2000, seed: 1, task, rule), context: context(device))
        let predictions = try predictor.predict(test.features, context: context(device))
        var hits = 0
        for row in 0..<test.rows {
            let p = Array(predictions.row(row))
            #expect(abs(p.reduce(0, +) - 1) < 1e-5)
            if p.indices.max(by: { p[$0] < p[$1] }) == Int(test.target[row]) { hits += 1 }
        }
        #expect(hits > 930)
    }

    /// The vectors are what the last layer is given: its products with them are the scores.
    @Test("give rows vectors", arguments: TestDevices.names)
    func vectors(_ device: String) throws {
        let task = try SupervisedTask.classification(["no", "yes"])
        let data = set(200, seed: 3, task) { x, _ in x[0] + x[1] * x[2] > 0 ? 1 : 0 }
        var learner = NetworkLearner()
        (learner.hidden, learner.epochs, learner.dropout) = ([12, 5], 2, 0.2)
        let predictor = try learner.fit(data, context: context(device))
        let vectors = try predictor.vectors(data.features, context: context(device))
        #expect(vectors.rows == 200 && vectors.columns == 5)
        let last = predictor.weights.descriptions.count - 2
        let (weight, bias) = (predictor.weights.values[last], predictor.weights.values[last + 1])
        let predictions = try predictor.predict(data.features, context: context(device))
        for row in 0..<200 {
            let score = (0..<5).reduce(Double(bias[0])) { $0 + Double(vectors[row, $1] * weight[$1]) }
            #expect(abs(1 / (1 + exp(-score)) - Double(predictions[row, 1])) < 1e-5)
        }
        learner.hidden = []
        let flat = try learner.fit(data, context: context(device))
        #expect(throws: DataError.self) { try flat.vectors(data.features, context: context(device)) }
    }

    @Test("predict numbers on their own scale", arguments: TestDevices.names, [Float(0), 1])
    func numbers(_ device: String, _ huber: Float) throws {
        func rule(_ x: [Float], _ noise: Double) -> Double { 5000 + 300 * Double(x[0] * x[1]) + 20 * (noise - 0.5) }
        var learner = NetworkLearner()
        learner.epochs = 60
        learner.huber = huber
        learner.patience = 20
        let test = set(500, seed: 2, .regression, rule)
        let predictor = try learner.fit(set(2000, seed: 1, .regression, rule), context: context(device))
        let predictions = try predictor.predict(test.features, context: context(device))
        let mean = test.target.reduce(0, +) / Double(test.rows)
        var (missed, all) = (0.0, 0.0)
        for row in 0..<test.rows {
            missed +=
                (Double(predictions[row, 0]) - test.target[row]) * (Double(predictions[row, 0]) - test.target[row])
            all += (test.target[row] - mean) * (test.target[row] - mean)
        }
        #expect(1 - missed / all > 0.97)
    }

    @Test("explain by parts that add up", arguments: TestDevices.names, ActivationName.allCases)
    func explains(_ device: String, _ activation: ActivationName) throws {
        let task = SupervisedTask.binary(negative: "no", positive: "yes")
        // The first two columns decide, the others don't.
        func rule(_ x: [Float], _: Double) -> Double { x[0] * x[1] > 0 ? 1 : 0 }
        var learner = NetworkLearner()
        learner.activation = activation
        learner.epochs = 25
        learner.learningRate = 0.01
        // Keeps probabilities away from 0 and 1.
        learner.labelSmoothing = 0.1
        let training = set(1500, seed: 1, task, rule)
        let predictor = try learner.fit(training, context: context(device))
        let rows = training.features.selecting(rows: Array(0..<20))
        let parts = try #require(try predictor.contributions(of: rows, output: 1, context: context(device)))
        let predictions = try predictor.predict(rows, context: context(device))
        var weight = [Double](repeating: 0, count: 4)
        var compared = 0
        for row in 0..<20 {
            let p = Double(predictions[row, 1])
            let score = -logarithm(1 / p - 1)
            let sum = parts.base + parts.row(row).reduce(0, +)
            // A float32 probability near 0 or 1 does not hold the score any more.
            if abs(sum) < 6 {
                compared += 1
                #expect(
                    abs(sum - score) <= 1e-3 * max(abs(score - parts.base), 1e-2) + 1e-3,
                    "row \(row): \(sum), \(score)")
            } else {
                #expect(abs(score) > 5.9 && (score > 0) == (sum > 0), "row \(row): \(sum), \(score)")
            }
            for (column, part) in parts.row(row).enumerated() { weight[column] += abs(part) }
        }
        #expect(compared > 0)
        if activation != .sigmoid { #expect(weight[0] + weight[1] > 3 * (weight[2] + weight[3])) }
    }

    private func logarithm(_ x: Double) -> Double { log(x) }

    @Test func weightsMoveBothWays() throws {
        let folder = TemporaryFolder()
        let task = SupervisedTask.binary(negative: "no", positive: "yes")
        var learner = NetworkLearner()
        learner.hidden = [5]
        learner.epochs = 2
        let training = set(100, seed: 1, task) { x, _ in x[0] > 0 ? 1 : 0 }
        let predictor = try learner.fit(training, context: context("cpu"))
        try predictor.writeWeights(to: folder.file("weights"))
        let file = try SafetensorsFile(path: folder.file("weights"))
        #expect(Set(file.tensors.map(\.name)) == ["0.weight", "0.bias", "2.weight", "2.bias"])
        #expect(file.tensor("0.weight")?.shape == [5, 4])
        learner.seed = 7
        let other = try learner.fit(training, context: context("cpu")).reading(weightsFrom: folder.file("weights"))
        let (a, b) = (
            try predictor.predict(training.features, context: context("cpu")),
            try other.predict(training.features, context: context("cpu"))
        )
        #expect(a.isIdentical(to: b))
        learner.hidden = [6]
        let wider = try learner.fit(training, context: context("cpu"))
        #expect(throws: DataError.self) { try wider.reading(weightsFrom: folder.file("weights")) }
    }

    @Test func refusesParametersOutOfRange() throws {
        for change in ["learningRate": 0, "dropout": 1, "validation": 1, "epochs": 0, "batchSize": 0]
            as [String: Double]
        {
            #expect(throws: ParameterError.self) {
                try NetworkLearner().setting([change.key: .number(change.value)])
            }
        }
        #expect(throws: ParameterError.self) { try NetworkLearner().setting(["width": .number(3)]) }
        #expect(try NetworkLearner().setting(["hidden": .list([.number(3)])]).hidden == [3])
    }

    /// Bank marketing without `duration` and telco churn: above what a logistic regression reaches, or as good.
    @Test(.enabled(if: dataFolder != nil), arguments: [("bank", 0.775), ("telco", 0.835)])
    func publicTables(_ name: String, _ least: Double) throws {
        let folder = try #require(dataFolder)
        var options = TableReadOptions()
        options.dropped = name == "bank" ? ["duration"] : ["customerID"]
        let table = try TableReader.read(
            folder + (name == "bank" ? "/bank-marketing/bank-full.csv" : "/telco-churn/Telco-Customer-Churn.csv"),
            options: options)
        let data = try SupervisedTable(
            table, roles: name == "bank" ? TableRoles(target: "y", positive: "yes") : TableRoles(target: "Churn"),
            kinds: [.binary])
        var learner = NetworkLearner()
        learner.hidden = [32]
        learner.epochs = 20
        learner.patience = 3
        learner.dropout = 0.2
        var training = TableTrainingOptions(pipeline: TablePipeline(learner: learner))
        training.testShare = 0.2
        let result = try TableTraining.train(data, options: training, context: context("cpu"))
        let area = try #require(result.evaluation?.metrics.first { $0.name == "roc_auc" }?.value.value)
        #expect(area > least, "\(name): \(area)")
    }
}
