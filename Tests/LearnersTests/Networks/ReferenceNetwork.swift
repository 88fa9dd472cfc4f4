import Core
import Glibc
import Learners

/// Networks in double precision, straight from their formulas: what gradients are checked against.
struct ReferenceNetwork {
    let network: ResolvedNetwork
    let objective: NetworkObjective
    /// By name.
    var weights: [String: [Double]]

    typealias Table = [[Double]]

    init(_ architecture: NetworkArchitecture, objective: NetworkObjective, weights: NetworkWeights) throws {
        network = try architecture.resolved()
        self.objective = objective
        self.weights = Dictionary(
            uniqueKeysWithValues: zip(weights.descriptions, weights.values).map {
                ($0.name, $1.array.map(Double.init))
            })
    }

    /// The mean loss.
    func loss(_ data: NetworkData, smoothing: Double = 0) -> Double {
        if case .retrieval(let temperature, let loss) = objective {
            return retrievalLoss(data, Double(temperature), loss)
        }
        let shape = network.input
        let inputs = (0..<data.rows).map { row in
            let values = data.features.row(row).map(Double.init)
            return (0..<shape.rows).map { Array(values[$0 * shape.columns..<($0 + 1) * shape.columns]) }
        }
        let ids = (0..<data.rows).map { row in
            data.identifiers.map { Array($0.values[row * $0.columns..<(row + 1) * $0.columns]) } ?? []
        }
        let outputs = run(network.layers, batch: inputs, ids)
        return (0..<data.rows).reduce(0) { total, row in
            total + Double(data.weights?[row] ?? 1) * loss(outputs[row].flatMap { $0 }, data, row, smoothing)
        } / Double(data.rows)
    }

    /// Each row's second vector is to be found by the first among those of all rows.
    private func retrievalLoss(_ data: NetworkData, _ temperature: Double, _ loss: RetrievalLoss) -> Double {
        let outputs = (0..<data.rows).map { row in
            let ids = data.identifiers.map { Array($0.values[row * $0.columns..<(row + 1) * $0.columns]) } ?? []
            return run(network.layers, [data.features.row(row).map(Double.init)], ids)[0]
        }
        let d = outputs[0].count / 2
        var total = 0.0
        for row in 0..<data.rows {
            var scores: [Double] = []
            for other in 0..<data.rows {
                var product = 0.0
                for k in 0..<d { product += outputs[row][k] * outputs[other][d + k] }
                scores.append(product / temperature + Double(data.targets[other]))
            }
            switch loss {
            case .softmax:
                let top = scores.max()!
                total += top + log(scores.reduce(0) { $0 + exp($1 - top) }) - scores[row]
            case .bpr:
                for other in 0..<data.rows where other != row {
                    total += log1p(exp(scores[other] - scores[row])) / Double(data.rows - 1)
                }
            }
        }
        return total / Double(data.rows)
    }

    private func loss(_ x: [Double], _ data: NetworkData, _ row: Int, _ smoothing: Double) -> Double {
        func targets() -> [Double] { data.targets[row * x.count..<(row + 1) * x.count].map(Double.init) }
        switch objective {
        case .binary: return max(x[0], 0) - x[0] * targets()[0] + log1p(exp(-abs(x[0])))
        case .squared: return zip(x, targets()).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        case .huber(let delta):
            let delta = Double(delta)
            return zip(x, targets()).reduce(0) {
                let distance = abs($1.0 - $1.1)
                return $0 + (distance <= delta ? distance * distance / 2 : delta * (distance - delta / 2))
            }
        case .retrieval: preconditionFailure("a loss of batches, not of rows")
        case .classes:
            let top = x.max()!
            let logSum = top + log(x.reduce(0) { $0 + exp($1 - top) })
            return x.indices.reduce(0) {
                let q = smoothing / Double(x.count) + ($1 == Int(data.labels[row]) ? 1 - smoothing : 0)
                return $0 - q * (x[$1] - logSum)
            }
        }
    }

    /// All examples together, for layers that look at the batch: those of the network itself, and of residuals.
    private func run(_ layers: [ResolvedLayer], batch: [Table], _ ids: [[Int32]]) -> [Table] {
        layers.reduce(batch) { batch, layer in
            switch layer.specification {
            case .batchNorm(let epsilon, _):
                let rows = batch.flatMap { $0 }
                let n = Double(rows.count)
                let mean = rows[0].indices.map { j in rows.reduce(0) { $0 + $1[j] } / n }
                let variance = rows[0].indices.map { j in
                    rows.reduce(0) { $0 + ($1[j] - mean[j]) * ($1[j] - mean[j]) } / n
                }
                return batch.map { normalized($0, layer, epsilon, mean, variance) }
            case .residual:
                return zip(batch, run(layer.children, batch: batch, ids)).map { x, inner in
                    zip(x, inner).map { zip($0, $1).map { $0 + $1 } }
                }
            default: return zip(batch, ids).map { run(layer, $0, $1) }
            }
        }
    }

