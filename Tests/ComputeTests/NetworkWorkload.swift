import Compute
import Core

/// The operations of networks, in shapes that make several chunks.
extension CPUWorkload {
    static func network(_ operation: OperationKind, on stream: Stream) throws -> [[UInt32]] {
        let (m, n) = (3000, 37)
        let windows = WindowGrid(height: 30, width: 20, windowHeight: 3, windowWidth: 3, padding: 1)
        func x(_ rows: Int = m, _ columns: Int = n) throws -> Matrix { try stream.upload(values(rows, columns)) }
        switch operation {
        case .activation:
            return try one(stream, m, n) { output throws in try stream.activate(x(), .gelu, into: output) }
        case .activationGradient:
            return try one(stream, m, n) { output throws in
                try stream.activationGradient(.silu, values: x(), outputGradient: x(), into: output)
            }
        case .linearCombination:
            return try one(stream, m, n) { output throws in try stream.combine(x(), beta: 2, x(), into: output) }
        case .softmaxCrossEntropy:
            return try one(stream, m, n) { output throws in
                try stream.softmaxCrossEntropy(
                    x(), labels: stream.upload((0..<m).map { Int32($0 % n) }), scale: 1, gradient: output,
                    losses: stream.allocate(rows: 1, columns: m))
            }
        case .rankingLoss:
            return try one(stream, m, n) { output throws in
                try stream.rankingLoss(
                    x(), labels: stream.upload((0..<m).map { Int32($0 % n) }), scale: 1, gradient: output,
                    losses: stream.allocate(rows: 1, columns: m))
            }
        case .elementLoss:
            return try one(stream, 1, m) { output throws in
                try stream.elementLoss(
                    .logistic, x(), targets: x(), scale: 1, gradient: stream.allocate(rows: m, columns: n),
                    losses: output)
            }
        case .addToTotal:
            return try one(stream, 1, 2) { output throws in
                try stream.fill(output, with: 0)
                try stream.addToTotal(x(1, 100_000), output)
            }
        case .dropout:
            return try one(stream, m, n) { output throws in
                try stream.dropout(
                    x(), probability: 0.3, seed: 1, stream: 2, step: stream.upload([7] as [Int32]), into: output)
            }
        case .layerNorm:
            return try one(stream, m, n) { output throws in
                try stream.layerNorm(
                    x(), gain: x(1, n), bias: x(1, n), into: output,
                    statistics: stream.allocate(rows: 2, columns: m))
            }
        case .layerNormGradient:
            return try one(stream, m, n) { output throws in
                try stream.layerNormGradient(
                    x(), statistics: x(2, m), gain: x(1, n), outputGradient: x(), into: output,
                    products: stream.allocate(rows: m, columns: n))
            }
        case .batchNorm:
            return try one(stream, m, n) { output throws in
                try stream.batchNorm(
                    x(), mean: x(1, n), inverse: x(1, n), gain: x(1, n), bias: x(1, n), into: output)
            }
        case .batchNormProducts:
            return try one(stream, m, n) { output throws in
                try stream.batchNormProducts(
                    x(), mean: x(1, n), gradient: (inverse: x(1, n), output: x()), into: output)
            }
        case .batchNormStatistics:
            return try one(stream, 1, n) { output throws in
                let squares = try stream.allocate(rows: 1, columns: n)
                try stream.fill(squares, with: 7)
                try stream.batchNormStatistics(
                    mean: x(1, n), squares: squares, count: 5, epsilon: 1e-5, into: output, running: nil)
            }
        case .batchNormGradient:
            return try one(stream, m, n) { output throws in
                try stream.batchNormGradient(
                    x(), mean: x(1, n), inverse: x(1, n), gain: x(1, n), outputGradient: x(),
                    sums: (outputGradient: x(1, n), products: x(1, n)), count: m, into: output)
            }
        case .optimizerStep:
            return try one(stream, 1, 50_000) { output throws in
                try stream.fill(output, with: 1)
                let state = try stream.allocate(rows: 2, columns: 50_000)
                try stream.fill(state, with: 0.5)
                try stream.optimizerStep(
                    .adam(beta1: 0.9, beta2: 0.99, epsilon: 1e-8), parameters: output, gradient: x(1, 50_000),
                    first: state.rows(0..<1), second: state.rows(1..<2), controls: stream.upload([0.1, 2, 3, 1]))
            }
        case .updateRows:
            return try one(stream, m, n) { output throws in
                try stream.fill(output, with: 1)
                try stream.updateRows(
                    .gradientDescent, of: output, ids: stream.upload((0..<m / 2).map { Int32($0 * 2) }),
                    starts: stream.upload((0...m / 2).map { Int32($0 * 2) }),
                    order: stream.upload((0..<m).map { Int32(m - 1 - $0) }), gradient: x(),
                    controls: stream.upload([0.1, 1, 1, 1]))
            }
        case .gatherBags:
            return try one(stream, m, 2 * n) { output throws in
                let ids = try Matrix(
                    storage: stream.upload((0..<3 * m).map { Int32($0 * 7 % m) }).storage, elementType: .int32,
                    offset: 0, rows: m, columns: 3, rowStride: 3)
                try stream.gatherBags(x(), ids: ids, starts: stream.upload([0, 1, 3] as [Int32]), into: output)
            }
        case .unfold:
            return try one(stream, 6 * 30 * 20, 9 * 5) { output throws in
                try stream.unfold(x(6 * 30 * 20, 5), windows, into: output)
            }
        case .fold:
            return try one(stream, 6 * 30 * 20, 5) { output throws in
                try stream.fold(x(6 * 30 * 20, 45), windows, into: output)
            }
        case .pool:
            return try one(stream, 6 * 30 * 20, 5) { output throws in
                try stream.pool(
                    x(6 * 30 * 20, 5), windows, averages: true, into: output,
                    places: stream.allocate(rows: 6 * 30 * 20, columns: 5, .int32))
            }
        case .poolGradient:
            return try one(stream, 6 * 30 * 20, 5) { output throws in
                let places = try stream.allocate(rows: 6 * 30 * 20, columns: 5, .int32)
                try stream.fill(places, with: 4)
                try stream.poolGradient(
                    x(6 * 30 * 20, 5), places: places, windows, averages: false, into: output)
            }
        case .quantize, .quantizedGemm:
            return try one(stream, m, 40) { output throws in
                let codes = try stream.allocate(rows: m, columns: 10, .int32)
                try stream.quantize(x(), step: 0.01, into: codes)
                try stream.quantizedGemm(
                    codes, step: 0.01, codes.rows(0..<40), scales: x(1, 40), activation: .tanh, into: output)
            }
        case .pairProducts:
            return try one(stream, m, 15) { output throws in
                try stream.pairProducts(x(m, 36), vectors: 6, into: output)
            }
        case .pairProductsGradient:
            return try one(stream, m, 36) { output throws in
                try stream.pairProductsGradient(x(m, 36), vectors: 6, outputGradient: x(m, 15), into: output)
            }
        case .perceptronSteps:
            return try one(stream, 1, 37 * 20 + 20 + 20 + 1) { parameters throws in
                try stream.copy(x(1, parameters.columns), to: parameters)
                func window(_ offset: Int, _ rows: Int, _ columns: Int) throws -> Matrix {
                    try Matrix(
                        storage: parameters.storage, elementType: .float32, offset: offset, rows: rows,
                        columns: columns, rowStride: columns)
                }
                let layers = [
                    PerceptronLayer(weight: try window(0, 20, n), bias: try window(740, 1, 20), activation: .relu),
                    PerceptronLayer(weight: try window(760, 1, 20), bias: try window(780, 1, 1), activation: .identity),
                ]
                try stream.perceptronSteps(
                    layers, method: .gradientDescent(momentum: 0, nesterov: false), parameters: parameters,
                    features: x(), loss: .element(.squared, targets: x(m, 1)),
                    order: stream.upload((0..<90).map { Int32($0 * 7) }), batch: 30,
                    controls: stream.upload(HostMatrix(rows: 3, columns: 4, repeating: 0.01)),
                    total: stream.upload([0, 0] as [Float]))
            }
        case .attention:
            return try one(stream, m, 32) { output throws in
                try stream.attention(
                    queries: x(m, 32), keys: x(m, 32), values: x(m, 32), length: 50, heads: 2, causal: true,
                    probabilities: stream.allocate(rows: 2 * m, columns: 50), into: output)
            }
        case .attentionGradient:
            return try one(stream, m, 32) { output throws in
                try stream.attentionGradient(
                    queries: x(m, 32), keys: x(m, 32), values: x(m, 32), length: 50, heads: 2, causal: true,
                    probabilities: x(2 * m, 50), outputGradient: x(m, 32),
                    scoreGradients: stream.allocate(rows: 2 * m, columns: 50),
                    queryGradient: stream.allocate(rows: m, columns: 32), keyGradient: output,
                    valueGradient: stream.allocate(rows: m, columns: 32))
            }
        case .recurrentStep:
            return try one(stream, m, n) { output throws in
                try stream.recurrentStep(
                    .gru, inputs: x(m, 3 * n), recurrent: x(m, 3 * n), previous: x(),
                    kept: stream.allocate(rows: m, columns: 4 * n), into: output)
            }
        case .recurrentStepGradient:
            return try one(stream, m, 4 * n) { output throws in
                try stream.recurrentStepGradient(
                    .lstm, previous: x(), kept: x(m, 5 * n), outputGradient: x(),
                    memoryGradient: stream.allocate(rows: m, columns: n), hasMemoryGradient: false,
                    inputGradient: output, recurrentGradient: stream.allocate(rows: m, columns: 4 * n),
                    previousGradient: stream.allocate(rows: m, columns: n))
            }
        default: return []
        }
    }
}
