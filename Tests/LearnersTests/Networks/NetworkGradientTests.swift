import Compute
import Core
import Learners
import Testing

/// Gradients against central differences of a double-precision reference: relative error at most 1e-3.
@Suite("Gradients of networks") struct NetworkGradientTests {
    struct Net: Sendable, CustomStringConvertible {
        let description: String
        let input: LayerShape
        let layers: [LayerSpecification]
        let objective: NetworkObjective
        var smoothing: Float = 0
        var weighted = false
        /// Largest identifier of each column; below 0 is drawn too.
        var identifiers: [Int] = []

        var retrieves: Bool { if case .retrieval = objective { true } else { false } }
    }

    static let nets: [Net] =
        ActivationName.allCases.map { name in
            Net(
                description: "dense, \(name.rawValue)", input: LayerShape(columns: 7),
                layers: [
                    .dense(units: 9, bias: true), .activation(function: name), .dense(units: 5, bias: false),
                    .activation(function: name), .dense(units: 1, bias: true),
                ], objective: .binary)
        } + [
            Net(
                description: "classes, smoothed and weighted", input: LayerShape(columns: 4),
                layers: [.dense(units: 6, bias: true), .activation(function: .tanh), .dense(units: 5, bias: true)],
                objective: .classes, smoothing: 0.1, weighted: true),
            Net(
                description: "squares, two outputs", input: LayerShape(columns: 4),
                layers: [.dense(units: 6, bias: true), .activation(function: .silu), .dense(units: 2, bias: true)],
                objective: .squared, weighted: true),
            Net(
                description: "Huber", input: LayerShape(columns: 4),
                layers: [.dense(units: 6, bias: true), .activation(function: .gelu), .dense(units: 1, bias: true)],
                objective: .huber(delta: 0.8)),
            Net(
                description: "layer norm and residuals", input: LayerShape(columns: 6),
                layers: [
                    .layerNorm(epsilon: 1e-5),
                    .residual(layers: [
                        .dense(units: 8, bias: true), .activation(function: .gelu), .layerNorm(epsilon: 1e-3),
                        .dense(units: 6, bias: true), .activation(function: .tanh),
                    ]),
                    .residual(layers: [.dense(units: 6, bias: true), .activation(function: .silu)]),
                    .dense(units: 3, bias: true),
                ], objective: .classes),
            Net(
                description: "batch norm", input: LayerShape(columns: 5),
                layers: [
                    // What only shifts a column in front of a normalization has no gradient.
                    .batchNorm(epsilon: 1e-5, momentum: 0.1), .activation(function: .tanh),
                    .dense(units: 7, bias: false), .batchNorm(epsilon: 1e-3, momentum: 0.3),
                    .activation(function: .gelu),
                    .residual(layers: [
                        .dense(units: 7, bias: false), .batchNorm(epsilon: 1e-5, momentum: 0.1),
                        .activation(function: .tanh),
                    ]), .dense(units: 3, bias: true),
                ], objective: .classes, weighted: true),
            Net(
                description: "batch norm of channels", input: LayerShape(height: 6, width: 5, channels: 2),
                layers: [
                    .convolution(channels: 3, height: 3, width: 3, stride: 1, padding: 1),
                    .activation(function: .silu), .batchNorm(epsilon: 1e-5, momentum: 0.1),
                    .pooling(averages: true, height: 2, width: 2, stride: 2), .flatten,
                    .dense(units: 1, bias: true),
                ], objective: .binary),
            Net(
                description: "wide and deep", input: LayerShape(columns: 4),
                layers: [
                    .sum(branches: [
                        [
                            .embedding(tables: tables, units: 3, arrangement: .append), .dense(units: 6, bias: true),
                            .activation(function: .tanh), .dense(units: 2, bias: true),
                        ], [.dense(units: 2, bias: false)],
                        [.embedding(tables: tables, units: 2, arrangement: .sum)],
                    ])
                ], objective: .squared, identifiers: [4, 6]),
            Net(
                description: "products of vectors", input: LayerShape(columns: 4),
                layers: [
                    .concatenation(branches: [
                        [.dense(units: 3, bias: true), .activation(function: .silu)],
                        [.embedding(tables: tables, units: 3, arrangement: .replace)],
                    ]), .interaction(units: 3), .dense(units: 1, bias: true),
                ], objective: .binary, weighted: true, identifiers: [4, 6]),
            Net(
                description: "pictures", input: LayerShape(height: 7, width: 6, channels: 2),
                layers: [
                    .convolution(channels: 4, height: 3, width: 3, stride: 1, padding: 1), .activation(function: .relu),
                    .pooling(averages: false, height: 2, width: 2, stride: 2),
                    .convolution(channels: 3, height: 2, width: 3, stride: 1, padding: 0), .activation(function: .gelu),
                    .flatten, .dense(units: 3, bias: true),
                ], objective: .classes),
            Net(
                description: "means of windows", input: LayerShape(height: 8, width: 8, channels: 1),
                layers: [
                    .convolution(channels: 3, height: 5, width: 5, stride: 2, padding: 2), .activation(function: .tanh),
                    .pooling(averages: true, height: 2, width: 2, stride: 1), .globalMean,
                    .dense(units: 1, bias: true),
                ], objective: .binary),
            Net(
                description: "windows of sequences", input: LayerShape(rows: 9, columns: 3),
                layers: [
                    .convolution(channels: 4, height: 1, width: 3, stride: 1, padding: 1), .activation(function: .silu),
                    .pooling(averages: false, height: 1, width: 3, stride: 3), .flatten, .dense(units: 1, bias: true),
                ], objective: .binary),
            Net(
                description: "bags", input: LayerShape(columns: 2),
                layers: [
                    .embedding(
                        tables: [
                            EmbeddingTable(rows: 5, column: 0, count: 3, averages: true),
                            EmbeddingTable(rows: 7, column: 3, count: 2),
                        ], units: 4, arrangement: .append), .activation(function: .tanh), .dense(units: 3, bias: true),
                ], objective: .classes, identifiers: [4, 4, 4, 6, 6]),
        ]
        + RetrievalLoss.allCases.map { loss in
            Net(
                description: "two towers, \(loss)", input: LayerShape(columns: 3),
                layers: [
                    .concatenation(branches: [
                        [.dense(units: 4, bias: true), .activation(function: .tanh), .dense(units: 3, bias: true)],
                        // A bias would add the same to all scores of a row, which neither loss sees.
                        [.embedding(tables: tables, units: 3, arrangement: .append), .dense(units: 3, bias: false)],
                    ])
                ], objective: .retrieval(temperature: 0.7, loss: loss), identifiers: [4, 6])
        }

