import Compute
import Core
import Learners
import Testing

/// Training of dense networks: what they learn, and that stopping does not change it.
@Suite("Training of networks") struct NetworkTrainingTests {
    /// Two interleaved rings, which no straight line divides.
    static func rings(rows: Int, seed: UInt64) -> NetworkData {
        let random = Philox(seed: seed, stream: 1)
        var (features, targets): ([Float], [Float]) = ([], [])
        for row in 0..<rows {
            let isOuter = row % 2 == 1
            let x = random.normal(UInt64(4 * row)), y = random.normal(UInt64(4 * row + 1))
            let length = (x * x + y * y).squareRoot()
            let radius = (isOuter ? 2.0 : 1.0) + 0.15 * random.normal(UInt64(4 * row + 2))
            features += [Float(x / length * radius), Float(y / length * radius)]
            targets.append(isOuter ? 1 : 0)
        }
        return NetworkData(features: HostMatrix(rows: rows, columns: 2, elements: features), targets: targets)
    }

    static func accuracy(
        _ result: NetworkTrainingResult, _ architecture: NetworkArchitecture, _ data: NetworkData,
        _ stream: Compute.Stream
    ) throws -> Double {
        let outputs = try NetworkRunner(architecture, weights: result.weights, stream: stream).outputs(data.features)
        let hits = (0..<data.rows).filter { (outputs[$0, 0] > 0) == (data.targets[$0] > 0.5) }.count
        return Double(hits) / Double(data.rows)
    }

    static let perceptron = NetworkArchitecture.perceptron(inputs: 2, hidden: [16, 16], outputs: 1)

    @Test("learn what no line divides", arguments: TestDevices.names, NetworkOptimizer.allCases)
    func rings(_ device: String, _ optimizer: NetworkOptimizer) throws {
        let stream = try TestDevices.stream(device)
        var options = NetworkTrainingOptions()
        options.epochs = 30
        options.optimizer = optimizer
        options.learningRate = optimizer == .sgd ? 0.05 : optimizer == .adagrad ? 0.1 : 0.01
        let data = Self.rings(rows: 600, seed: 1)
        let result = try NetworkTrainer(Self.perceptron, objective: .binary, options: options, stream: stream)
            .train(data)
        #expect(try Self.accuracy(result, Self.perceptron, Self.rings(rows: 1000, seed: 2), stream) > 0.98)
        #expect(result.history.losses.last! < result.history.losses.first! / 3)
    }

