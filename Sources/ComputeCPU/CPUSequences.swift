import CVectorLoops
import Compute

/// Attention and recurrent layers: rows are divided among the workers.
extension CPUBackend {
    func attention(_ x: Attention) {
        chunks(rows: x.probabilities.rows, columns: x.length * x.width / 8) { begin, end in
            apus_network_attention(
                x.queries.floats, x.queries.stride, x.keys.floats, x.keys.stride, x.values.floats, x.values.stride,
                x.padding?.pointer(as: Int32.self), x.flags, x.scale, x.probabilities.floats, x.probabilities.stride,
                x.output.floats, x.output.stride, Int64(x.length), Int64(x.heads), Int64(x.width), begin, end)
        }
    }

    func attentionGradient(_ x: AttentionGradient) {
        let flags: Int32 = x.causal ? 1 : 0
        let (length, heads, width) = (Int64(x.length), Int64(x.heads), Int64(x.width))
        // Whole sequences: what the first loop has written is still in the cache when the second reads it.
        let sequenceRows = x.length * x.heads
        chunks(rows: x.probabilities.rows / sequenceRows, columns: sequenceRows * x.length * x.width / 8) {
            first, last in
            let (begin, end) = (first * Int64(sequenceRows), last * Int64(sequenceRows))
            apus_network_attention_query_gradient(
                x.keys.floats, x.keys.stride, x.values.floats, x.values.stride, x.probabilities.floats,
                x.probabilities.stride, x.outputGradient.floats, x.outputGradient.stride, flags, x.scale,
                x.scoreGradients.floats, x.scoreGradients.stride, x.queryGradient.floats, x.queryGradient.stride,
                length, heads, width, begin, end)
            apus_network_attention_key_gradient(
                x.queries.floats, x.queries.stride, x.probabilities.floats, x.probabilities.stride,
                x.outputGradient.floats, x.outputGradient.stride, x.scoreGradients.floats, x.scoreGradients.stride,
                flags, x.keyGradient.floats, x.keyGradient.stride, x.valueGradient.floats, x.valueGradient.stride,
                length, heads, width, begin, end)
        }
    }

    func recurrentStep(_ x: RecurrentStep) {
        let before = x.previousKept ?? x.kept
        chunks(rows: x.output.rows, columns: x.kept.columns * 4) { begin, end in
            apus_network_recurrent_step(
                x.inputs.floats, x.inputs.stride, x.recurrent.floats, x.recurrent.stride, x.previous.floats,
                x.previous.stride, before.floats, before.stride, x.previousKept == nil ? 0 : 1, x.kept.floats,
                x.kept.stride, x.output.floats, x.output.stride, x.cell.number, Int64(x.output.columns), begin, end)
        }
    }

    func recurrentStepGradient(_ x: RecurrentStepGradient) {
        let (before, carried) = (x.previousKept ?? x.kept, x.carried ?? x.outputGradient)
        chunks(rows: x.previous.rows, columns: x.kept.columns * 4) { begin, end in
            apus_network_recurrent_step_gradient(
                x.previous.floats, x.previous.stride, before.floats, before.stride, x.kept.floats, x.kept.stride,
                x.outputGradient.floats, x.outputGradient.stride, carried.floats, carried.stride, x.flags,
                x.memoryGradient.floats, x.memoryGradient.stride, x.inputGradient.floats, x.inputGradient.stride,
                x.recurrentGradient.floats, x.recurrentGradient.stride, x.previousGradient.floats,
                x.previousGradient.stride, x.cell.number, Int64(x.previous.columns), begin, end)
        }
    }
}
