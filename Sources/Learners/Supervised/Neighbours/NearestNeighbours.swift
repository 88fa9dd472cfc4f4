import Compute
import Core
import Tables

/// k nearest neighbours: a row is predicted by those of the training rows that are most like it.
///
/// The candidates are found on the device, by one product with the k best kept; their distances are then computed once
/// more in double precision.
public struct NearestNeighbours: SupervisedLearner {
    public typealias Predictor = NearestNeighboursPredictor

    public enum Metric: String, Codable, Sendable, CaseIterable {
        /// Straight-line distance.
        case euclidean
        /// 1 − the cosine of the angle: for texts.
        case cosine
    }

    public enum Vote: String, Codable, Sendable, CaseIterable {
        /// All neighbours count alike.
        case uniform
        /// By 1 / distance; a neighbour at distance 0 decides alone.
        case distance
    }

    public static let kind = "knn"
    public static let title = "Nearest neighbours"
    public static let tasks: Set<SupervisedTask.Kind> = [.regression, .binary, .multiclass]
    public static let searchSpace: [SearchDimension] = [
        .range("neighbours", 1, 100, logarithmic: true, whole: true),
        .choices("vote", [.text("uniform"), .text("distance")]),
    ]

    /// How many neighbours are asked, 1 to 1000.
    public var neighbours = 15
    public var metric = Metric.euclidean
    public var vote = Vote.uniform
    public var seed: UInt64 = 42

    public init() {}

    public func validate() throws {
        guard (1...1000).contains(neighbours) else {
            throw ParameterError("neighbours", "must be from 1 to 1000, not \(neighbours)")
        }
    }

    public func fit(_ training: TrainingSet, context: LearningContext) throws -> NearestNeighboursPredictor {
        try validate()
        try training.validate()
        _ = try DesignMatrix(training.features, threads: context.threads)
        try context.report(completed: 0, total: 1, unit: "passes")
        return NearestNeighboursPredictor(
            settings: .init(neighbours: neighbours, metric: metric, vote: vote), training: training)
    }
}

/// The training rows, kept.
///
/// Tensors: `predictor.points` (F32, rows × columns) or `predictor.points.row_pointers`, `.columns`, `.values`;
/// `predictor.targets` and `predictor.weights` (F64).
public struct NearestNeighboursPredictor: SupervisedPredictor {
    public struct Settings: Codable, Sendable {
        public var neighbours: Int
        public var metric: NearestNeighbours.Metric
        public var vote: NearestNeighbours.Vote
    }

    public let settings: Settings
    private let points: Features.Values
    private let targets: [Double]
    private let weights: [Double]
    private let task: SupervisedTask
    private let columnCount: Int

    init(settings: Settings, training: TrainingSet) {
        self.settings = settings
        points = training.features.values
        targets = training.target
        weights = training.effectiveWeights
        task = training.task
        columnCount = training.features.columns.count
    }

    public init(
        settings: Settings, file: SafetensorsFile, task: SupervisedTask, columns: [FeatureDescription]
    ) throws {
        self.settings = settings
        self.task = task
        columnCount = columns.count
        targets = try file.doubles("predictor.targets").array
        weights = try file.doubles("predictor.weights", shape: [targets.count]).array
        guard targets.allSatisfy({ task.kind == .regression || ($0 >= 0 && Int($0) < task.labels.count) }) else {
            throw DataError("`predictor.targets` of the file is damaged")
        }
        if file.tensor("predictor.points") != nil {
            points = .dense(
                HostMatrix(
                    rows: targets.count, columns: columns.count,
                    storage: try file.floats("predictor.points", shape: [targets.count, columns.count])))
        } else {
            points = .sparse(try file.sparse("predictor.points", rows: targets.count, columns: columns.count))
        }
    }

    public func write(to writer: inout SafetensorsWriter) {
        switch points {
        case .dense(let matrix):
            writer.add("predictor.points", shape: [matrix.rows, matrix.columns], matrix.storage)
        case .sparse(let matrix): writer.add(matrix, as: "predictor.points")
        }
        writer.add("predictor.targets", shape: [targets.count], HostBuffer(targets))
        writer.add("predictor.weights", shape: [weights.count], HostBuffer(weights))
    }

