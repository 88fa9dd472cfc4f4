import Core
import Learners

/// Generated tables with a known truth.
struct PlantedTable {
    var rows: [[Float]] = []
    var kinds: [TreeFeatureKind] = []
    var target: [Float] = []

    var matrix: HostMatrix {
        HostMatrix(rows: rows.count, columns: kinds.count, elements: rows.flatMap { $0 })
    }

    func data(classes: Int = 0, weights: [Float]? = nil) throws -> TreeData {
        try TreeData(features: matrix, kinds: kinds, target: target, weights: weights, classes: classes)
    }

    /// A score of two products, a step and a category, with noise; three columns don't matter. Some values are missing,
    /// and in column 1 that itself says something.
    static func mixed(rows count: Int, seed: UInt64 = 1, noise: Double = 0.5) -> (table: PlantedTable, score: [Double])
    {
        let random = Philox(seed: seed, stream: 77)
        let effects = (0..<20).map { random.normal(UInt64(10_000_000 + $0)) }
        var table = PlantedTable(kinds: [.number, .number, .number, .category(levels: 20), .number, .number, .number])
        var scores: [Double] = []
        for row in 0..<count {
            let base = UInt64(row) * 16
            var values = (0..<7).map { Float(random.normal(base + UInt64($0))) }
            let level = random.integer(base + 9, below: 20)
            values[3] = Float(level)
            var score = Double(values[0] * values[2]) + (values[2] > 0.3 ? 1 : -0.5) + effects[level]
            if random.uniform(base + 10) < 0.2 {
                values[1] = .nan
                score += 1.5
            } else {
                score += 0.7 * Double(values[1])
            }
            if random.uniform(base + 11) < 0.1 { values[4] = .nan }
            if random.uniform(base + 12) < 0.05 { values[3] = .nan }
            scores.append(score)
            table.rows.append(values)
            table.target.append(Float(score + noise * random.normal(base + 13)))
        }
        return (table, scores)
    }

    /// The same with a target of 0 and 1.
    static func binary(rows: Int, seed: UInt64 = 1) -> PlantedTable {
        var table = mixed(rows: rows, seed: seed).table
        table.target = table.target.map { $0 > 0.5 ? 1 : 0 }
        return table
    }

    /// Small whole numbers: every value has a bin of its own, and rows repeat.
    static func coarse(rows count: Int, columns: Int, values: Int, classes: Int, seed: UInt64) -> PlantedTable {
        let random = Philox(seed: seed, stream: 78)
        var table = PlantedTable(kinds: [TreeFeatureKind](repeating: .number, count: columns))
        for row in 0..<count {
            let base = UInt64(row * (columns + 1))
            table.rows.append((0..<columns).map { Float(random.integer(base + UInt64($0), below: values)) })
            table.target.append(Float(random.integer(base + UInt64(columns), below: max(classes, 50))))
        }
        return table
    }

    func part(_ range: Range<Int>) -> PlantedTable {
        PlantedTable(rows: Array(rows[range]), kinds: kinds, target: Array(target[range]))
    }
}

/// Area under the ROC curve, ties counted half.
func areaUnderCurve(_ scores: [Double], _ labels: [Float]) -> Double {
    let order = scores.indices.sorted { scores[$0] < scores[$1] }
    var (sum, positives, index) = (0.0, 0.0, 0)
    while index < order.count {
        var end = index
        while end < order.count, scores[order[end]] == scores[order[index]] { end += 1 }
        for place in index..<end where labels[order[place]] > 0 {
            sum += Double(index + end + 1) / 2
            positives += 1
        }
        index = end
    }
    let negatives = Double(order.count) - positives
    return (sum - positives * (positives + 1) / 2) / (positives * negatives)
}

/// 1 − squared error over variance.
func explainedVariance(_ predictions: [Double], _ truth: [Double]) -> Double {
    let mean = truth.reduce(0, +) / Double(truth.count)
    let total = truth.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return 1 - zip(predictions, truth).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / total
}

extension HostMatrix {
    func column(_ index: Int) -> [Double] { (0..<rows).map { Double(self[$0, index]) } }
}
