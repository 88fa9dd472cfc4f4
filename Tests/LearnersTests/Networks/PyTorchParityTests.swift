import Compute
import Core
import Learners
import Testing

/// Same weights and batches as PyTorch, same losses: Fixtures/pytorch-parity.py has made the file.
@Suite("Parity with PyTorch") struct PyTorchParityTests {
    private static let networks: [(name: String, objective: NetworkObjective, layers: [LayerSpecification])] = [
        (
            "binary", .binary,
            [.dense(units: 16, bias: true), .activation(function: .relu), .dense(units: 1, bias: true)]
        ),
        (
            "classes", .classes,
            [
                .dense(units: 12, bias: true), .activation(function: .gelu), .dense(units: 12, bias: true),
                .activation(function: .silu), .dense(units: 4, bias: true),
            ]
        ),
        (
            "residual", .squared,
            [
                .layerNorm(epsilon: 1e-5),
                .residual(layers: [
                    .dense(units: 16, bias: true), .activation(function: .gelu), .layerNorm(epsilon: 1e-5),
                    .dense(units: 8, bias: true), .activation(function: .tanh),
                ]),
                .dense(units: 2, bias: true),
            ]
        ),
        (
            "sigmoid", .huber(delta: 0.7),
            [
                .dense(units: 10, bias: true), .activation(function: .sigmoid), .dense(units: 6, bias: true),
                .activation(function: .tanh), .dense(units: 1, bias: true),
            ]
        ),
        (
            "softmax", .squared,
            [.dense(units: 10, bias: true), .activation(function: .softmax), .dense(units: 2, bias: true)]
        ),
    ]

