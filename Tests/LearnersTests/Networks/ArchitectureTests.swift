import Core
import Learners
import Testing

/// Layers as a text.
@Suite("Network architectures as text") struct ArchitectureTests {
    @Test func everyLayerIsRead() throws {
        let layers = try ArchitectureText.layers(
            """
            # what it is for
            layers:
              - dense: 64        # units
              - layer-norm
              - batch-norm
              - activation: gelu

              - residual:
                  - dense: 64
                  - residual:
                    - activation: tanh
              - dropout: 0.25
            """)
        #expect(
            layers == [
                .dense(units: 64, bias: true), .layerNorm(epsilon: 1e-5),
                .batchNorm(epsilon: 1e-5, momentum: 0.1), .activation(function: .gelu),
                .residual(layers: [
                    .dense(units: 64, bias: true), .residual(layers: [.activation(function: .tanh)]),
                ]),
                .dropout(probability: 0.25),
            ])
        #expect(try ArchitectureText.layers("- dense: 3") == [.dense(units: 3, bias: true)])
    }

    @Test(arguments: [
        ("layers:\n  - dense: 8\n  - drpout: 0.1", 3, "drpout", "did you mean `dropout`?"),
        ("layers:\n  - batchnorm", 2, "batchnorm", "did you mean `batch-norm`?"),
        ("layers:\n  - batch-norm: 3", 2, "batch-norm", "expects nothing, or"),
        ("layers:\n  - dense: many", 2, "dense", "number of units, not `many`"),
        ("layers:\n  - dense: 0", 2, "dense", "number of units"),
        ("layers:\n  - activation: rleu", 2, "activation", "did you mean `relu`?"),
        ("layers:\n  - dropout: 1", 2, "dropout", "below 1"), ("layers:", 1, "layers", "empty"),
        ("layers:\n  - residual:\n  - dense: 3", 2, "residual", "indented further"),
        ("layer:\n  - dense: 3", 1, "layer", "did you mean `layers`?"),
        ("layers:\n  - dense: 3\n    - dense: 4", 3, "dense", "indented unlike"),
        ("layers:\n  dense: 3", 2, "dense", "item of a list"), ("layers: 3", 1, "layers", "lines of its own"),
    ])
    func mistakesAreNamedWithLineAndKey(_ text: String, _ line: Int, _ key: String, _ reason: String) {
        do {
            _ = try ArchitectureText.layers(text)
            Issue.record("`\(text)` was read")
        } catch {
            #expect(error.line == line && error.column == key, "\(error)")
            #expect(error.description.contains(reason), "\(error)")
        }
    }

    @Test func layersOfSequencesAreRead() throws {
        let layers = try ArchitectureText.layers(
            """
            layers:
              - positions: learned
              - positions: waves
              - attention: 2
              - attention: 4 causal
              - transformer: 4 heads 128 hidden
              - transformer: 2 heads 8 hidden causal dropout 0.1 activation gelu norm-last
              - rnn: 5
              - gru: 6
              - lstm: 7
              - global-mean
              - interaction: 1
            """)
        #expect(
            layers == [
                .sequence(.positions(learned: true)), .sequence(.positions(learned: false)),
                .sequence(.attention(heads: 2, causal: false)), .sequence(.attention(heads: 4, causal: true)),
                .sequence(.transformer(TransformerBlock(heads: 4, hidden: 128, causal: false))),
                .sequence(
                    .transformer(
                        TransformerBlock(
                            heads: 2, hidden: 8, activation: .gelu, dropout: 0.1, normFirst: false, causal: true))),
                .sequence(.recurrent(cell: .simple, units: 5)), .sequence(.recurrent(cell: .gru, units: 6)),
                .sequence(.recurrent(cell: .lstm, units: 7)), .globalMean, .interaction(units: 1),
            ])
        let network = try NetworkArchitecture(input: LayerShape(rows: 9, columns: 8), layers: layers).resolved()
        #expect(network.output == LayerShape(columns: 1 + 21))
        do {
            _ = try NetworkArchitecture(input: LayerShape(rows: 9, columns: 6), layers: layers).resolved()
            Issue.record("4 heads divide 6 columns")
        } catch { #expect("\(error)".contains("layer 3 (attention)") && "\(error)".contains("9 × 6"), "\(error)") }
    }

    @Test(arguments: [
        ("positions: learnd", "did you mean `learned`?"), ("positions", "expects `learned` or `waves`"),
        ("attention: 0", "number of heads"), ("attention: 4 casual", "`4 causal`"),
        ("transformer: 4 heads", "heads and hidden units"), ("transformer: 4 heads 8 hidden casual", "`causal`?"),
        ("transformer: 4 heads 8 hidden dropout 1", "below 1"),
        ("transformer: 4 heads 8 hidden activation rleu", "did you mean `relu`?"), ("gru: many", "number of units"),
        ("interaction: 0", "columns of each vector"),
    ])
    func mistakesInSequencesAreNamed(_ item: String, _ reason: String) {
        do {
            _ = try ArchitectureText.layers("layers:\n  - dense: 3\n  - \(item)")
            Issue.record("`\(item)` was read")
        } catch {
            #expect(error.line == 3 && error.column.map { item.hasPrefix($0) } == true, "\(error)")
            #expect(error.description.contains(reason), "\(error)")
        }
    }

    @Test func eventsAndNormsAreRead() throws {
        let layers = try ArchitectureText.layers(
            "layers:\n  - embedding: 8\n  - gru: 4\n  - last-step\n  - batch-norm: momentum 0.01 epsilon 0.001\n  - batch-norm"
        )
        #expect(
            layers == [
                .embedding(tables: [], units: 8, arrangement: .steps), .sequence(.recurrent(cell: .gru, units: 4)),
                .lastStep, .batchNorm(epsilon: 0.001, momentum: 0.01), .batchNorm(epsilon: 1e-5, momentum: 0.1),
            ])
        // Networks without events have no table for them.
        do {
            _ = try NetworkArchitecture(input: LayerShape(columns: 4), layers: layers).resolved()
            Issue.record("there were no events")
        } catch { #expect("\(error)".contains("train rnn"), "\(error)") }
        for item in ["embedding", "embedding: 0", "last-step: 2", "batch-norm: momentum 2", "batch-norm: epsilon"] {
            #expect(throws: DataError.self) { try ArchitectureText.layers("layers:\n  - \(item)") }
        }
    }

    @Test func nothingIsNoArchitecture() {
        #expect(throws: DataError.self) { try ArchitectureText.layers("") }
        #expect(throws: DataError.self) { try ArchitectureText.layers("# only a remark") }
    }
}