    private static let tables = [EmbeddingTable(rows: 5, column: 0), EmbeddingTable(rows: 7, column: 1)]

    @Test("agree with differences", arguments: TestDevices.names, nets)
    func agree(_ device: String, _ net: Net) throws { try Self.check(device, net) }

    static func check(_ device: String, _ net: Net) throws {
        let width = net.identifiers.count
        let architecture = NetworkArchitecture(
            input: net.input, layers: net.layers, identifiers: width > 0 ? width : nil)
        let random = Philox(seed: 3, stream: 4)
        let identifiers =
            width > 0
            ? IdentifierRows(
                columns: width,
                values: (0..<13 * width).map {
                    Int32(random.integer(UInt64($0), below: net.identifiers[$0 % width] + 2)) - 1
                }) : nil
        let outputs = try architecture.resolved().output
        let data = networkData(
            rows: 13, columns: net.input.rows * net.input.columns,
            outputs: net.retrieves ? 1 : outputs.rows * outputs.columns,
            objective: net.objective, weighted: net.weighted, identifiers: identifiers)
        var options = NetworkTrainingOptions()
        options.labelSmoothing = net.smoothing
        // Other than the start, whose biases are 0 and gains 1.
        let parameters = try architecture.resolved().parameters
        let weights = NetworkWeights(
            parameters,
            values: parameters.enumerated().map {
                let table = randomTable(1, $1.count, scale: 0.5, seed: UInt64(30 + $0))
                return HostBuffer(table.storage.array.map { $0 + 0.1 })
            })
        let trainer = try NetworkTrainer(
            architecture, objective: net.objective, options: options, weights: weights,
            stream: TestDevices.stream(device))
        let (loss, gradients) = try trainer.gradients(data)
        let reference = try ReferenceNetwork(architecture, objective: net.objective, weights: weights)
        #expect(abs(loss - reference.loss(data, smoothing: Double(net.smoothing))) < 1e-5 * abs(loss))
        let differences = reference.differences(data, smoothing: Double(net.smoothing))
        // Relative to the parameter's largest: single elements may be next to 0.
        for description in parameters where description.role != .statistic {
            let own = differences.filter { $0.name == description.name }
            let scale = own.map { abs($0.value) }.max()!
            #expect(scale > 1e-6, "\(description.name) has no gradient to compare")
            for difference in own {
                let actual = Double(gradients[difference.name]![difference.place])
                #expect(
                    abs(actual - difference.value) <= 1e-3 * max(scale, 1e-4),
                    "\(difference.name)[\(difference.place)]: \(actual), expected \(difference.value)")
            }
        }
    }
}