    @Test("losses agree to 1e-4", arguments: TestDevices.names, NetworkOptimizer.allCases)
    func losses(_ device: String, _ optimizer: NetworkOptimizer) throws {
        let here = String(#filePath.dropLast("Networks/PyTorchParityTests.swift".count))
        let file = try SafetensorsFile(path: here + "Fixtures/pytorch-parity.safetensors")
        func floats(_ name: String) throws -> [Float] {
            try file.floats(name).array
        }
        let stream = try TestDevices.stream(device)
        for (name, objective, layers) in Self.networks {
            let expected = try file.doubles("\(name).\(optimizer.rawValue).losses").array
            let architecture = NetworkArchitecture(input: LayerShape(columns: 8), layers: layers)
            let parameters = try architecture.resolved().parameters
            let weights = NetworkWeights(
                parameters, values: try parameters.map { HostBuffer(try floats("\(name).weights.\($0.name)")) })
            var options = NetworkTrainingOptions()
            options.optimizer = optimizer
            options.epochs = expected.count
            options.batchSize = 48
            options.labelSmoothing = objective == .classes ? 0.1 : 0
            switch optimizer {
            case .sgd: options.learningRate = 0.02
            case .adam:
                options.learningRate = 0.01
                options.l2 = 0.001
            case .adamw:
                options.learningRate = 0.01
                options.weightDecay = 0.1
            case .adagrad: options.learningRate = 0.05
            }
            let features = HostMatrix(rows: 48, columns: 8, elements: try floats("\(name).features"))
            let data =
                objective == .classes
                ? NetworkData(features: features, labels: try file.int32s("\(name).labels").array)
                : NetworkData(features: features, targets: try floats("\(name).targets"))
            let result = try NetworkTrainer(
                architecture, objective: objective, options: options, weights: weights, stream: stream
            ).train(data)
            for (step, (actual, wanted)) in zip(result.history.losses, expected).enumerated() {
                guard abs(actual - wanted) > 1e-4 * abs(wanted) else { continue }
                Issue.record("\(name), \(optimizer): step \(step) has loss \(actual), PyTorch \(wanted)")
                break
            }
            // It would be no test if nothing were learned.
            #expect(expected.last! < 0.97 * expected.first!)
        }
    }

    // MARK: Tables of vectors

    private static let tables = [7, 4, 11].enumerated().map { EmbeddingTable(rows: $1, column: $0) }
    private static let embeddings: [(name: String, layers: [LayerSpecification])] = [
        (
            "wide-deep",
            [
                .sum(branches: [
                    [
                        .embedding(tables: tables, units: 6, arrangement: .append), .dense(units: 10, bias: true),
                        .activation(function: .relu), .dense(units: 1, bias: true),
                    ], [.dense(units: 1, bias: false)], [.embedding(tables: tables, units: 1, arrangement: .sum)],
                ])
            ]
        ),
        (
            "dlrm",
            [
                .concatenation(branches: [
                    [.dense(units: 6, bias: true), .activation(function: .relu)],
                    [.embedding(tables: tables, units: 6, arrangement: .replace)],
                ]), .interaction(units: 6), .dense(units: 8, bias: true), .activation(function: .relu),
                .dense(units: 1, bias: true),
            ]
        ),
        (
            "bags",
            [
                .embedding(
                    tables: [
                        EmbeddingTable(rows: 9, column: 0, count: 3, averages: true),
                        EmbeddingTable(rows: 4, column: 3),
                    ], units: 6, arrangement: .replace), .dense(units: 8, bias: true), .activation(function: .tanh),
                .dense(units: 1, bias: true),
            ]
        ),
    ]

    @Test("losses of networks with tables agree to 1e-4", arguments: TestDevices.names)
    func tables(_ device: String) throws {
        let here = String(#filePath.dropLast("Networks/PyTorchParityTests.swift".count))
        let file = try SafetensorsFile(path: here + "Fixtures/embedding-parity.safetensors")
        let stream = try TestDevices.stream(device)
        for (name, layers) in Self.embeddings {
            let ids = try file.int32s("\(name).identifiers").array
            let architecture = NetworkArchitecture(
                input: LayerShape(columns: 5), layers: layers, identifiers: ids.count / 48)
            let parameters = try architecture.resolved().parameters
            let weights = NetworkWeights(
                parameters, values: try parameters.map { try file.floats("\(name).weights.\($0.name)") })
            let data = NetworkData(
                features: HostMatrix(rows: 48, columns: 5, elements: try file.floats("\(name).features").array),
                identifiers: IdentifierRows(columns: ids.count / 48, values: ids),
                targets: try file.floats("\(name).targets").array)
            for method in ["sgd", "adam", "adagrad", "row-wise"] {
                let expected = try file.doubles("\(name).\(method).losses").array
                var options = NetworkTrainingOptions()
                options.optimizer = method == "sgd" ? .sgd : method == "adam" ? .adam : .adagrad
                options.tableOptimizer = method == "row-wise" ? .rowWiseAdagrad : nil
                options.learningRate = method == "adam" ? 0.01 : 0.05
                options.epochs = expected.count
                options.batchSize = 48
                let result = try NetworkTrainer(
                    architecture, objective: .binary, options: options, weights: weights, stream: stream
                ).train(data)
                for (step, (actual, wanted)) in zip(result.history.losses, expected).enumerated() {
                    guard abs(actual - wanted) > 1e-4 * abs(wanted) else { continue }
                    Issue.record("\(name), \(method): step \(step) has loss \(actual), PyTorch \(wanted)")
                    break
                }
                #expect(expected.last! < 0.99 * expected.first!, "\(name), \(method)")
            }
        }
    }

    // MARK: Pictures

    private static let pictures: [(name: String, input: LayerShape, layers: [LayerSpecification])] = [
        (
            "pictures", LayerShape(height: 8, width: 7, channels: 2),
            [
                .convolution(channels: 4, height: 3, width: 3, stride: 1, padding: 1), .activation(function: .relu),
                .pooling(averages: false, height: 2, width: 2, stride: 2),
                .convolution(channels: 5, height: 2, width: 3, stride: 1, padding: 0), .activation(function: .gelu),
                .flatten, .dense(units: 3, bias: true),
            ]
        ),
        (
            "means", LayerShape(height: 9, width: 9, channels: 1),
            [
                .convolution(channels: 4, height: 5, width: 5, stride: 2, padding: 2), .activation(function: .tanh),
                .pooling(averages: true, height: 2, width: 2, stride: 1), .globalMean, .dense(units: 1, bias: true),
            ]
        ),
        (
            "sequences", LayerShape(rows: 12, columns: 3),
            [
                .convolution(channels: 4, height: 1, width: 3, stride: 1, padding: 1), .activation(function: .silu),
                .pooling(averages: false, height: 1, width: 3, stride: 3), .flatten, .dense(units: 1, bias: true),
            ]
        ),
    ]

    @Test("losses over pictures agree to 1e-4", arguments: TestDevices.names)
    func pictures(_ device: String) throws {
        let fixture = try ParityFixture("image-parity", classes: ["pictures"])
        let stream = try TestDevices.stream(device)
        for network in Self.pictures { try fixture.expectLosses(network, below: 0.99, stream: stream) }
    }
}

/// Networks of one batch of 24 examples that Fixtures/parity.py trained; those in `classes` tell classes apart.
struct ParityFixture {
    typealias Network = (name: String, input: LayerShape, layers: [LayerSpecification])

    let file: SafetensorsFile
    private let path: String
    private let classes: Set<String>

    init(_ name: String, classes: Set<String>) throws {
        path = String(#filePath.dropLast("Networks/PyTorchParityTests.swift".count)) + "Fixtures/\(name).safetensors"
        file = try SafetensorsFile(path: path)
        self.classes = classes
    }

    func features(_ network: Network) throws -> HostMatrix {
        HostMatrix(
            rows: 24, columns: network.input.rows * network.input.columns,
            elements: try file.floats("\(network.name).features").array)
    }

    /// Trains from the fixture's weights, by SGD and by Adam: every loss within 1e-4 of PyTorch's, whose last one is
    /// below a share of its first, so that something was learned. `then` looks at what came out.
    func expectLosses(
        _ network: Network, below share: Double, stream: Compute.Stream,
        then: (NetworkOptimizer, NetworkArchitecture, NetworkWeights) throws -> Void = { _, _, _ in }
    ) throws {
        let name = network.name
        let architecture = NetworkArchitecture(input: network.input, layers: network.layers)
        let weights = try NetworkWeights(
            stateDict: path, architecture.resolved().parameters, prefix: "\(name).weights.")
        let features = try features(network)
        let hasClasses = classes.contains(name)
        let data =
            hasClasses
            ? NetworkData(features: features, labels: try file.int32s("\(name).labels").array)
            : NetworkData(features: features, targets: try file.floats("\(name).targets").array)
        for optimizer in [NetworkOptimizer.sgd, .adam] {
            let expected = try file.doubles("\(name).\(optimizer.rawValue).losses").array
            var options = NetworkTrainingOptions()
            options.optimizer = optimizer
            options.learningRate = optimizer == .sgd ? 0.02 : 0.01
            options.epochs = expected.count
            options.batchSize = 24
            let result = try NetworkTrainer(
                architecture, objective: hasClasses ? .classes : .binary, options: options, weights: weights,
                stream: stream
            ).train(data)
            for (step, (actual, wanted)) in zip(result.history.losses, expected).enumerated() {
                guard abs(actual - wanted) > 1e-4 * abs(wanted) else { continue }
                Issue.record("\(name), \(optimizer): step \(step) has loss \(actual), PyTorch \(wanted)")
                break
            }
            #expect(result.history.losses.count == expected.count)
            #expect(expected.last! < share * expected.first!, "\(name), \(optimizer)")
            try then(optimizer, architecture, result.weights)
        }
    }
}