    private func normalized(
        _ x: Table, _ layer: ResolvedLayer, _ epsilon: Float, _ mean: [Double], _ variance: [Double]
    ) -> Table {
        let (gain, bias) = (weights["\(layer.name).weight"]!, weights["\(layer.name).bias"]!)
        return x.map { row in
            row.indices.map {
                (row[$0] - mean[$0]) / (variance[$0] + Double(epsilon)).squareRoot() * gain[$0] + bias[$0]
            }
        }
    }

    func run(_ layers: [ResolvedLayer], _ input: Table, _ ids: [Int32] = []) -> Table {
        layers.reduce(input) { run($1, $0, ids) }
    }

    private func run(_ layer: ResolvedLayer, _ x: Table, _ ids: [Int32]) -> Table {
        switch layer.specification {
        case .dense(let units, _):
            let w = weights["\(layer.name).weight"]!
            let b = weights["\(layer.name).bias"]
            return x.map { row in
                (0..<units).map { unit in
                    var sum = b?[unit] ?? 0
                    for column in row.indices { sum += row[column] * w[unit * row.count + column] }
                    return sum
                }
            }
        case .activation(let name): return x.map { Self.activate($0, name) }
        case .dropout: return x
        case .layerNorm(let epsilon):
            let (gain, bias) = (weights["\(layer.name).weight"]!, weights["\(layer.name).bias"]!)
            return x.map { row in
                let mean = row.reduce(0, +) / Double(row.count)
                let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(row.count)
                let inverse = 1 / (variance + Double(epsilon)).squareRoot()
                return row.indices.map { (row[$0] - mean) * inverse * gain[$0] + bias[$0] }
            }
        case .batchNorm(let epsilon, _):
            return normalized(
                x, layer, epsilon, weights["\(layer.name).running_mean"]!, weights["\(layer.name).running_var"]!)
        case .sequence(let own): return sequence(own, layer.name, x)
        // Of networks whose identifiers are all of one sequence.
        case .lastStep: return [ids.lastIndex { $0 >= 0 }.map { x[$0] } ?? x[0].map { _ in 0 }]
        case .residual:
            let inner = run(layer.children, x, ids)
            return zip(x, inner).map { zip($0, $1).map { $0 + $1 } }
        case .embedding(let tables, let units, let arrangement):
            if arrangement == .steps {
                let vectors = weights["\(layer.name).0.weight"]!
                return (tables[0].column..<tables[0].column + tables[0].count).map { column in
                    (0..<units).map { ids[column] < 0 ? 0 : vectors[Int(ids[column]) * units + $0] }
                }
            }
            var vectors: [[Double]] = []
            for (index, table) in tables.enumerated() {
                let weight = weights["\(layer.name).\(index).weight"]!
                let present = ids[table.column..<table.column + table.count].filter { $0 >= 0 }.map(Int.init)
                let scale = table.averages ? 1 / Double(max(present.count, 1)) : 1
                var sum = [Double](repeating: 0, count: units)
                for id in present {
                    for unit in 0..<units { sum[unit] += weight[id * units + unit] * scale }
                }
                vectors.append(sum)
            }
            if arrangement == .sum {
                var total = [Double](repeating: 0, count: units)
                for vector in vectors { for unit in 0..<units { total[unit] += vector[unit] } }
                return [total]
            }
            return [(arrangement == .append ? x[0] : []) + vectors.flatMap { $0 }]
        case .flatten: return [x.flatMap { $0 }]
        case .globalMean:
            return [x[0].indices.map { column in x.reduce(0) { $0 + $1[column] } / Double(x.count) }]
        case .convolution(let channels, let height, let width, let stride, let padding):
            let (weight, bias) = (weights["\(layer.name).weight"]!, weights["\(layer.name).bias"]!)
            return slide(layer, x, height, width, stride, padding) { window in
                (0..<channels).map { channel in
                    var sum = bias[channel]
                    for (tap, pixel) in window {
                        for (c, value) in pixel.enumerated() {
                            sum += weight[(channel * height * width + tap) * pixel.count + c] * value
                        }
                    }
                    return sum
                }
            }
        case .pooling(let averages, let height, let width, let stride):
            return slide(layer, x, height, width, stride, 0) { window in
                window[0].pixel.indices.map { c in
                    let values = window.map { $0.pixel[c] }
                    return averages ? values.reduce(0, +) / Double(values.count) : values.max()!
                }
            }
        case .concatenation:
            let parts = layer.branches.map { run($0, x, ids) }
            return parts[0].indices.map { row in parts.flatMap { $0[row] } }
        case .sum:
            let parts = layer.branches.map { run($0, x, ids) }
            var result = parts[0]
            for part in parts.dropFirst() { result = zip(result, part).map { zip($0, $1).map { $0 + $1 } } }
            return result
        case .interaction(let units):
            let row = x[0]
            var products: [Double] = []
            for a in 0..<row.count / units {
                for b in 0..<a {
                    var product = 0.0
                    for j in 0..<units { product += row[a * units + j] * row[b * units + j] }
                    products.append(product)
                }
            }
            return [Array(row[..<units]) + products]
        }
    }