    public var facts: [(name: String, value: Double)] {
        [("neighbours", Double(settings.neighbours)), ("points", Double(targets.count))]
    }

    public func predict(_ features: Features, context: LearningContext) throws -> HostMatrix {
        let search = NeighbourSearch(points: points, metric: settings.metric, stream: context.stream)
        let count = min(settings.neighbours, targets.count)
        let predictions = HostMatrix(rows: features.rows, columns: task.outputs)
        let block = NeighbourSearch.block
        for first in stride(from: 0, to: features.rows, by: block) {
            try context.report("predict", completed: first, total: features.rows, unit: "rows")
            let rows = Array(first..<min(first + block, features.rows))
            let found = try search.nearest(to: features.selecting(rows: rows), count: count, threads: context.threads)
            for (place, row) in rows.enumerated() {
                vote(Array(found[place]), predictions.row(row))
            }
        }
        return predictions
    }

    private func vote(
        _ neighbours: [(row: Int, distance: Double)], _ prediction: UnsafeMutableBufferPointer<Float>
    ) {
        var sums = [Double](repeating: 0, count: task.outputs)
        var total = 0.0
        let touches = settings.vote == .distance && neighbours.contains { $0.distance == 0 }
        for neighbour in neighbours {
            var weight = weights[neighbour.row]
            if settings.vote == .distance {
                weight *= touches ? (neighbour.distance == 0 ? 1 : 0) : 1 / neighbour.distance
            }
            total += weight
            if task.isClassification {
                sums[Int(targets[neighbour.row])] += weight
            } else {
                sums[0] += weight * targets[neighbour.row]
            }
        }
        for output in sums.indices {
            prediction[output] = Float(
                total > 0 ? sums[output] / total : task.isClassification ? 1 / Double(task.outputs) : 0)
        }
    }
}

/// The nearest of some points, by the device's product and k best.
struct NeighbourSearch {
    /// Queries at a time.
    static let block = 512

    let points: Features.Values
    let metric: NearestNeighbours.Metric
    let stream: Compute.Stream

    /// Neighbours of each query, nearest first; equally near ones by their row.
    func nearest(to queries: Features, count: Int, threads: Int) throws -> [[(row: Int, distance: Double)]] {
        // A few more than asked for: float32 may confuse neighbours that are almost equally near.
        let total = rows(points)
        let kept = min(count + 8, total)
        let candidates = try candidates(queries, count: kept)
        let result = HostBuffer<Int32>(uninitializedCount: queries.rows * count)
        let distances = HostBuffer<Double>(uninitializedCount: queries.rows * count)
        let (points, metric) = (points, metric)
        Workers.share(tasks: queries.rows, threads: threads) { query in
            var found: [(row: Int, distance: Double)] = []
            for place in 0..<kept {
                let row = Int(candidates[query * kept + place])
                if row < 0 { continue }
                found.append((row, Self.distance(queries.values, query, points, row, metric)))
            }
            found.sort { $0.distance != $1.distance ? $0.distance < $1.distance : $0.row < $1.row }
            for place in 0..<count {
                result.baseAddress[query * count + place] = place < found.count ? Int32(found[place].row) : -1
                distances.baseAddress[query * count + place] = place < found.count ? found[place].distance : 0
            }
        }
        return (0..<queries.rows).map { query in
            (0..<count).compactMap { place in
                let row = result[query * count + place]
                return row < 0 ? nil : (Int(row), distances[query * count + place])
            }
        }
    }

    private func rows(_ values: Features.Values) -> Int {
        switch values {
        case .dense(let matrix): matrix.rows
        case .sparse(let matrix): matrix.rows
        }
    }