    @Test("give the same losses on every device")
    func sameOnEveryDevice() throws {
        var options = NetworkTrainingOptions()
        options.epochs = 3
        var architecture = NetworkArchitecture.perceptron(
            inputs: 2, hidden: [16, 8], activation: .tanh, dropout: 0.2, layerNorm: true, outputs: 1)
        architecture.layers.insert(.residual(layers: [.dense(units: 2, bias: true)]), at: 0)
        options.schedule = .cosine
        options.warmUpSteps = 10
        options.clipNorm = 0.5
        options.l2 = 1e-4
        options.l1 = 1e-5
        let losses = try TestDevices.names.map { name in
            try NetworkTrainer(
                architecture, objective: .binary, options: options, stream: TestDevices.stream(name)
            ).train(Self.rings(rows: 500, seed: 1)).history.losses
        }
        for other in losses.dropFirst() {
            for (a, b) in zip(losses[0], other) { #expect(abs(a - b) < 1e-4 * abs(a)) }
        }
    }

    @Test("go on after an interruption to the same bits", arguments: TestDevices.names, [1, 3])
    func resumes(_ device: String, _ accumulate: Int) throws {
        let folder = TemporaryFolder()
        let data = Self.rings(rows: 2000, seed: 1)
        let validation = Self.rings(rows: 300, seed: 5)
        var options = NetworkTrainingOptions()
        options.epochs = 4
        options.batchSize = 8
        options.accumulate = accumulate
        options.patience = 3
        let architecture = NetworkArchitecture.perceptron(inputs: 2, hidden: [16], dropout: 0.1, outputs: 1)
        func trainer() throws -> NetworkTrainer {
            try NetworkTrainer(architecture, objective: .binary, options: options, stream: TestDevices.stream(device))
        }
        let whole = try trainer().train(data, validation: validation)
        // Stopped wherever the first question after the second epoch comes.
        var stops = 0
        var checkpoint: NetworkCheckpoint?
        do {
            _ = try trainer().train(
                data, validation: validation,
                progress: { report in
                    if report.completed > 300 { stops += 1 }
                    return report.completed > 300 ? .stop : .proceed
                })
        } catch let interruption as InterruptedNetworkTraining {
            try interruption.checkpoint.save(to: folder.file("checkpoint"))
            checkpoint = try NetworkCheckpoint(path: folder.file("checkpoint"))
        }
        #expect(stops == 1)
        let resumed = try trainer().train(data, validation: validation, resuming: try #require(checkpoint))
        #expect(resumed.history.losses == whole.history.losses)
        #expect(resumed.history.validationLosses == whole.history.validationLosses)
        for (a, b) in zip(whole.weights.values, resumed.weights.values) {
            #expect(a.array.map(\.bitPattern) == b.array.map(\.bitPattern))
        }
    }

    @Test(
        "batches whose gradients make one step are one large batch", arguments: TestDevices.names,
        TableOptimizer.allCases)
    func accumulates(_ device: String, _ tables: TableOptimizer) throws {
        let random = Philox(seed: 8, stream: 1)
        let identifiers = IdentifierRows(
            columns: 3, values: (0..<96 * 3).map { Int32(random.integer(UInt64($0), below: 10)) - 1 })
        let data = networkData(
            rows: 96, columns: 2, outputs: 1, objective: .binary, weighted: false, identifiers: identifiers)
        let architecture = NetworkArchitecture(
            input: LayerShape(columns: 2),
            layers: [
                .embedding(
                    tables: [
                        EmbeddingTable(rows: 9, column: 0, count: 2, averages: true),
                        EmbeddingTable(rows: 9, column: 2),
                    ], units: 4, arrangement: .append),
                .dense(units: 6, bias: true), .activation(function: .tanh), .dense(units: 1, bias: true),
            ], identifiers: 3)
        func weights(_ batch: Int, _ accumulate: Int) throws -> NetworkWeights {
            var options = NetworkTrainingOptions()
            (options.epochs, options.batchSize, options.accumulate) = (3, batch, accumulate)
            options.tableOptimizer = tables
            return try NetworkTrainer(
                architecture, objective: .binary, options: options, stream: TestDevices.stream(device)
            ).train(data).weights
        }
        let (large, small) = (try weights(32, 1), try weights(8, 4))
        let start = NetworkWeights(try architecture.resolved().parameters, seed: NetworkTrainingOptions().seed)
        for (index, description) in large.descriptions.enumerated() {
            let (a, b) = (large.values[index].array, small.values[index].array)
            let scale = zip(a, start.values[index].array).map { abs($0 - $1) }.max()!
            #expect(scale > 1e-4, "\(description.name) has not moved")
            for (x, y) in zip(a, b) { #expect(abs(x - y) < 1e-3 * scale, "\(description.name): \(x), \(y)") }
        }
    }

    @Test func refusesTheCheckpointOfSomethingElse() throws {
        let stream = try TestDevices.stream("cpu")
        var options = NetworkTrainingOptions()
        options.epochs = 2
        let data = Self.rings(rows: 100, seed: 1)
        var saved: NetworkCheckpoint?
        _ = try NetworkTrainer(Self.perceptron, objective: .binary, options: options, stream: stream)
            .train(data, saving: { make in saved = try make() })
        let checkpoint = try #require(saved)
        let other = NetworkArchitecture.perceptron(inputs: 2, hidden: [8], outputs: 1)
        func reason(
            _ architecture: NetworkArchitecture, _ options: NetworkTrainingOptions, _ data: NetworkData
        ) -> String {
            do {
                _ = try NetworkTrainer(architecture, objective: .binary, options: options, stream: stream)
                    .train(data, resuming: checkpoint)
                return ""
            } catch { return "\(error)" }
        }
        #expect(reason(other, options, data).contains("another architecture"))
        var changed = options
        changed.learningRate = 0.5
        #expect(reason(Self.perceptron, changed, data).contains("other options"))
        #expect(reason(Self.perceptron, options, Self.rings(rows: 100, seed: 2)).contains("other data"))
        options.epochs = 3
        #expect(reason(Self.perceptron, options, data) == "")
    }

    @Test("stop early and keep the best", arguments: TestDevices.names)
    func stopsEarly(_ device: String) throws {
        let stream = try TestDevices.stream(device)
        var options = NetworkTrainingOptions()
        options.epochs = 200
        options.learningRate = 0.02
        options.patience = 5
        // Targets without a rule: what is learned from few rows is worse for others.
        let data = networkData(rows: 60, columns: 5, outputs: 1, objective: .binary, seed: 1)
        let validation = networkData(rows: 200, columns: 5, outputs: 1, objective: .binary, seed: 2)
        let architecture = NetworkArchitecture.perceptron(inputs: 5, hidden: [32], outputs: 1)
        let result = try NetworkTrainer(architecture, objective: .binary, options: options, stream: stream)
            .train(data, validation: validation)
        let history = result.history
        #expect(history.stoppedEarly && history.epochs < 200)
        let best = try #require(history.best)
        #expect(history.epochs == best + 1 + 5)
        // The weights handed out are those of the best epoch.
        let trainer = try NetworkTrainer(
            architecture, objective: .binary, options: options, weights: result.weights, stream: stream)
        #expect(abs(try trainer.gradients(validation).loss - history.validationLosses[best]) < 1e-5)
    }

    @Test("say that they diverged", arguments: TestDevices.names)
    func diverges(_ device: String) throws {
        var options = NetworkTrainingOptions()
        options.optimizer = .sgd
        options.learningRate = 1e18
        let trainer = try NetworkTrainer(
            Self.perceptron, objective: .squared, options: options, stream: TestDevices.stream(device))
        #expect(throws: DivergedNetworkTraining.self) { try trainer.train(Self.rings(rows: 200, seed: 1)) }
    }

    @Test("allocate nothing in a step and copy only the batch", arguments: TestDevices.names, [false, true])
    func counters(_ device: String, _ dropout: Bool) throws {
        let stream = try TestDevices.stream(device)
        var options = NetworkTrainingOptions()
        options.epochs = 3
        options.batchSize = 20
        let architecture = NetworkArchitecture.perceptron(
            inputs: 2, hidden: [16], dropout: dropout ? 0.1 : 0, outputs: 1)
        var readings: [StreamCounters] = []
        _ = try NetworkTrainer(architecture, objective: .binary, options: options, stream: stream)
            .train(
                Self.rings(rows: 200, seed: 1),
                progress: { report in
                    // At the ends of epochs, not within.
                    if report.completed % 10 == 0 { readings.append(stream.counters) }
                    return .proceed
                })
        // The last two epochs: ten batches, and the state for a checkpoint.
        let epoch = readings[2] - readings[1]
        #expect(epoch.allocations == 0)
        // Row numbers, targets, controls, the number of the step; the total is set to 0 once. Where the steps are one
        // operation, the targets are there already.
        let isFused = stream.device.fusedOperations.contains(.perceptronSteps) && !dropout
        #expect(
            epoch.bytesUploaded == 10 * (20 * 4 + (isFused ? 0 : 20 * 4) + 16 + (dropout ? 4 : 0)) + 8)
        if isFused { #expect(epoch.launches == 1) }
    }

    @Test func refusesWhatCannotBeTrained() throws {
        let stream = try TestDevices.stream("cpu")
        func reason(
            _ architecture: NetworkArchitecture = Self.perceptron, _ objective: NetworkObjective = .binary,
            _ data: NetworkData = Self.rings(rows: 10, seed: 1),
            _ change: (inout NetworkTrainingOptions) -> Void = { _ in }
        ) -> String {
            var options = NetworkTrainingOptions()
            change(&options)
            do {
                _ = try NetworkTrainer(architecture, objective: objective, options: options, stream: stream).train(data)
                return ""
            } catch { return "\(error)" }
        }
        #expect(reason { $0.learningRate = 0 }.contains("learningRate: must be above 0"))
        #expect(reason { $0.epochs = 0 }.contains("epochs"))
        #expect(
            reason(.perceptron(inputs: 3, hidden: [4], outputs: 1)).contains(
                "2 columns, the first layer of the network expects 3"))
        #expect(
            reason(
                NetworkArchitecture(
                    input: LayerShape(columns: 2), layers: [.residual(layers: [.dense(units: 3, bias: true)])])
            )
            .contains("layer 0 (residual): its layers turn 2 into 3"))
        #expect(
            reason(.perceptron(inputs: 2, hidden: [0], outputs: 1)).contains("layer 0 (dense): units must be 1 or more")
        )
        let features = HostMatrix(rows: 2, columns: 2, elements: [0, 1, .nan, 2])
        #expect(
            reason(Self.perceptron, .binary, NetworkData(features: features, targets: [0, 1])).contains(
                "row 2 of the features"))
        let labels = NetworkData(features: HostMatrix(rows: 2, columns: 2), labels: [0, 4])
        #expect(
            reason(.perceptron(inputs: 2, hidden: [4], outputs: 3), .classes, labels).contains(
                "label 4 is outside of 0 to 2"))
    }
}

