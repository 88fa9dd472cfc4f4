import Compute
import Core
import Glibc
import Learners
import Tables
import Testing

/// Networks with tables of vectors: what they learn from levels, and that stopping changes nothing.
@Suite("Wide and deep networks") struct WideDeepTests {
    private func context(_ device: String) throws -> LearningContext {
        LearningContext(stream: try TestDevices.stream(device))
    }

    /// Shops and goods whose combination decides, beside a number: products of hidden vectors, as in a factorization.
    private static func shop(rows: Int, seed: UInt64) throws -> SupervisedTable {
        let (hidden, random) = (Philox(seed: 5, stream: 1), Philox(seed: seed, stream: 2))
        func vector(_ kind: Int, _ level: Int) -> [Double] {
            (0..<3).map { 2 * hidden.normal(UInt64(kind * 1000 + level * 8 + $0)) }
        }
        var (shops, goods, ages, bought): ([Int32], [Int32], [Double], [Int32]) = ([], [], [], [])
        for row in 0..<rows {
            let (a, b) = (
                random.integer(UInt64(4 * row), below: 40), random.integer(UInt64(4 * row + 1), below: 60)
            )
            let age = random.uniform64(UInt64(4 * row + 2))
            var score = 4 * (age - 0.5)
            for (x, y) in zip(vector(0, a), vector(1, b)) { score += x * y }
            shops.append(Int32(a))
            goods.append(Int32(b))
            ages.append(20 + 60 * age)
            bought.append(score + random.normal(UInt64(4 * row + 100_003)) > 0 ? 1 : 0)
        }
        let table = try Table(
            [
                Column("shop", .category(codes: shops, levels: (0..<40).map { "s\($0)" })),
                Column("good", .category(codes: goods, levels: (0..<60).map { "g\($0)" })),
                Column("age", .number(ages)), Column("bought", .category(codes: bought, levels: ["no", "yes"])),
            ], rowCount: rows)
        return try SupervisedTable(table, roles: TableRoles(target: "bought", positive: "yes"), kinds: [.binary])
    }

    private func area(_ learner: any SupervisedLearner, _ device: String) throws -> Double {
        var options = TableTrainingOptions(pipeline: TablePipeline(learner: learner))
        options.testShare = 0.25
        let result = try TableTraining.train(
            try Self.shop(rows: 8000, seed: 1), options: options, context: context(device))
        return try #require(result.evaluation?.metrics.first { $0.name == "roc_auc" }?.value.value)
    }

    @Test("learn what levels do together", arguments: TestDevices.names, WideDeepArchitecture.allCases)
    func learn(_ device: String, _ architecture: WideDeepArchitecture) throws {
        var learner = WideDeepLearner()
        learner.architecture = architecture
        learner.learningRate = 0.01
        learner.epochs = 12
        let found = try area(learner, device)
        // One number for every level can't: see the next test.
        #expect(found > 0.88, "\(architecture.rawValue): \(found)")
    }

    /// Integrated gradients: with the base they add up to the log odds, and a level's part is the level's.
    @Test("say what each column adds", arguments: TestDevices.names, WideDeepArchitecture.allCases)
    func contributions(_ device: String, _ architecture: WideDeepArchitecture) throws {
        var learner = WideDeepLearner()
        learner.architecture = architecture
        learner.learningRate = 0.01
        learner.epochs = 3
        if architecture == .wideDeep { learner.crosses = ["shop*good"] }
        let data = try Self.shop(rows: 2000, seed: 1)
        let result = try TableTraining.train(
            data, options: TableTrainingOptions(pipeline: TablePipeline(learner: learner)), context: context(device))
        let pipeline = result.model.pipeline
        let network = try #require(pipeline.predictor as? NetworkPredictor)
        let features = try pipeline.recipe.apply(data.table).selecting(rows: Array(0..<15))
        let found = try #require(try network.contributions(of: features, output: 1, context: context(device)))
        let predictions = try network.predict(features, context: context(device))
        let columns = features.columns.count
        #expect(found.values.count == 15 * columns && columns == 3)
        for row in 0..<15 {
            let own = found.values[row * columns..<(row + 1) * columns]
            let p = Double(predictions[row, 1])
            let difference = log(p / (1 - p)) - found.base
            #expect(abs(own.reduce(0, +) - difference) <= 1e-3 * max(abs(difference), 0.05), "row \(row): \(own)")
            #expect(own.allSatisfy { abs($0) > 1e-7 })
        }
        // Where only a level changes, so do the parts of its column most of all.
        let base = try network.contributions(
            of: Features(
                columns: features.columns,
                values: .dense(HostMatrix(rows: 1, columns: columns, elements: [.nan, .nan, 0]))), output: 1,
            context: context(device))
        #expect(abs(base?.values.prefix(2).reduce(0, +) ?? 1) < 1e-6)
    }

    @Test func linearModelsDoNot() throws {
        #expect(try area(LogisticRegression(), "cpu") < 0.75)
    }