    /// What `body` makes of the pixels of every place of a window.
    private func slide(
        _ layer: ResolvedLayer, _ x: Table, _ height: Int, _ width: Int, _ stride: Int, _ padding: Int,
        _ body: ([(tap: Int, pixel: [Double])]) -> [Double]
    ) -> Table {
        let columns = layer.input.width ?? x.count
        let rows = x.count / columns
        let above = rows == 1 && height == 1 ? 0 : padding
        var result: Table = []
        for y in 0...(rows + 2 * above - height) / stride {
            for left in 0...(columns + 2 * padding - width) / stride {
                var window: [(tap: Int, pixel: [Double])] = []
                for v in 0..<height {
                    for u in 0..<width {
                        let (row, column) = (y * stride - above + v, left * stride - padding + u)
                        guard (0..<rows).contains(row), (0..<columns).contains(column) else { continue }
                        window.append((v * width + u, x[row * columns + column]))
                    }
                }
                result.append(body(window))
            }
        }
        return result
    }

    static func activate(_ x: Double, _ name: ActivationName) -> Double {
        switch name {
        case .relu: max(x, 0)
        case .sigmoid: 1 / (1 + exp(-x))
        case .tanh: tanh(x)
        case .gelu: x * 0.5 * erfc(-x / 2.0.squareRoot())
        case .silu: x / (1 + exp(-x))
        case .softmax: preconditionFailure("a function of rows")
        }
    }

    /// The same of a row.
    static func activate(_ row: [Double], _ name: ActivationName) -> [Double] {
        guard name == .softmax else { return row.map { activate($0, name) } }
        let powers = row.map { exp($0 - row.max()!) }
        return powers.map { $0 / powers.reduce(0, +) }
    }

    /// The gradient of the loss by central differences, for some elements of every parameter.
    func differences(_ data: NetworkData, smoothing: Double = 0, elements: Int = 6) -> [(
        name: String, place: Int, value: Double
    )] {
        var changed = self
        var result: [(name: String, place: Int, value: Double)] = []
        for description in network.parameters where description.role != .statistic {
            let count = description.count
            for index in 0..<min(elements, count) {
                let place = index * max(count / elements, 1) % count
                let old = weights[description.name]![place]
                let step = 1e-5
                changed.weights[description.name]![place] = old + step
                let above = changed.loss(data, smoothing: smoothing)
                changed.weights[description.name]![place] = old - step
                let below = changed.loss(data, smoothing: smoothing)
                changed.weights[description.name]![place] = old
                result.append((description.name, place, (above - below) / (2 * step)))
            }
        }
        return result
    }
}

/// Random rows with what an objective needs.
func networkData(
    rows: Int, columns: Int, outputs: Int, objective: NetworkObjective, weighted: Bool = false, seed: UInt64 = 9,
    identifiers: IdentifierRows? = nil
) -> NetworkData {
    let features = randomTable(rows, columns, scale: 1, seed: seed)
    let random = Philox(seed: seed, stream: 77)
    let labels = (0..<rows).map { Int32(random.integer(UInt64($0), below: max(outputs, 2))) }
    let weights = weighted ? (0..<rows).map { random.uniform(UInt64(5000 + $0)) + 0.5 } : nil
    switch objective {
    case .classes: return NetworkData(features: features, identifiers: identifiers, labels: labels, weights: weights)
    case .binary:
        return NetworkData(
            features: features, identifiers: identifiers, targets: labels.map(Float.init), weights: weights)
    case .squared, .huber, .retrieval:
        let targets = (0..<rows * outputs).map { 4 * random.uniform(UInt64(9000 + $0)) - 2 }
        return NetworkData(features: features, identifiers: identifiers, targets: targets, weights: weights)
    }
}
