import Core
import Tables

/// How much worse a model gets when a column's values are dealt out to other rows (Breiman 2001).
public struct PermutationImportance: Sendable {
    public let column: String
    /// The mean loss of the deciding figure; positive: the column matters.
    public let loss: Double
    /// Standard deviation over the repeats.
    public let deviation: Double

    /// Importance of every column that the model reads, the most important first.
    ///
    /// - Parameters:
    ///   - data: rows that the model has not learned from; at most `limit` of them are used.
    ///   - repeats: how often each column is dealt out.
    /// - Complexity: columns · repeats predictions of the rows.
    public static func measure(
        _ pipeline: FittedPipeline, on data: SupervisedTable, metric: String? = nil, repeats: Int = 5,
        limit: Int = 5000, seed: UInt64 = 42, context: LearningContext
    ) throws -> (metric: String, base: Double, columns: [PermutationImportance]) {
        let metric = metric ?? SupervisedEvaluation.primaryMetric(data.task.kind)
        let sign = SupervisedEvaluation.isHigherBetter(metric) ? 1.0 : -1.0
        let random = Philox(seed: seed, stream: 0x5045_524D)
        var data = data
        if data.rows > limit {
            data = data.selecting(rows: random.permutation(count: data.rows).prefix(limit).sorted())
        }
        func value(_ table: Table) throws -> Double {
            let predictions = try pipeline.predict(table, context: context.silent)
            let all = SupervisedEvaluation.values(
                predictions, task: data.task, target: data.target, weights: data.weights)
            guard let found = all.first(where: { $0.name == metric })?.value else {
                throw ParameterError("metric", "`\(metric)` is none of \(all.map(\.name).joined(separator: ", "))")
            }
            return found
        }
        let base = try value(data.table)
        let sources = Set(pipeline.recipe.features.map(\.source))
        let columns = data.table.columns.filter { sources.contains($0.name) }
        var result: [PermutationImportance] = []
        for (number, column) in columns.enumerated() {
            try context.report("explain", completed: number, total: columns.count, unit: "columns")
            let losses = try (0..<repeats).map { round -> Double in
                let order = Philox(seed: seed, stream: 0x5045_0000 + UInt64(round)).permutation(count: data.rows)
                return sign * (base - (try value(try data.table.setting(column.selecting(order)))))
            }
            let mean = losses.reduce(0, +) / Double(repeats)
            let variance = losses.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(repeats - 1, 1))
            result.append(
                PermutationImportance(column: column.name, loss: mean, deviation: variance.squareRoot()))
        }
        return (metric, base, result.sorted { $0.loss != $1.loss ? $0.loss > $1.loss : $0.column < $1.column })
    }
}

/// The average prediction if a column had a value in every row (Friedman 2001).
public struct PartialDependence: Sendable {
    public let column: String
    /// Values of the column as text, and as numbers where it is one.
    public let points: [(text: String, number: Double?, prediction: Double)]
    /// The share of rows at or near each point: where there are none, the curve means little.
    public let shares: [Double]

    /// - Parameters:
    ///   - output: the class whose probability is averaged; 0 for numbers.
    ///   - grid: points of a number, at its quantiles; categories have one for each of their most frequent levels.
    public static func measure(
        _ pipeline: FittedPipeline, on table: Table, column name: String, output: Int, grid: Int = 20,
        limit: Int = 1000, seed: UInt64 = 42, context: LearningContext
    ) throws -> PartialDependence {
        let random = Philox(seed: seed, stream: 0x5044_5000)
        let rows =
            table.rowCount > limit
            ? random.permutation(count: table.rowCount).prefix(limit).sorted() : Array(0..<table.rowCount)
        let sample = table.selecting(rows: rows)
        let column = try table.column(name)
        let present = (0..<table.rowCount).filter { !column.isMissing($0) }
        guard !present.isEmpty else { throw DataError("every value is missing", column: name) }
        // Rows whose value stands for each point of the grid.
        var chosen: [Int]
        var shares: [Double]
        if let numbers = column.numbers, column.type != .boolean {
            let order = present.sorted { numbers[$0] != numbers[$1] ? numbers[$0] < numbers[$1] : $0 < $1 }
            chosen = []
            for point in 0..<grid {
                let row = order[point * (order.count - 1) / max(grid - 1, 1)]
                if chosen.last.map({ numbers[$0] != numbers[row] }) ?? true { chosen.append(row) }
            }
            shares = [Double](repeating: 1 / Double(chosen.count), count: chosen.count)
        } else {
            var (first, counts): ([String: Int], [String: Int]) = ([:], [:])
            for row in present {
                let text = column.text(row) ?? ""
                if first[text] == nil { first[text] = row }
                counts[text, default: 0] += 1
            }
            let levels = counts.sorted { $0.value != $1.value ? $0.value > $1.value : $0.key < $1.key }.prefix(grid)
            chosen = levels.compactMap { first[$0.key] }
            shares = levels.map { Double($0.value) / Double(present.count) }
        }
        let points = try chosen.map { row -> (text: String, number: Double?, prediction: Double) in
            let same = column.selecting([Int](repeating: row, count: sample.rowCount))
            let predictions = try pipeline.predict(try sample.setting(same), context: context.silent)
            var sum = 0.0
            for place in 0..<predictions.rows { sum += Double(predictions[place, output]) }
            return (
                column.text(row) ?? "", column.numbers?[row], sum / Double(max(predictions.rows, 1))
            )
        }
        return PartialDependence(column: name, points: points, shares: shares)
    }
}
