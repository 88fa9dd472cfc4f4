import CVectorLoops
import Compute
import Core

/// Neural networks: every operation divides its rows among the workers.
extension CPUBackend {
    func network(_ operation: NetworkOperation) {
        switch operation {
        case .activation(let x):
            chunks(x.output) { begin, end in
                apus_network_activation(
                    x.input.floats, x.input.stride, x.output.floats, x.output.stride, Int64(x.output.columns),
                    x.function.number, begin, end)
            }
        case .activationGradient(let x):
            chunks(x.inputGradient) { begin, end in
                apus_network_activation_gradient(
                    x.values.floats, x.values.stride, x.outputGradient.floats, x.outputGradient.stride,
                    x.inputGradient.floats, x.inputGradient.stride, Int64(x.values.columns), x.function.number, begin,
                    end)
            }
        case .linearCombination(let x):
            chunks(x.output) { begin, end in
                apus_network_linear_combination(
                    x.alpha, x.a.floats, x.a.stride, x.beta, x.b.floats, x.b.stride, x.output.floats, x.output.stride,
                    Int64(x.output.columns), begin, end)
            }
        case .softmaxCrossEntropy(let x):
            chunks(x.logits) { begin, end in
                apus_network_softmax_cross_entropy(
                    x.logits.floats, x.logits.stride, x.labels.pointer(as: Int32.self), x.weights?.floats,
                    x.weights == nil ? 0 : 1, x.smoothing, x.scale, x.gradient.floats, x.gradient.stride,
                    x.losses.floats, Int64(x.logits.columns), begin, end)
            }
        case .rankingLoss(let x):
            chunks(x.scores) { begin, end in
                apus_network_ranking_loss(
                    x.scores.floats, x.scores.stride, x.labels.pointer(as: Int32.self), x.weights?.floats,
                    x.weights == nil ? 0 : 1, x.scale, x.gradient.floats, x.gradient.stride, x.losses.floats,
                    Int64(x.scores.columns), begin, end)
            }
        case .elementLoss(let x):
            let (kind, parameter) = x.function.arguments
            chunks(x.predictions) { begin, end in
                apus_network_element_loss(
                    x.predictions.floats, x.predictions.stride, x.targets.floats, x.targets.stride,
                    x.weights?.floats, x.weights == nil ? 0 : 1, kind, parameter, x.scale, x.gradient.floats,
                    x.gradient.stride, x.losses.floats, Int64(x.predictions.columns), begin, end)
            }
        case .addToTotal(let x):
            apus_network_add_to_total(x.input.floats, Int64(x.input.columns), x.total.floats, 0, 1)
        case .dropout(let x):
            chunks(x.output) { begin, end in
                apus_network_dropout(
                    x.input.floats, x.input.stride, x.output.floats, x.output.stride, Int64(x.output.columns),
                    x.probability, x.seed, x.stream, x.step.pointer(as: Int32.self), Int64(x.output.rows), begin, end)
            }
        case .layerNorm(let x):
            chunks(x.output) { begin, end in
                apus_network_layer_norm(
                    x.input.floats, x.input.stride, x.gain.floats, x.bias.floats, x.epsilon, x.output.floats,
                    x.output.stride, x.statistics.floats, x.statistics.stride, Int64(x.output.columns), begin, end)
            }
        case .layerNormGradient(let x):
            chunks(x.input) { begin, end in
                apus_network_layer_norm_gradient(
                    x.input.floats, x.input.stride, x.statistics.floats, x.statistics.stride, x.gain.floats,
                    x.outputGradient.floats, x.outputGradient.stride, x.inputGradient.floats, x.inputGradient.stride,
                    x.products.floats, x.products.stride, Int64(x.input.columns), begin, end)
            }
        case .batchNorm(let x): batchNorm(x)
        case .batchNormProducts(let x): batchNormProducts(x)
        case .batchNormStatistics(let x): batchNormStatistics(x)
        case .batchNormGradient(let x): batchNormGradient(x)
        case .optimizerStep(let x): optimizerStep(x)
        case .updateRows(let x): updateRows(x)
        case .gatherBags(let x):
            chunks(x.output) { begin, end in
                apus_network_gather_bags(
                    x.table.floats, x.table.stride, x.ids.pointer(as: Int32.self), x.ids.stride,
                    x.starts.pointer(as: Int32.self), (x.weights ?? x.table).floats, x.weights?.stride ?? 0,
                    x.weights == nil ? 0 : 1, x.output.floats, x.output.stride, Int64(x.table.rows),
                    Int64(x.table.columns), Int64(x.bags), Int64(x.ids.columns), begin, end)
            }
        case .pairProducts(let x):
            chunks(rows: x.input.rows, columns: x.vectors * x.input.columns) { begin, end in
                apus_network_pair_products(
                    x.input.floats, x.input.stride, x.output.floats, x.output.stride, Int64(x.vectors),
                    Int64(x.input.columns / x.vectors), begin, end)
            }
        case .pairProductsGradient(let x):
            chunks(rows: x.input.rows, columns: x.vectors * x.input.columns) { begin, end in
                apus_network_pair_products_gradient(
                    x.input.floats, x.input.stride, x.outputGradient.floats, x.outputGradient.stride,
                    x.inputGradient.floats, x.inputGradient.stride, Int64(x.vectors),
                    Int64(x.input.columns / x.vectors), begin, end)
            }
        case .unfold(let x):
            windows(x.output, x.grid) { g, begin, end in
                apus_network_unfold(
                    x.input.floats, x.input.stride, x.output.floats, x.output.stride, Int64(x.input.columns), g[0],
                    g[1], g[2], g[3], g[4], g[5], g[6], g[7], g[8], begin, end)
            }
        case .fold(let x):
            windows(x.output, x.grid) { g, begin, end in
                apus_network_fold(
                    x.windows.floats, x.windows.stride, x.output.floats, x.output.stride, Int64(x.output.columns), g[0],
                    g[1], g[2], g[3], g[4], g[5], g[6], g[7], g[8], begin, end)
            }
        case .pool(let x):
            windows(x.output, x.grid) { g, begin, end in
                apus_network_pool(
                    x.input.floats, x.input.stride, x.output.floats, x.output.stride,
                    x.places.pointer(as: Int32.self), x.places.stride, Int64(x.input.columns), g[0], g[1], g[2], g[3],
                    g[4], g[5], g[6], g[7], g[8], x.averages ? 1 : 0, begin, end)
            }
        case .poolGradient(let x):
            windows(x.inputGradient, x.grid) { g, begin, end in
                apus_network_pool_gradient(
                    x.outputGradient.floats, x.outputGradient.stride, x.places.pointer(as: Int32.self),
                    x.places.stride, x.inputGradient.floats, x.inputGradient.stride, Int64(x.inputGradient.columns),
                    g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7], g[8], x.averages ? 1 : 0, begin, end)
            }
        case .quantize(let x): quantize(x)
        case .quantizedGemm(let x): quantizedGemm(x)
        case .perceptronSteps(let x): perceptronSteps(x)
        case .attention(let x): attention(x)
        case .attentionGradient(let x): attentionGradient(x)
        case .recurrentStep(let x): recurrentStep(x)
        case .recurrentStepGradient(let x): recurrentStepGradient(x)
        }
    }

    private func optimizerStep(_ x: OptimizerStep) {
        let (method, beta1, beta2, epsilon) = x.method.arguments
        let blocks = Chunks.count(x.parameters.columns, size: Int(apus_network_optimizer_block))
        pool.parallelFor(blocks) { block, _ in
            apus_network_optimizer_step(
                x.parameters.floats, x.gradient.floats, (x.first ?? x.parameters).floats,
                (x.second ?? x.parameters).floats, x.controls.floats, (x.norm ?? x.controls).floats,
                x.norm == nil ? 0 : 1, method, beta1, beta2, epsilon, x.l1, x.l2, x.decay, x.largestNorm,
                Int64(x.parameters.columns), Int64(block), Int64(block + 1))
        }
    }

    private func updateRows(_ x: UpdateRows) {
        let (method, beta1, beta2, epsilon) = x.method.arguments
        let (first, second) = (x.first ?? x.table, x.second ?? x.table)
        chunks(rows: x.ids.columns, columns: x.table.columns) { begin, end in
            apus_network_update_rows(
                x.table.floats, x.table.stride, x.ids.pointer(as: Int32.self), x.starts.pointer(as: Int32.self),
                x.order.pointer(as: Int32.self), (x.factors ?? x.gradient).floats, x.factors == nil ? 0 : 1,
                x.gradient.floats, x.gradient.stride, first.floats, first.stride, second.floats, second.stride,
                (x.controls ?? x.gradient).floats, method, beta1, beta2, epsilon, Int64(x.table.rows),
                Int64(x.table.columns), Int64(x.blocks), begin, end)
        }
    }

    /// Divides the rows of what windows make, or are made of.
    private func windows(_ output: Matrix, _ grid: WindowGrid, _ body: ([Int64], Int64, Int64) -> Void) {
        let numbers = grid.numbers.map { Int64($0) }
        chunks(rows: output.rows, columns: output.columns * max(grid.taps / 2, 1)) { body(numbers, $0, $1) }
    }

    func chunks(_ matrix: Matrix, _ body: (_ begin: Int64, _ end: Int64) -> Void) {
        chunks(rows: matrix.rows, columns: matrix.columns, body)
    }

    func chunks(rows: Int, columns: Int, _ body: (_ begin: Int64, _ end: Int64) -> Void) {
        let size = Chunks.rows(columns: columns, elements: 1 << 14)
        pool.parallelFor(Chunks.count(rows, size: size)) { chunk, _ in
            let range = Chunks.range(chunk, count: rows, size: size)
            body(Int64(range.lowerBound), Int64(range.upperBound))
        }
    }
}

extension Matrix {
    /// The row stride in the type of the loops.
    var stride: Int64 { Int64(rowStride) }
}
