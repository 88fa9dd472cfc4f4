import Compute
import Core
import Learners
import Tables
import Testing

/// Networks in 8 bits and without their smallest weights.
@Suite("Compression of networks") struct CompressionTests {
    private func context(_ device: String) throws -> LearningContext {
        LearningContext(stream: try TestDevices.stream(device))
    }

    /// Four numbers and a level, by a rule that a line does not follow.
    private static func table(rows: Int, seed: UInt64) throws -> SupervisedTable {
        let random = Philox(seed: seed, stream: 3)
        var columns = [[Double]](repeating: [], count: 4)
        var (levels, target): ([Int32], [Int32]) = ([], [])
        for row in 0..<rows {
            let x = (0..<4).map { 4 * random.uniform64(UInt64(row * 16 + $0)) - 2 }
            let level = random.integer(UInt64(row * 16 + 8), below: 5)
            for (place, value) in x.enumerated() { columns[place].append(value) }
            levels.append(Int32(level))
            let noise = 0.3 * random.normal(UInt64(row * 16 + 12))
            let score: Double = x[0] * x[1] + 0.5 * x[2] + (level < 2 ? 1.0 : -0.5) + noise
            target.append(score > 0 ? 1 : 0)
        }
        var made: [Column] = []
        for (place, values) in columns.enumerated() { made.append(Column("x\(place)", .number(values))) }
        made.append(Column("level", .category(codes: levels, levels: ["a", "b", "c", "d", "e"])))
        made.append(Column("buys", .category(codes: target, levels: ["no", "yes"])))
        let table = try Table(made, rowCount: rows)
        return try SupervisedTable(table, roles: TableRoles(target: "buys", positive: "yes"), kinds: [.binary])
    }

    private func model(_ learner: any SupervisedLearner, _ data: SupervisedTable, _ device: String) throws -> TableModel
    {
        try TableTraining.train(
            data, options: TableTrainingOptions(pipeline: TablePipeline(learner: learner)), context: context(device)
        ).model
    }

    private static func net() -> NetworkLearner {
        var learner = NetworkLearner()
        learner.hidden = [64, 48]
        learner.epochs = 15
        learner.learningRate = 0.005
        return learner
    }

    private func area(_ evaluation: SupervisedEvaluation) throws -> Double {
        try #require(evaluation.metric("roc_auc"))
    }

    @Test("8 bits lose little, and are a quarter of the size", arguments: TestDevices.names, [false, true])
    func quantizes(_ device: String, _ hasTables: Bool) throws {
        let folder = TemporaryFolder()
        let data = try Self.table(rows: 3000, seed: 1)
        var wide = WideDeepLearner()
        wide.epochs = 15
        wide.learningRate = 0.01
        let learner: any SupervisedLearner = hasTables ? wide : Self.net()
        let before = try model(learner, data, device)
        let result = try ModelCompression(before, data, context: context(device)).quantized()
        let (was, now) = (try area(result.before), try area(result.after))
        #expect(was > 0.9 && abs(now - was) <= 0.005 * was, "\(was), \(now)")
        if !hasTables { #expect(Double(result.bytes.after) < 0.31 * Double(result.bytes.before)) }
        // Probabilities move, but little.
        let features = try before.pipeline.recipe.apply(data.table)
        let (a, b) = (
            try before.pipeline.predict(features: features, context: context(device)),
            try result.model.pipeline.predict(features: features, context: context(device))
        )
        let differences = (0..<a.rows).map { abs(a[$0, 1] - b[$0, 1]) }
        #expect(differences.reduce(0, +) / Float(a.rows) < 0.01 && differences.contains { $0 > 0 })
        // A file holds the codes, and gives the same predictions.
        try result.model.save(to: folder.file("model"))
        let file = try SafetensorsFile(path: folder.file("model"))
        #expect(file.tensors.contains { $0.name.hasSuffix(".weight.codes") })
        #expect(!file.tensors.contains { $0.name.hasSuffix(".weight") })
        let opened = try TableModel(path: folder.file("model"))
        #expect(try opened.pipeline.predict(features: features, context: context(device)).isIdentical(to: b))
        #expect(throws: DataError.self) { _ = try ModelCompression(opened, data, context: context(device)) }
    }

    @Test("both devices compute the same in 8 bits")
    func sameOnBoth() throws {
        let data = try Self.table(rows: 1500, seed: 1)
        let result = try ModelCompression(
            try model(Self.net(), data, "cpu"), data, context: context("cpu")
        ).quantized()
        let features = try result.model.pipeline.recipe.apply(data.table)
        let predictions = try TestDevices.names.map {
            try result.model.pipeline.predict(features: features, context: context($0))
        }
        for other in predictions.dropFirst() {
            for row in 0..<other.rows { #expect(abs(other[row, 1] - predictions[0][row, 1]) < 0.02) }
        }
    }

    @Test("pruned weights stay 0, and training on mends what they did", arguments: TestDevices.names)
    func prunes(_ device: String) throws {
        let data = try Self.table(rows: 3000, seed: 1)
        let before = try model(Self.net(), data, device)
        let compression = try ModelCompression(before, data, context: context(device))
        let bare = try compression.pruned(sparsity: 0.85, epochs: 0)
        let mended = try compression.pruned(sparsity: 0.85, epochs: 6, learningRate: 0.003)
        #expect(abs(bare.sparsity - 0.85) < 0.02 && abs(mended.sparsity - 0.85) < 0.02)
        #expect(try area(mended.after) > area(bare.after) + 0.001)
        #expect(try area(mended.after) > area(mended.before) - 0.02)
        #expect(mended.history?.epochs == 6)
        #expect(throws: ParameterError.self) { _ = try compression.pruned(sparsity: 1, epochs: 0) }
    }

    @Test func refusesWhatIsNoNetwork() throws {
        let data = try Self.table(rows: 300, seed: 1)
        let logistic = try model(LogisticRegression(), data, "cpu")
        #expect(throws: DataError.self) { _ = try ModelCompression(logistic, data, context: context("cpu")) }
    }
}
