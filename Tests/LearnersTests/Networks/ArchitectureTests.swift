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
        ("layers:\n  - batch-norm: 3", 2, "batch-norm", "has no value"),
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

    @Test func nothingIsNoArchitecture() {
        #expect(throws: DataError.self) { try ArchitectureText.layers("") }
        #expect(throws: DataError.self) { try ArchitectureText.layers("# only a remark") }
    }
}
