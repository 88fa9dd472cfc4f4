import Compute
import Core
import Learners
import Testing

/// Batch normalization beside PyTorch's, and what it carries through files, checkpoints and 8 bits.
@Suite("Batch normalization") struct BatchNormTests {
    private static let networks: [(name: String, input: LayerShape, layers: [LayerSpecification])] = [
        (
            "columns", LayerShape(columns: 8),
            [
                .dense(units: 16, bias: true), .batchNorm(epsilon: 1e-5, momentum: 0.1), .activation(function: .relu),
                .dense(units: 12, bias: false), .batchNorm(epsilon: 1e-3, momentum: 0.3),
                .activation(function: .tanh), .dense(units: 3, bias: true),
            ]
        ),
        (
            "channels", LayerShape(height: 8, width: 7, channels: 2),
            [
                .convolution(channels: 4, height: 3, width: 3, stride: 1, padding: 1),
                .batchNorm(epsilon: 1e-5, momentum: 0.1), .activation(function: .relu),
                .pooling(averages: false, height: 2, width: 2, stride: 2),
                .convolution(channels: 5, height: 2, width: 2, stride: 1, padding: 0),
                .batchNorm(epsilon: 1e-5, momentum: 0.1), .activation(function: .silu), .globalMean,
                .dense(units: 1, bias: true),
            ]
        ),
    ]

    @Test("losses, running statistics and predictions agree with PyTorch", arguments: TestDevices.names)
    func parity(_ device: String) throws {
        let fixture = try ParityFixture("batch-norm-parity", classes: ["columns"])
        let stream = try TestDevices.stream(device)
        for network in Self.networks {
            try fixture.expectLosses(network, below: 0.97, stream: stream) { optimizer, architecture, weights in
                guard optimizer == .sgd else { return }
                try expectStatistics(fixture.file, network.name, weights)
                let outputs = try NetworkRunner(architecture, weights: weights, stream: stream)
                    .outputs(fixture.features(network))
                for (a, b) in zip(outputs.storage.array, try fixture.file.floats("\(network.name).sgd.outputs").array) {
                    #expect(abs(a - b) <= 2e-3 * max(abs(b), 0.1), "\(network.name): \(a), PyTorch \(b)")
                }
            }
        }
    }

    private func expectStatistics(_ file: SafetensorsFile, _ name: String, _ weights: NetworkWeights) throws {
        for description in weights.descriptions where description.role == .statistic {
            let own = try #require(weights[description.name])
            let key = "\(name).sgd.weights.\(description.name)"
            let wanted =
                description.shape.isEmpty
                ? [Float(try file.int64s(key, shape: [])[0])] : try file.floats(key).array
            for (a, b) in zip(own.array, wanted) {
                #expect(abs(a - b) <= 1e-3 * max(abs(b), 0.1), "\(description.name)")
            }
        }
    }

    private static let perceptron = NetworkArchitecture(
        input: LayerShape(columns: 2),
        layers: [
            .dense(units: 16, bias: true), .batchNorm(epsilon: 1e-5, momentum: 0.1), .activation(function: .relu),
            .dense(units: 1, bias: true),
        ])

    @Test("a resumed training has the same running statistics, to the bit", arguments: TestDevices.names)
    func resumes(_ device: String) throws {
        let folder = TemporaryFolder()
        // The last batch of an epoch is a single row, which leaves the statistics as they are.
        let data = NetworkTrainingTests.rings(rows: 401, seed: 1)
        var options = NetworkTrainingOptions()
        options.epochs = 4
        options.batchSize = 8
        func trainer() throws -> NetworkTrainer {
            try NetworkTrainer(
                Self.perceptron, objective: .binary, options: options, stream: TestDevices.stream(device))
        }
        let whole = try trainer().train(data)
        #expect(whole.weights["1.num_batches_tracked"]?.array == [200])
        #expect(whole.weights["1.running_var"]?.array.allSatisfy { $0 > 0 } == true)
        var checkpoint: NetworkCheckpoint?
        do {
            _ = try trainer().train(data, progress: { $0.completed > 110 ? .stop : .proceed })
        } catch let interruption as InterruptedNetworkTraining {
            try interruption.checkpoint.save(to: folder.file("checkpoint"))
            checkpoint = try NetworkCheckpoint(path: folder.file("checkpoint"))
        }
        let resumed = try trainer().train(data, resuming: try #require(checkpoint))
        #expect(resumed.history.losses == whole.history.losses)
        for (a, b) in zip(whole.weights.values, resumed.weights.values) {
            #expect(a.array.map(\.bitPattern) == b.array.map(\.bitPattern))
        }
    }

    @Test("8 bits keep the statistics as they are, and what inputs add is theirs", arguments: TestDevices.names)
    func quantizesAndExplains(_ device: String) throws {
        let stream = try TestDevices.stream(device)
        let data = NetworkTrainingTests.rings(rows: 600, seed: 1)
        var options = NetworkTrainingOptions()
        options.epochs = 10
        let weights = try NetworkTrainer(
            Self.perceptron, objective: .binary, options: options, stream: stream
        ).train(data).weights
        let outputs = try NetworkRunner(Self.perceptron, weights: weights, stream: stream).outputs(data.features)
        // A row's prediction does not depend on its batch.
        let alone = try NetworkRunner(Self.perceptron, weights: weights, stream: stream)
            .outputs(HostMatrix(rows: 1, columns: 2, elements: Array(data.features.row(7))))
        #expect(abs(alone[0, 0] - outputs[7, 0]) < 1e-5)
        let quantized = try NetworkQuantizer.quantize(
            Self.perceptron, weights: weights, features: data.features, stream: stream)
        #expect(quantized.tensors.keys.sorted() == ["0.weight", "3.weight"])
        let small = try NetworkRunner(Self.perceptron, weights: weights, quantized: quantized, stream: stream)
            .outputs(data.features)
        let scale = outputs.storage.array.map(abs).max()!
        for row in 0..<600 { #expect(abs(small[row, 0] - outputs[row, 0]) < 0.05 * scale) }
        let rows = HostMatrix(rows: 3, columns: 2, elements: (0..<3).flatMap { Array(data.features.row($0)) })
        let found = try IntegratedGradients(Self.perceptron, weights: weights, stream: stream)
            .contributions(rows, from: .init(numbers: [0, 0]), output: 0)
        for row in 0..<3 {
            let difference = Double(outputs[row, 0]) - found.base
            #expect(
                abs(found.numbers[2 * row] + found.numbers[2 * row + 1] - difference) <= 1e-3
                    * max(abs(difference), 1e-2))
        }
    }

    @Test func refusesBatchesOfOneRow() throws {
        var options = NetworkTrainingOptions()
        options.batchSize = 1
        do {
            _ = try NetworkTrainer(
                Self.perceptron, objective: .binary, options: options, stream: TestDevices.stream("cpu"))
            Issue.record("a batch of one row was taken")
        } catch { #expect("\(error)".contains("layer 1 (batch-norm) needs batches of 2 rows"), "\(error)") }
        for layer in [LayerSpecification.batchNorm(epsilon: 0, momentum: 0.1), .batchNorm(epsilon: 1, momentum: 0)] {
            let architecture = NetworkArchitecture(input: LayerShape(columns: 2), layers: [layer])
            #expect(throws: ParameterError.self) { _ = try architecture.resolved() }
        }
    }
}
