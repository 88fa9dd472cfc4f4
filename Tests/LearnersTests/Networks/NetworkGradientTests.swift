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
        ]

    @Test("agree with differences", arguments: TestDevices.names, nets)
    func agree(_ device: String, _ net: Net) throws { try Self.check(device, net) }

    static func check(_ device: String, _ net: Net) throws {
        let architecture = NetworkArchitecture(input: net.input, layers: net.layers)
        let outputs = try architecture.resolved().output
        let data = networkData(
            rows: 13, columns: net.input.rows * net.input.columns, outputs: outputs.rows * outputs.columns,
            objective: net.objective, weighted: net.weighted)
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
        for description in parameters {
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
