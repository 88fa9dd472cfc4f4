import Compute

/// Mistakes with the primitives of sequences.
extension ValidationTests {
    static let sequenceMistakes: [Mistake] = [
        Mistake("attention of broken sequences", "10 × 4 does not divide into sequences of 3 rows") {
            f throws(ComputeError) in
            try f.stream.attention(
                queries: try f.m(10, 4), keys: try f.m(10, 4), values: try f.m(10, 4), length: 3, heads: 1,
                causal: true, probabilities: try f.m(10, 3), into: try f.m(10, 4))
        },
        Mistake("attention with a broken head", "6 × 4 does not divide into 3 heads") { f throws(ComputeError) in
            try f.stream.attention(
                queries: try f.m(6, 4), keys: try f.m(6, 4), values: try f.m(6, 4), length: 3, heads: 3,
                causal: true, probabilities: try f.m(18, 3), into: try f.m(6, 4))
        },
        Mistake("attention, probabilities", "probabilities are 6 × 3, expected 12 × 3") { f throws(ComputeError) in
            try f.stream.attention(
                queries: try f.m(6, 4), keys: try f.m(6, 4), values: try f.m(6, 4), length: 3, heads: 2,
                causal: true, probabilities: try f.m(6, 3), into: try f.m(6, 4))
        },
        Mistake("attention, padding", "padding is 1 × 3, expected 1 × 6") { f throws(ComputeError) in
            try f.stream.attention(
                queries: try f.m(6, 4), keys: try f.m(6, 4), values: try f.m(6, 4), length: 3, heads: 2,
                causal: true, padding: try f.m(1, 3, .int32), probabilities: try f.m(12, 3), into: try f.m(6, 4))
        },
        Mistake("attention into its keys", "overlaps") { f throws(ComputeError) in
            let keys = try f.m(6, 4)
            try f.stream.attention(
                queries: try f.m(6, 4), keys: keys, values: try f.m(6, 4), length: 3, heads: 2, causal: true,
                probabilities: try f.m(12, 3), into: keys)
        },
        Mistake("gradients of attention in one place", "overlaps") { f throws(ComputeError) in
            let gradient = try f.m(6, 4)
            try f.stream.attentionGradient(
                queries: try f.m(6, 4), keys: try f.m(6, 4), values: try f.m(6, 4), length: 3, heads: 2,
                causal: true, probabilities: try f.m(12, 3), outputGradient: try f.m(6, 4),
                scoreGradients: try f.m(12, 3), queryGradient: gradient, keyGradient: gradient,
                valueGradient: try f.m(6, 4))
        },
        Mistake("a recurrent step with too few gates", "inputs is 2 × 6, expected 2 × 9") { f throws(ComputeError) in
            try f.stream.recurrentStep(
                .gru, inputs: try f.m(2, 6), recurrent: try f.m(2, 6), previous: try f.m(2, 3),
                kept: try f.m(2, 12), into: try f.m(2, 3))
        },
        Mistake("a recurrent step that keeps too little", "kept is 2 × 12, expected 2 × 15") {
            f throws(ComputeError) in
            try f.stream.recurrentStepGradient(
                .lstm, previous: try f.m(2, 3), kept: try f.m(2, 12), outputGradient: try f.m(2, 3),
                memoryGradient: try f.m(2, 3), hasMemoryGradient: false, inputGradient: try f.m(2, 12),
                recurrentGradient: try f.m(2, 12), previousGradient: try f.m(2, 3))
        },
        Mistake("a recurrent step over its state", "overlaps") { f throws(ComputeError) in
            let state = try f.m(2, 3)
            try f.stream.recurrentStep(
                .simple, inputs: try f.m(2, 3), recurrent: try f.m(2, 3), previous: state, kept: try f.m(2, 3),
                into: state)
        },
    ]
}