    @Test("cross levels in the linear part")
    func crosses() throws {
        var learner = WideDeepLearner()
        learner.hidden = []
        learner.embedding = 1
        learner.learningRate = 0.03
        learner.epochs = 12
        let without = try area(learner, "cpu")
        learner.crosses = ["shop*good"]
        let with = try area(learner, "cpu")
        #expect(with > without + 0.05, "\(without), \(with)")
        learner.crosses = ["shop*age"]
        #expect(throws: ParameterError.self) { try area(learner, "cpu") }
        learner.crosses = ["shop"]
        #expect(throws: ParameterError.self) { try area(learner, "cpu") }
    }

    @Test("predict levels they have not seen, and are saved", arguments: [0, 16])
    func unseen(_ buckets: Int) throws {
        let folder = TemporaryFolder()
        var learner = WideDeepLearner()
        learner.hashBuckets = buckets
        learner.epochs = 3
        let data = try Self.shop(rows: 3000, seed: 1)
        let result = try TableTraining.train(
            data, options: TableTrainingOptions(pipeline: TablePipeline(learner: learner)), context: context("cpu"))
        try result.model.save(to: folder.file("model"))
        let model = try TableModel(path: folder.file("model"))
        let strange = try Table(
            [
                Column("shop", .category(codes: [0, 1, -1], levels: ["s3", "elsewhere"])),
                Column("good", .category(codes: [0, 0, 1], levels: ["g1", "new"])),
                Column("age", .number([30, 40, .nan])),
            ], rowCount: 3)
        let predictions = try model.pipeline.predict(strange, context: context("cpu"))
        for row in 0..<3 {
            #expect(predictions[row, 1] > 0 && predictions[row, 1] < 1)
            #expect(abs(predictions[row, 0] + predictions[row, 1] - 1) < 1e-5)
        }
        let again = try result.model.pipeline.predict(strange, context: context("cpu"))
        #expect(predictions.isIdentical(to: again))
    }

    private static let architecture = NetworkArchitecture(
        input: LayerShape(columns: 2),
        layers: [
            .embedding(
                tables: [EmbeddingTable(rows: 30, column: 0), EmbeddingTable(rows: 9, column: 1)], units: 4,
                arrangement: .append), .dense(units: 8, bias: true), .activation(function: .relu),
            .dense(units: 1, bias: true),
        ], identifiers: 2)

    private static func data(rows: Int) -> NetworkData {
        let random = Philox(seed: 8, stream: 3)
        return networkData(
            rows: rows, columns: 2, outputs: 1, objective: .binary,
            identifiers: IdentifierRows(
                columns: 2,
                values: (0..<2 * rows).map { Int32(random.integer(UInt64($0), below: $0 % 2 == 0 ? 30 : 9)) }))
    }

    @Test("go on after an interruption to the same bits", arguments: TestDevices.names, TableOptimizer.allCases)
    func resumes(_ device: String, _ method: TableOptimizer) throws {
        var options = NetworkTrainingOptions()
        options.epochs = 4
        options.batchSize = 64
        options.tableOptimizer = method
        try expectResumes(Self.architecture, Self.data(rows: 300), options, on: device)
    }

    @Test("allocate nothing in a step and copy only the batch", arguments: TestDevices.names)
    func counters(_ device: String) throws {
        let stream = try TestDevices.stream(device)
        var options = NetworkTrainingOptions()
        options.epochs = 3
        options.batchSize = 20
        var readings: [StreamCounters] = []
        _ = try NetworkTrainer(Self.architecture, objective: .binary, options: options, stream: stream).train(
            Self.data(rows: 200),
            progress: { report in
                if report.completed % 10 == 0 { readings.append(stream.counters) }
                return .proceed
            })
        let epoch = readings[2] - readings[1]
        #expect(epoch.allocations == 0)
        // Row numbers, targets, controls; identifiers, the rows that they touch, where these begin, and their places.
        #expect(epoch.bytesUploaded == 10 * (20 * 4 + 20 * 4 + 16 + 4 * (40 + 40 + 41 + 40)) + 8)
    }

    @Test func refusesWhatDoesNotFit() throws {
        let stream = try TestDevices.stream("cpu")
        func reason(_ architecture: NetworkArchitecture, _ data: NetworkData) -> String {
            do {
                _ = try NetworkTrainer(
                    architecture, objective: .binary, options: NetworkTrainingOptions(), stream: stream
                ).train(data)
                return ""
            } catch { return "\(error)" }
        }
        let good = Self.data(rows: 10)
        var broken = Self.architecture
        broken.layers[0] = .embedding(
            tables: [EmbeddingTable(rows: 9, column: 2)], units: 4, arrangement: .append)
        #expect(reason(broken, good).contains("layer 0 (embedding): table 0 reads the identifiers 2 to 2"))
        broken.layers[0] = .embedding(tables: [EmbeddingTable(rows: 2, column: 0)], units: 4, arrangement: .append)
        #expect(reason(broken, good).contains("past the end of its table of 2 rows"))
        #expect(
            reason(Self.architecture, NetworkData(features: good.features, targets: good.targets)).contains(
                "0 identifiers for 10 rows of a network that reads 2"))
        broken.layers = [
            .sum(branches: [[.dense(units: 2, bias: true)], [.dense(units: 1, bias: true)]])
        ]
        #expect(reason(broken, good).contains("its branches give 2 and 1"))
        broken.layers = [.interaction(units: 3)]
        #expect(reason(broken, good).contains("its input 2 is not two or more vectors of 3"))
    }
}
