import Compute
import Core
import Devices
import Learners
import Tables
import Testing

/// Trainings on more rows than memory holds: from parts, and from a file.
@Suite("Networks on rows in parts") struct StreamedTrainingTests {
    private static let architecture = NetworkArchitecture.perceptron(inputs: 2, hidden: [16, 16], outputs: 1)

    private func spilled(_ data: NetworkData, parts: Int) throws -> SpilledNetworkData {
        let folder = TemporaryFolder()
        let writer = try SpillWriter(folder: folder.path, parts: parts, seed: 3)
        try writer.append(data)
        return try writer.finish()
    }

    @Test("give the bits of rows in memory when there is one part", arguments: TestDevices.names)
    func onePart(_ device: String) throws {
        let data = NetworkTrainingTests.rings(rows: 333, seed: 4)
        let weighted = NetworkData(
            features: data.features, targets: data.targets, weights: (0..<333).map { Float($0 % 3) + 0.5 })
        for data in [data, weighted] {
            let parts = try spilled(data, parts: 1)
            #expect(parts.partRows == [333])
            var options = NetworkTrainingOptions()
            options.epochs = 3
            let stream = try TestDevices.stream(device)
            let trainer = try NetworkTrainer(Self.architecture, objective: .binary, options: options, stream: stream)
            let (whole, streamed) = (try trainer.train(data), try trainer.train(parts: parts))
            #expect(whole.history.losses == streamed.history.losses)
            for (a, b) in zip(whole.weights.values, streamed.weights.values) {
                #expect(a.array.map(\.bitPattern) == b.array.map(\.bitPattern))
            }
        }
    }

    /// The most memory that the features of `data` may take is less than they need.
    @Test(
        "a device that does not hold all rows has them in parts",
        arguments: TestDevices.names.filter { $0.hasPrefix("opencl") })
    func smallDevice(_ device: String) throws {
        let rows = 40_000
        let random = Philox(seed: 6, stream: 1)
        let data = NetworkData(
            features: HostMatrix(
                rows: rows, columns: 32, elements: (0..<rows * 32).map { 2 * random.uniform(UInt64($0)) - 1 }),
            targets: (0..<rows).map { random.uniform(UInt64($0 * 32)) > 0.5 ? 1 : 0 })
        let architecture = NetworkArchitecture.perceptron(inputs: 32, hidden: [8], outputs: 1)
        var options = NetworkTrainingOptions()
        (options.epochs, options.batchSize, options.learningRate) = (3, 256, 0.01)
        func train(_ limit: Int?) throws -> NetworkTrainingResult {
            let stream = try Devices.open(
                "opencl", options: DeviceOptions(memoryLimitBytes: limit, copiesHostMemory: true)
            ).device.makeStream()
            return try NetworkTrainer(architecture, objective: .binary, options: options, stream: stream)
                .train(data, validation: data)
        }
        let whole = try train(nil)
        let divided = try train(8 << 20)
        #expect(whole.steps == 3 * 157 && divided.steps > whole.steps)
        for (a, b) in zip(whole.history.validationLosses, divided.history.validationLosses) {
            #expect(abs(a - b) < 0.05 && b < 0.4)
        }
    }

    @Test func everyRowIsInOnePart() throws {
        let rows = 1000
        let data = NetworkData(
            features: HostMatrix(rows: rows, columns: 1, elements: (0..<rows).map(Float.init)),
            identifiers: IdentifierRows(columns: 2, values: (0..<2 * Int32(rows)).map { $0 }),
            labels: (0..<Int32(rows)).map { $0 % 7 }, weights: (0..<rows).map { Float($0) })
        let parts = try spilled(data, parts: 6)
        #expect(parts.partRows.count == 6 && parts.partRows.reduce(0, +) == rows)
        #expect(parts.partRows.allSatisfy { $0 > 100 && $0 < 230 })
        var seen: [Int] = []
        for index in 0..<6 {
            let part = try parts.part(index)
            for row in 0..<part.rows {
                let number = Int(part.features[row, 0])
                seen.append(number)
                #expect(part.identifiers?.values[2 * row] == Int32(2 * number))
                #expect(part.labels[row] == Int32(number % 7) && part.weights?[row] == Float(number))
            }
        }
        #expect(seen.sorted() == Array(0..<rows))
        #expect(parts.totalWeight == Double(rows * (rows - 1) / 2))
    }

