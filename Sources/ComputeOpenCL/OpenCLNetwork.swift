import Compute

/// Neural networks (kernels/network_*.cl). One launch each: on CPU-class devices a work-item has a block of rows, on
/// others a work-group of 64 has a row at a time.
extension Lowering {
    func network(_ operation: NetworkOperation) throws(ComputeError) {
        switch operation {
        case .activation(let x):
            try rows(
                "activation", x.output,
                [matrix(x.input), matrix(x.output), columns(x.output), [.int(x.function.number)]])
        case .activationGradient(let x):
            try rows(
                "activation_gradient", x.values,
                [
                    matrix(x.values), matrix(x.outputGradient), matrix(x.inputGradient), columns(x.values),
                    [.int(x.function.number)],
                ])
        case .linearCombination(let x):
            try rows(
                "linear_combination", x.output,
                [
                    [.float(x.alpha)], matrix(x.a), [.float(x.beta)], matrix(x.b), matrix(x.output), columns(x.output),
                ])
        case .softmaxCrossEntropy(let x):
            try rows(
                "softmax_cross_entropy", x.logits,
                [
                    matrix(x.logits), vector(x.labels), vector(x.weights, else: x.losses),
                    [.int(x.weights == nil ? 0 : 1), .float(x.smoothing), .float(x.scale)], matrix(x.gradient),
                    vector(x.losses), columns(x.logits),
                ])
        case .elementLoss(let x):
            let (kind, parameter) = x.function.arguments
            try rows(
                "element_loss", x.predictions,
                [
                    matrix(x.predictions), matrix(x.targets), vector(x.weights, else: x.losses),
                    [.int(x.weights == nil ? 0 : 1), .int(kind), .float(parameter), .float(x.scale)],
                    matrix(x.gradient), vector(x.losses), columns(x.predictions),
                ])
        case .addToTotal(let x):
            try rows(
                "network_layers", "add_to_total", rows: 1, columns: 1,
                [vector(x.input), columns(x.input), vector(x.total)])
        case .dropout(let x):
            try rows(
                "dropout", x.output,
                [
                    matrix(x.input), matrix(x.output), columns(x.output),
                    [.float(x.probability), .ulong(x.seed), .ulong(x.stream)], vector(x.step), [.long(x.output.rows)],
                ])
        case .layerNorm(let x):
            try rows(
                "layer_norm", x.output,
                [
                    matrix(x.input), vector(x.gain), vector(x.bias), [.float(x.epsilon)], matrix(x.output),
                    matrix(x.statistics), columns(x.output),
                ])
        case .layerNormGradient(let x):
            try rows(
                "layer_norm_gradient", x.input,
                [
                    matrix(x.input), matrix(x.statistics), vector(x.gain), matrix(x.outputGradient),
                    matrix(x.inputGradient), matrix(x.products), columns(x.input),
                ])
        case .optimizerStep(let x): try optimizerStep(x)
        case .updateRows(let x): try updateRows(x)
        case .attention(let x): try attention(x)
        case .attentionGradient(let x): try attentionGradient(x)
        case .recurrentStep(let x): try recurrentStep(x)
        case .recurrentStepGradient(let x): try recurrentStepGradient(x)
        case .perceptronSteps:
            throw .unsupported(
                device: context.name, operation: "perceptronSteps", reason: "it is composed of others here")
        }
    }

    private func optimizerStep(_ x: OptimizerStep) throws(ComputeError) {
        let (method, beta1, beta2, epsilon) = x.method.arguments
        let block = 4096
        try rows(
            "network_optimizers", "optimizer_step", rows: ceilDivide(x.parameters.columns, block), columns: block,
            [
                vector(x.parameters), vector(x.gradient), vector(x.first ?? x.parameters),
                vector(x.second ?? x.parameters), vector(x.controls), vector(x.norm ?? x.controls),
                [
                    .int(x.norm == nil ? 0 : 1), .int(method), .float(beta1), .float(beta2), .float(epsilon),
                    .float(x.l1), .float(x.l2), .float(x.decay), .float(x.largestNorm), .long(x.parameters.columns),
                ],
            ])
    }

    private func updateRows(_ x: UpdateRows) throws(ComputeError) {
        let (method, beta1, beta2, epsilon) = x.method.arguments
        try rows(
            "network_optimizers", "update_rows", rows: x.ids.columns, columns: x.table.columns,
            [
                matrix(x.table), vector(x.ids), vector(x.starts), vector(x.order), matrix(x.gradient),
                matrix(x.first ?? x.table), matrix(x.second ?? x.table), vector(x.controls ?? x.gradient),
                [
                    .int(method), .float(beta1), .float(beta2), .float(epsilon), .long(x.table.rows),
                    .long(x.table.columns),
                ],
            ])
    }

    private func columns(_ matrix: Matrix) -> [KernelArgument] { [.long(matrix.columns)] }

    private func rows(_ kernel: String, _ shape: Matrix, _ arguments: [[KernelArgument]]) throws(ComputeError) {
        try rows("network_layers", kernel, rows: shape.rows, columns: shape.columns, arguments)
    }

    /// Launches a kernel of kernels/network_*.cl over its rows.
    func rows(
        _ file: String, _ kernel: String, rows: Int, columns: Int, _ arguments: [[KernelArgument]]
    ) throws(ComputeError) {
        // Some microseconds of work for an item, but enough items for all threads.
        let block = max(min(16384 / max(columns, 1), ceilDivide(rows, GemmTunables.busyGroups)), 1)
        launch(
            file, kernel, grid: isCPUClass ? WorkSize(ceilDivide(rows, block)) : WorkSize(64 * min(rows, 4096)),
            group: isCPUClass ? WorkSize(1) : WorkSize(64), arguments + [[.long(rows), .long(block)]])
    }
}
