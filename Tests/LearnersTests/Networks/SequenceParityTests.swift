import Compute
import Core
import Learners
import Testing

/// Same weights and batches as PyTorch, same losses: Fixtures/pytorch-sequences.py has made the file.
@Suite("Parity of sequence layers with PyTorch") struct SequenceParityTests {
    private static let nets: [(name: String, layers: [SequenceLayer])] = [
        ("attention", [.attention(heads: 2, causal: false)]),
        (
            "transformer",
            [
                .transformer(TransformerBlock(heads: 2, hidden: 16, activation: .gelu, normFirst: true, causal: true)),
                .transformer(
                    TransformerBlock(heads: 4, hidden: 12, activation: .relu, normFirst: false, causal: false)),
            ]
        ),
        ("simple", [.recurrent(cell: .simple, units: 10)]),
        ("gru", [.recurrent(cell: .gru, units: 10), .recurrent(cell: .gru, units: 6)]),
        ("lstm", [.recurrent(cell: .lstm, units: 10)]),
    ]

    static func file() throws -> SafetensorsFile {
        let here = String(#filePath.dropLast("Networks/SequenceParityTests.swift".count))
        return try SafetensorsFile(path: here + "Fixtures/pytorch-sequences.safetensors")
    }

    static func compare(_ actual: [Double], _ expected: [Double], _ name: String) {
        for (step, (own, wanted)) in zip(actual, expected).enumerated() where abs(own - wanted) > 1e-4 * abs(wanted) {
            Issue.record("\(name): step \(step) has loss \(own), PyTorch \(wanted)")
            break
        }
        #expect(actual.count == expected.count && expected.last! < 0.97 * expected.first!)
    }

    @Test("losses of layers agree to 1e-4", arguments: TestDevices.names, [NetworkOptimizer.sgd, .adam])
    func layers(_ device: String, _ optimizer: NetworkOptimizer) throws {
        let file = try Self.file()
        let stream = try TestDevices.stream(device)
        for (name, layers) in Self.nets {
            let expected = try file.doubles("\(name).\(optimizer.rawValue).losses").array
            let architecture = NetworkArchitecture(
                input: LayerShape(rows: 7, columns: 8),
                layers: layers.map { LayerSpecification.sequence($0) } + [.dense(units: 1, bias: true)])
            let parameters = try architecture.resolved().parameters
            let weights = NetworkWeights(
                parameters, values: try parameters.map { try file.floats("\(name).weights.\($0.name)") })
            var options = NetworkTrainingOptions()
            options.optimizer = optimizer
            options.epochs = expected.count
            options.batchSize = 24
            options.learningRate = optimizer == .sgd ? 0.002 : 0.005
            let data = NetworkData(
                features: HostMatrix(rows: 24, columns: 56, elements: try file.floats("features").array),
                targets: try file.floats("targets").array)
            let result = try NetworkTrainer(
                architecture, objective: .squared, options: options, weights: weights, stream: stream
            ).train(data)
            Self.compare(result.history.losses, expected, "\(name), \(optimizer)")
        }
    }

    @Test("losses of models agree to 1e-4", arguments: TestDevices.names, SequenceArchitecture.allCases)
    func models(_ device: String, _ architecture: SequenceArchitecture) throws {
        let file = try Self.file()
        var options = SequenceOptions(architecture)
        options.factors = 8
        options.length = 6
        options.heads = 2
        options.hidden = 12
        options.dropout = 0
        options.batchSize = 21
        options.learningRate = 0.01
        let expected = try file.doubles("\(architecture.rawValue).losses").array
        options.epochs = expected.count
        let items = 30
        let lengths = try file.int32s("sequences.lengths").array
        let all = try file.int32s("sequences.items").array
        var rows: [[Int32]] = []
        var place = 0
        for length in lengths {
            rows.append(Array(all[place..<place + Int(length)]))
            place += Int(length)
        }
        let parameters = try options.parameters(items: items)
        let weights = NetworkWeights(
            parameters, values: try parameters.map { try file.floats("\(architecture.rawValue).weights.\($0.name)") })
        let result = try SequenceModel.train(
            sequences(rows, items: items), options: options, weights: weights, stream: TestDevices.stream(device))
        Self.compare(result.history.losses, expected, "\(architecture)")
    }
}

/// People × items, whose times say the order.
func sequences(_ rows: [[Int32]], items: Int) -> HostSparseMatrix {
    var matrix = HostSparseMatrix(
        rows: rows.count, columns: items,
        entries: rows.enumerated().flatMap { row, own in own.map { (row: row, column: Int($0), value: 1) } })
    matrix.times = HostBuffer(
        (0..<rows.count).flatMap { row in
            matrix.range(ofRow: row).map { Int64(rows[row].firstIndex(of: matrix.columnIndices[$0])!) }
        })
    return matrix
}
