import Compute
import Core
import Learners
import Testing

/// Gradients of the layers of sequences against central differences in double: relative error at most 1e-3.
@Suite("Gradients of sequence layers") struct SequenceGradientTests {
    static let nets: [NetworkGradientTests.Net] =
        RecurrentCell.allCases.map { cell in
            net("\(cell.rawValue), two layers", [.recurrent(cell: cell, units: 5), .recurrent(cell: cell, units: 3)])
        } + [
            net("attention", [.attention(heads: 2, causal: false)]),
            net("causal attention and positions", [.positions(learned: true), .attention(heads: 3, causal: true)]),
            net(
                "transformer, norm first",
                [
                    .positions(learned: false),
                    .transformer(
                        TransformerBlock(heads: 2, hidden: 8, activation: .gelu, normFirst: true, causal: true)),
                ]),
            net(
                "transformer, norm behind",
                [
                    .transformer(
                        TransformerBlock(heads: 3, hidden: 7, activation: .tanh, normFirst: false, causal: false)),
                    .transformer(
                        TransformerBlock(heads: 1, hidden: 5, activation: .silu, normFirst: false, causal: true)),
                ]),
        ]

    /// Events with vectors, whose last state goes on beside numbers; some sequences are empty, some have gaps.
    static let events: [NetworkGradientTests.Net] = RecurrentCell.allCases.map { cell in
        NetworkGradientTests.Net(
            description: "events, \(cell.rawValue)", input: LayerShape(columns: 2),
            layers: [
                .concatenation(branches: [
                    [
                        .embedding(
                            tables: [EmbeddingTable(rows: 3, column: 0, count: 4)], units: 5, arrangement: .steps),
                        .sequence(.recurrent(cell: cell, units: 4)), .lastStep,
                    ], [.dense(units: 3, bias: true), .activation(function: .tanh)],
                ]), .dense(units: 1, bias: true),
            ], objective: .binary, weighted: true, identifiers: [2, 2, 2, 2])
    }

    private static func net(_ text: String, _ layers: [SequenceLayer]) -> NetworkGradientTests.Net {
        NetworkGradientTests.Net(
            description: text, input: LayerShape(rows: 5, columns: 6),
            // What is before the layers gets a gradient, too.
            layers: [.dense(units: 6, bias: true)] + layers.map { LayerSpecification.sequence($0) } + [
                .dense(units: 2, bias: true)
            ],
            objective: .squared)
    }

    @Test("agree with differences", arguments: TestDevices.names, nets + events)
    func agree(_ device: String, _ net: NetworkGradientTests.Net) throws {
        try NetworkGradientTests.check(device, net)
    }
}