    @Test("learn, stop and go on to the same bits", arguments: TestDevices.names, [0, 0.1])
    func resume(_ device: String, _ dropout: Float) throws {
        let parts = try spilled(NetworkTrainingTests.rings(rows: 2000, seed: 1), parts: 4)
        var options = NetworkTrainingOptions()
        options.epochs = 12
        options.learningRate = 0.01
        let architecture = NetworkArchitecture.perceptron(
            inputs: 2, hidden: [16, 16], dropout: dropout, outputs: 1)
        func trainer() throws -> NetworkTrainer {
            try NetworkTrainer(architecture, objective: .binary, options: options, stream: TestDevices.stream(device))
        }
        let whole = try trainer().train(parts: parts)
        let other = NetworkTrainingTests.rings(rows: 1000, seed: 2)
        let stream = try TestDevices.stream(device)
        #expect(try NetworkTrainingTests.accuracy(whole, architecture, other, stream) > 0.97)
        // A step for each batch of each part.
        #expect(whole.steps == 12 * parts.partRows.reduce(0) { $0 + ($1 + 31) / 32 })
        var checkpoint: NetworkCheckpoint?
        do {
            _ = try trainer().train(parts: parts, progress: { $0.completed > 90 ? .stop : .proceed })
        } catch let interruption as InterruptedNetworkTraining {
            checkpoint = interruption.checkpoint
        }
        let resumed = try trainer().train(parts: parts, resuming: try #require(checkpoint))
        #expect(resumed.history.losses == whole.history.losses)
        for (a, b) in zip(whole.weights.values, resumed.weights.values) {
            #expect(a.array.map(\.bitPattern) == b.array.map(\.bitPattern))
        }
    }

    /// Rows whose target follows a rule of a number and a category, read a few at a time.
    private struct Source {
        var rows = 6000
        var rare: Int?

        func table(_ range: Range<Int>) throws -> Table {
            let random = Philox(seed: 5, stream: 9)
            var (ages, plans, targets): ([Double], [String?], [String?]) = ([], [], [])
            for row in range {
                let age = random.uniform64(UInt64(3 * row)) * 60 + 20
                let plan = random.integer(UInt64(3 * row + 1), below: 3)
                ages.append(age)
                plans.append(["basic", "plus", "gold"][plan])
                let leaves = (age < 40) == (plan == 0) && random.uniform64(UInt64(3 * row + 2)) < 0.95
                targets.append(row == rare ? "maybe" : leaves ? "yes" : "no")
            }
            return try Table([
                Column("age", .number(ages)), Column("plan", categories: plans), Column("leaves", categories: targets),
            ])
        }

        func read(_ body: (Table) throws -> Void) throws {
            for start in stride(from: 0, to: rows, by: 700) { try body(try table(start..<min(start + 700, rows))) }
        }
    }

    private func train(
        _ source: Source, _ learner: any SupervisedLearner, sampleRows: Int = 2000, partBytes: Int = 1 << 14,
        roles: TableRoles = TableRoles(target: "leaves", positive: "yes")
    ) throws -> TableTrainingResult {
        let folder = TemporaryFolder()
        let table = try StreamedTable(
            roles: roles, kinds: type(of: learner).tasks, testShare: 0.25, seed: 1, partBytes: partBytes,
            folder: folder.path, read: source.read)
        var options = TableTrainingOptions(pipeline: TablePipeline(learner: learner, seed: 1))
        options.testShare = 0.25
        let result = try TableTraining.train(
            streaming: table, sampleRows: sampleRows, options: options, context: cpuContext())
        #expect(folder.names.isEmpty, "the encoded rows have no name")
        return result
    }

    @Test func aFileInPartsTeachesWhatItsRowsInMemoryTeach() throws {
        var net = NetworkLearner()
        net.hidden = [16, 16]
        net.learningRate = 0.01
        net.validation = 0.1
        net.epochs = 20
        var wide = WideDeepLearner()
        wide.epochs = 20
        wide.learningRate = 0.01
        for learner in [net, wide] as [any SupervisedLearner] {
            let result = try train(Source(), learner)
            var options = TableTrainingOptions(pipeline: TablePipeline(learner: learner, seed: 1))
            options.testShare = 0.25
            let whole = try TableTraining.train(
                SupervisedTable(
                    try Source().table(0..<6000), roles: TableRoles(target: "leaves", positive: "yes"),
                    kinds: type(of: learner).tasks), options: options, context: cpuContext())
            func area(_ result: TableTrainingResult) -> Double {
                result.evaluation?.metrics.first { $0.name == "roc_auc" }?.value.value ?? 0
            }
            #expect(area(result) > 0.95 && abs(area(result) - area(whole)) < 0.02)
            #expect(result.model.provenance.rows == 6000)
            #expect(abs(Double(result.trainedRows) - 4500) < 120)
            #expect((result.evaluation?.rows ?? 0) > 200 && (result.evaluation?.rows ?? 0) < 500)
            let predictor = try #require(result.model.pipeline.predictor as? NetworkPredictor)
            #expect(predictor.settings.history.validationLosses.count == 20)
            #expect(predictor.settings.history.validationLosses.last! < 0.3)
        }
    }

    @Test func refusesWhatPartsCantDo() throws {
        func reason(_ body: () throws -> Void) -> String {
            do {
                try body()
                return ""
            } catch { return "\(error)" }
        }
        var net = NetworkLearner()
        net.epochs = 1
        #expect(reason { _ = try train(Source(), LogisticRegression()) }.contains("only networks"))
        let timed = TableRoles(target: "leaves", positive: "yes", time: "age")
        #expect(reason { _ = try train(Source(), net, roles: timed) }.contains("held out at random"))
        // A class that the sample has not: not found out before the row comes.
        var multi = net
        multi.epochs = 1
        let classes = TableRoles(target: "leaves")
        #expect(reason { _ = try train(Source(rare: 5000), multi, sampleRows: 100, roles: classes) }.contains("maybe"))
        #expect(
            reason {
                _ = try SpillWriter(folder: "/nowhere", parts: 1, seed: 1)
            }.contains("create a file for the encoded rows"))
    }
}