/// Steps in one operation against the same steps as a list of operations.
@Suite("Fused perceptrons") struct FusedPerceptronTests {
    @Test("train like the plain primitives", arguments: NetworkOptimizer.allCases, [false, true])
    func same(_ optimizer: NetworkOptimizer, _ classes: Bool) throws {
        let stream = try TestDevices.stream("cpu")
        var options = NetworkTrainingOptions()
        options.epochs = 3
        options.optimizer = optimizer
        options.l2 = 1e-3
        options.labelSmoothing = 0.05
        let architecture = NetworkArchitecture.perceptron(inputs: 9, hidden: [32, 20], outputs: classes ? 4 : 1)
        let objective: NetworkObjective = classes ? .classes : .binary
        let data = networkData(
            rows: 700, columns: 9, outputs: classes ? 4 : 1, objective: objective, weighted: true, seed: 3)
        let fused = try NetworkTrainer(architecture, objective: objective, options: options, stream: stream).train(data)
        // A limit that no gradient reaches takes the other way.
        options.clipNorm = 1e9
        let plain = try NetworkTrainer(architecture, objective: objective, options: options, stream: stream).train(data)
        for (a, b) in zip(fused.history.losses, plain.history.losses) { #expect(abs(a - b) < 1e-4 * a) }
        #expect(fused.steps == plain.steps)
        for (a, b) in zip(fused.weights.values, plain.weights.values) {
            #expect(zip(a.array, b.array).allSatisfy { abs($0 - $1) < 2e-3 * max(abs($1), 0.1) })
        }
    }
}