    /// Rows with the largest x·y − |y|²/2 (cosine: x·y/|y|), which are the nearest.
    private func candidates(_ queries: Features, count: Int) throws -> [Int32] {
        switch points {
        case .dense(let matrix):
            var table = matrix
            var bias: HostMatrix?
            if metric == .cosine {
                table = HostMatrix(rows: matrix.rows, columns: matrix.columns)
                for row in 0..<matrix.rows {
                    let length = Self.squaredNorm(points, row).squareRoot()
                    for column in 0..<matrix.columns {
                        table[row, column] = length > 0 ? Float(Double(matrix[row, column]) / length) : 0
                    }
                }
            } else {
                bias = HostMatrix(
                    rows: 1, columns: matrix.rows,
                    elements: (0..<matrix.rows).map { Float(-0.5 * Self.squaredNorm(points, $0)) })
            }
            let indices = try stream.allocate(rows: queries.rows, columns: count, .int32)
            let scores = try stream.allocate(rows: queries.rows, columns: count)
            try stream.topK(
                queries: try stream.wrap(queries.dense), candidates: try stream.wrap(table),
                candidateBias: try bias.map { try stream.wrap($0) }, indices: indices, scores: scores)
            return try stream.download(indices, as: Int32.self)
        case .sparse(let matrix):
            return try sparseCandidates(queries, matrix, count: count)
        }
    }

    /// Of sparse points: the product with a block of dense queries, then the best of each on the host.
    private func sparseCandidates(_ queries: Features, _ matrix: HostSparseMatrix, count: Int) throws -> [Int32] {
        let dense = queries.dense
        let transposed = HostMatrix(rows: dense.columns, columns: dense.rows)
        for row in 0..<dense.rows { for column in 0..<dense.columns { transposed[column, row] = dense[row, column] } }
        let products = try stream.allocate(rows: matrix.rows, columns: dense.rows)
        try stream.multiply(try stream.wrap(matrix), try stream.wrap(transposed), into: products)
        let scores = try stream.download(products)
        let norms = (0..<matrix.rows).map { Self.squaredNorm(points, $0) }
        var result = [Int32](repeating: -1, count: dense.rows * count)
        for query in 0..<dense.rows {
            let values = (0..<matrix.rows).map { row -> Float in
                metric == .cosine
                    ? (norms[row] > 0 ? scores[row, query] / Float(norms[row].squareRoot()) : 0)
                    : scores[row, query] - Float(norms[row] / 2)
            }
            let best = values.indices.sorted { values[$0] != values[$1] ? values[$0] > values[$1] : $0 < $1 }
            for place in 0..<count { result[query * count + place] = Int32(best[place]) }
        }
        return result
    }

    private static func squaredNorm(_ values: Features.Values, _ row: Int) -> Double {
        switch values {
        case .dense(let matrix): matrix.row(row).reduce(0) { $0 + Double($1) * Double($1) }
        case .sparse(let matrix):
            matrix.range(ofRow: row).reduce(0) { $0 + Double(matrix.values[$1]) * Double(matrix.values[$1]) }
        }
    }

    private static func distance(
        _ queries: Features.Values, _ query: Int, _ points: Features.Values, _ row: Int,
        _ metric: NearestNeighbours.Metric
    ) -> Double {
        var (product, difference) = (0.0, 0.0)
        switch (queries, points) {
        case (.dense(let left), .dense(let right)):
            let (a, b) = (left.row(query), right.row(row))
            for column in a.indices {
                let (x, y) = (Double(a[column]), Double(b[column]))
                product += x * y
                difference += (x - y) * (x - y)
            }
        case (.sparse(let left), .sparse(let right)):
            var (own, theirs) = (left.range(ofRow: query), right.range(ofRow: row))
            while let first = own.first, let second = theirs.first {
                let (a, b) = (left.columnIndices[first], right.columnIndices[second])
                if a == b { product += Double(left.values[first]) * Double(right.values[second]) }
                if a <= b { own = own.dropFirst() }
                if b <= a { theirs = theirs.dropFirst() }
            }
            difference = squaredNorm(queries, query) + squaredNorm(points, row) - 2 * product
        default:
            preconditionFailure("a recipe gives one form for all tables")
        }
        guard metric == .cosine else { return max(difference, 0).squareRoot() }
        let lengths = (squaredNorm(queries, query) * squaredNorm(points, row)).squareRoot()
        return lengths > 0 ? max(1 - product / lengths, 0) : 1
    }
}
