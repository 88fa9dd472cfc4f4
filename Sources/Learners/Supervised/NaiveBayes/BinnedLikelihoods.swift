import Core
import Tables

/// The likelihood of each column's values in each class, by ranges.
///
/// A number is cut at the quantiles of the training rows. The columns of 0 and 1 that one category was made into are one
/// variable: the level that is there counts, those that are not do not.
struct BinnedLikelihoods: Sendable {
    /// For each column, where ranges end; ascending. A value belongs to the first range whose end is above it.
    let edges: [[Double]]
    /// For each column, (ranges × classes) logarithms.
    let tables: [[Double]]

    init(edges: [[Double]], tables: [[Double]]) {
        self.edges = edges
        self.tables = tables
    }

    /// O(rows · columns · log rows). Sparse features are taken as dense ones.
    init(_ training: TrainingSet, bins: Int, alpha: Double, classWeights: [Double]) throws {
        let (rows, columns, k) = (training.rows, training.features.columns.count, training.task.labels.count)
        guard rows * columns <= 1 << 31 else {
            throw DataError("naive Bayes by ranges of \(rows) × \(columns) sparse values is too much; use multinomial")
        }
        let matrix = training.features.dense
        let isFlag = (0..<columns).map { column in
            (0..<rows).allSatisfy { matrix[$0, column] == 0 || matrix[$0, column] == 1 }
        }
        // Flags of one source are a category when no row has two of them.
        var members: [String: [Int]] = [:]
        for (column, feature) in training.features.columns.enumerated() where isFlag[column] {
            members[feature.source, default: []].append(column)
        }
        var levels = [Int](repeating: 0, count: columns)
        for group in members.values where group.count > 1 {
            let isExclusive = (0..<rows).allSatisfy { row in group.reduce(0) { $0 + matrix[row, $1] } <= 1 }
            if isExclusive { for column in group { levels[column] = group.count } }
        }
        var (edges, tables): ([[Double]], [[Double]]) = ([], [])
        for column in 0..<columns {
            let values = (0..<rows).map { Double(matrix[$0, column]) }
            let own = levels[column] > 0 ? [0.5] : Self.quantiles(values, bins: bins)
            var counts = [Double](repeating: 0, count: (own.count + 1) * k)
            for row in 0..<rows {
                counts[Self.range(of: values[row], own) * k + Int(training.target[row])] += training.weight(row)
            }
            var table = [Double](repeating: 0, count: counts.count)
            let kinds = Double(levels[column] > 0 ? levels[column] : own.count + 1)
            for place in counts.indices {
                // Of a category, the absence of a level says nothing: the level that is there says it.
                if levels[column] > 0, place < k { continue }
                table[place] = logarithm((counts[place] + alpha) / (classWeights[place % k] + alpha * kinds))
            }
            edges.append(own)
            tables.append(table)
        }
        self.init(edges: edges, tables: tables)
    }

    /// The range of a value, from 0.
    static func range(of value: Double, _ edges: [Double]) -> Int {
        var (low, high) = (0, edges.count)
        while low < high {
            let middle = (low + high) / 2
            if edges[middle] <= value { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func quantiles(_ values: [Double], bins: Int) -> [Double] {
        let sorted = values.sorted()
        guard let least = sorted.first else { return [] }
        var edges: [Double] = []
        for bin in 1..<bins {
            let edge = sorted[bin * sorted.count / bins]
            if edge > (edges.last ?? least) { edges.append(edge) }
        }
        return edges
    }
}
