import Compute
import Glibc
import Learners

/// Layers of sequences in double precision, straight from their formulas.
extension ReferenceNetwork {
    func sequence(_ layer: SequenceLayer, _ name: String, _ x: Table) -> Table {
        switch layer {
        case .positions(let learned):
            return x.enumerated().map { position, row in
                row.enumerated().map { column, value in
                    if learned { return value + weights["\(name).weight"]![position * row.count + column] }
                    let angle = Double(position) / pow(10_000, Double(column / 2 * 2) / Double(row.count))
                    return value + (column % 2 == 0 ? sin(angle) : cos(angle))
                }
            }
        case .attention(let heads, let causal): return attention("\(name).", x, heads, causal)
        case .transformer(let block):
            func add(_ a: Table, _ b: Table) -> Table { zip(a, b).map { zip($0, $1).map { $0 + $1 } } }
            func norm(_ number: Int, _ x: Table) -> Table { layerNorm("\(name).norm\(number)", x) }
            func dense(_ x: Table) -> Table {
                let inner = linear("\(name).linear1.weight", "\(name).linear1.bias", x)
                let active = inner.map { Self.activate($0, block.activation) }
                return linear("\(name).linear2.weight", "\(name).linear2.bias", active)
            }
            func mixed(_ x: Table) -> Table { attention("\(name).self_attn.", x, block.heads, block.causal) }
            if block.normFirst {
                let middle = add(x, mixed(norm(1, x)))
                return add(middle, dense(norm(2, middle)))
            }
            let middle = norm(1, add(x, mixed(x)))
            return norm(2, add(middle, dense(middle)))
        case .recurrent(let cell, let units): return recurrent(cell, units, name, x)
        }
    }

    private func linear(_ weight: String, _ bias: String, _ x: Table) -> Table {
        let (w, b) = (weights[weight]!, weights[bias]!)
        return x.map { row in
            b.indices.map { unit in
                row.indices.reduce(b[unit]) { $0 + row[$1] * w[unit * row.count + $1] }
            }
        }
    }

    private func layerNorm(_ name: String, _ x: Table) -> Table {
        x.map { row in
            let mean = row.reduce(0, +) / Double(row.count)
            let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(row.count)
            let inverse = 1 / (variance + Double(Float(1e-5))).squareRoot()
            return row.indices.map {
                (row[$0] - mean) * inverse * weights["\(name).weight"]![$0] + weights["\(name).bias"]![$0]
            }
        }
    }

    private func attention(_ prefix: String, _ x: Table, _ heads: Int, _ causal: Bool) -> Table {
        let d = x[0].count
        let width = d / heads
        let all = linear("\(prefix)in_proj_weight", "\(prefix)in_proj_bias", x)
        var mixed = Table(repeating: [Double](repeating: 0, count: d), count: x.count)
        for head in 0..<heads {
            let columns = head * width..<(head + 1) * width
            for row in x.indices {
                let seen = causal ? row + 1 : x.count
                let scores = (0..<seen).map { key in
                    columns.reduce(0) { $0 + all[row][$1] * all[key][d + $1] } / Double(width).squareRoot()
                }
                let top = scores.max()!
                let powers = scores.map { exp($0 - top) }
                let sum = powers.reduce(0, +)
                for (key, power) in powers.enumerated() {
                    for column in columns { mixed[row][column] += power / sum * all[key][2 * d + column] }
                }
            }
        }
        return linear("\(prefix)out_proj.weight", "\(prefix)out_proj.bias", mixed)
    }

    private func recurrent(_ cell: RecurrentCell, _ units: Int, _ name: String, _ x: Table) -> Table {
        let inputs = linear("\(name).weight_ih_l0", "\(name).bias_ih_l0", x)
        var (state, memory) = ([Double](repeating: 0, count: units), [Double](repeating: 0, count: units))
        func sigmoid(_ z: Double) -> Double { 1 / (1 + exp(-z)) }
        return inputs.map { row in
            let r = linear("\(name).weight_hh_l0", "\(name).bias_hh_l0", [state])[0]
            func sum(_ gate: Int, _ unit: Int) -> Double { row[gate * units + unit] + r[gate * units + unit] }
            switch cell {
            case .simple: state = (0..<units).map { tanh(sum(0, $0)) }
            case .gru:
                state = (0..<units).map { unit in
                    let (reset, update) = (sigmoid(sum(0, unit)), sigmoid(sum(1, unit)))
                    let candidate = tanh(row[2 * units + unit] + reset * r[2 * units + unit])
                    return (1 - update) * candidate + update * state[unit]
                }
            case .lstm:
                for unit in 0..<units {
                    memory[unit] = sigmoid(sum(1, unit)) * memory[unit] + sigmoid(sum(0, unit)) * tanh(sum(2, unit))
                    state[unit] = sigmoid(sum(3, unit)) * tanh(memory[unit])
                }
            }
            return state
        }
    }
}
