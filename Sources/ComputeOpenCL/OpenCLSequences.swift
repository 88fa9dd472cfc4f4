import Compute

/// Attention (kernels/network_attention.cl) and recurrent layers (kernels/network_recurrent.cl).
extension Lowering {
    func attention(_ x: Attention) throws(ComputeError) {
        try rows(
            "network_attention", "attention", rows: x.probabilities.rows, columns: x.length * x.width / 8,
            [
                matrix(x.queries), matrix(x.keys), matrix(x.values), vector(x.padding, else: x.queries),
                [.int(x.flags), .float(x.scale)], matrix(x.probabilities), matrix(x.output),
                [.long(x.length), .long(x.heads), .long(x.width)],
            ])
    }

    /// Two launches: sums over keys, then sums over queries.
    func attentionGradient(_ x: AttentionGradient) throws(ComputeError) {
        let flags: KernelArgument = .int(x.causal ? 1 : 0)
        let sizes: [KernelArgument] = [.long(x.length), .long(x.heads), .long(x.width)]
        try rows(
            "network_attention", "attention_query_gradient", rows: x.probabilities.rows,
            columns: x.length * x.width / 8,
            [
                matrix(x.keys), matrix(x.values), matrix(x.probabilities), matrix(x.outputGradient),
                [flags, .float(x.scale)], matrix(x.scoreGradients), matrix(x.queryGradient), sizes,
            ])
        try rows(
            "network_attention", "attention_key_gradient", rows: x.probabilities.rows,
            columns: x.length * x.width / 8,
            [
                matrix(x.queries), matrix(x.probabilities), matrix(x.outputGradient), matrix(x.scoreGradients),
                [flags], matrix(x.keyGradient), matrix(x.valueGradient), sizes,
            ])
    }

    func recurrentStep(_ x: RecurrentStep) throws(ComputeError) {
        try rows(
            "network_recurrent", "recurrent_step", rows: x.output.rows, columns: x.kept.columns,
            [
                matrix(x.inputs), matrix(x.recurrent), matrix(x.previous), matrix(x.previousKept ?? x.kept),
                [.int(x.previousKept == nil ? 0 : 1)], matrix(x.kept), matrix(x.output),
                [.int(x.cell.number), .long(x.output.columns)],
            ])
    }

    func recurrentStepGradient(_ x: RecurrentStepGradient) throws(ComputeError) {
        try rows(
            "network_recurrent", "recurrent_step_gradient", rows: x.previous.rows, columns: x.kept.columns,
            [
                matrix(x.previous), matrix(x.previousKept ?? x.kept), matrix(x.kept), matrix(x.outputGradient),
                matrix(x.carried ?? x.outputGradient), [.int(x.flags)], matrix(x.memoryGradient),
                matrix(x.inputGradient), matrix(x.recurrentGradient), matrix(x.previousGradient),
                [.int(x.cell.number), .long(x.previous.columns)],
            ])
    }
}
