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
        case .rankingLoss(let x):
            try rows(
                "ranking_loss", x.scores,
                [
                    matrix(x.scores), vector(x.labels), vector(x.weights, else: x.losses),
                    [.int(x.weights == nil ? 0 : 1), .float(x.scale)], matrix(x.gradient), vector(x.losses),
                    columns(x.scores),
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
        case .batchNorm(let x): try batchNorm(x)
        case .batchNormProducts(let x): try batchNormProducts(x)
        case .batchNormStatistics(let x): try batchNormStatistics(x)
        case .batchNormGradient(let x): try batchNormGradient(x)
        case .optimizerStep(let x): try optimizerStep(x)
        case .updateRows(let x): try updateRows(x)
        case .attention(let x): try attention(x)
        case .attentionGradient(let x): try attentionGradient(x)
        case .recurrentStep(let x): try recurrentStep(x)
        case .recurrentStepGradient(let x): try recurrentStepGradient(x)
        case .gatherBags(let x):
            try rows(
                "network_embeddings", "gather_bags", rows: x.output.rows, columns: x.output.columns,
                [
                    matrix(x.table), matrix(x.ids), vector(x.starts), matrix(x.weights ?? x.table),
                    [.int(x.weights == nil ? 0 : 1)], matrix(x.output),
                    [
                        .long(x.table.rows), .long(x.table.columns), .long(x.bags), .long(x.ids.columns),
                    ],
                ])
        case .pairProducts(let x):
            try rows(
                "network_embeddings", "pair_products", rows: x.input.rows, columns: x.vectors * x.input.columns,
                [
                    matrix(x.input), matrix(x.output), [.long(x.vectors), .long(x.input.columns / x.vectors)],
                ])
        case .pairProductsGradient(let x):
            try rows(
                "network_embeddings", "pair_products_gradient", rows: x.input.rows,
                columns: x.vectors * x.input.columns,
                [
                    matrix(x.input), matrix(x.outputGradient), matrix(x.inputGradient),
                    [.long(x.vectors), .long(x.input.columns / x.vectors)],
                ])
        case .unfold(let x):
            try windows(
                "unfold", x.output, x.grid,
                [matrix(x.input), matrix(x.output), [.long(x.input.columns)]])
        case .fold(let x):
            try windows(
                "fold", x.output, x.grid, [matrix(x.windows), matrix(x.output), [.long(x.output.columns)]])
        case .pool(let x):
            try windows(
                "pool", x.output, x.grid,
                [matrix(x.input), matrix(x.output), matrix(x.places), [.long(x.input.columns)]],
                [.int(x.averages ? 1 : 0)])
        case .poolGradient(let x):
            try windows(
                "pool_gradient", x.inputGradient, x.grid,
                [
                    matrix(x.outputGradient), matrix(x.places), matrix(x.inputGradient),
                    [.long(x.inputGradient.columns)],
                ], [.int(x.averages ? 1 : 0)])
        case .quantize(let x):
            try rows(
                "quantized_products", "quantize", rows: x.input.rows, columns: x.input.columns,
                [matrix(x.input), [.float(x.inverse)], matrix(x.codes), columns(x.input)])
        case .quantizedGemm(let x):
            try rows(
                "quantized_products", "quantized_gemm", rows: x.output.rows, columns: x.b.count,
                [
                    matrix(x.a), [.float(x.step)], matrix(x.b), vector(x.scales), vector(x.bias ?? x.scales),
                    [.int(x.bias == nil ? 0 : 1), .int(x.activation.function.number)], matrix(x.output),
                    [.long(x.output.columns), .long(x.a.columns)],
                ])
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
            "network_embeddings", "update_rows", rows: x.ids.columns, columns: x.table.columns,
            [
                matrix(x.table), vector(x.ids), vector(x.starts), vector(x.order), vector(x.factors ?? x.gradient),
                [.int(x.factors == nil ? 0 : 1)], matrix(x.gradient), matrix(x.first ?? x.table),
                matrix(x.second ?? x.table), vector(x.controls ?? x.gradient),
                [
                    .int(method), .float(beta1), .float(beta2), .float(epsilon), .long(x.table.rows),
                    .long(x.table.columns), .long(x.blocks),
                ],
            ])
    }

    private func windows(
        _ kernel: String, _ output: Matrix, _ grid: WindowGrid, _ arguments: [[KernelArgument]],
        _ last: [KernelArgument] = []
    ) throws(ComputeError) {
        try rows(
            "network_images", kernel, rows: output.rows, columns: output.columns * max(grid.taps / 2, 1),
            arguments + [grid.numbers.map { .long($0) }, last])
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
