import Core
import Tables

/// Likelihoods of the columns in each class.
///
/// Tensors: `predictor.coefficients` (F64, (columns + 1) × classes, log priors last) of the variants that are linear in
/// the values, with ``LinearPredictor``'s others; `predictor.means`, `predictor.variances` (F64, columns × classes) and
/// `predictor.log_priors` of the Gaussian; `predictor.edges`, `predictor.log_likelihoods` (F64, column after column) and
/// `predictor.edge_counts` (I64) of the binned.
public struct NaiveBayesPredictor: SupervisedPredictor {
    public struct Settings: Codable, Sendable {
        public var variant: NaiveBayes.Variant
        public var binarize: Double
    }

    enum Parameters: Sendable {
        case linear([Double])
        case gaussian(means: [Double], variances: [Double], logPriors: [Double])
        case binned(BinnedLikelihoods, logPriors: [Double])
    }

    public let settings: Settings
    private let linear: LinearPredictor?
    private let binned: BinnedLikelihoods?
    private let means: [Double]
    private let variances: [Double]
    private let logPriors: [Double]
    private let task: SupervisedTask
    private let columnCount: Int

    init(settings: Settings, parameters: Parameters, training: TrainingSet) {
        self.settings = settings
        task = training.task
        columnCount = training.features.columns.count
        switch parameters {
        case .linear(let weights):
            linear = LinearPredictor(
                weights: weights, standardErrors: nil, settings: Self.linearSettings, training: training)
            (binned, means, variances, logPriors) = (nil, [], [], [])
        case .binned(let likelihoods, let logPriors):
            linear = nil
            binned = likelihoods
            (means, variances, self.logPriors) = ([], [], logPriors)
        case .gaussian(let means, let variances, let logPriors):
            (linear, binned) = (nil, nil)
            (self.means, self.variances, self.logPriors) = (means, variances, logPriors)
        }
    }

    private static let linearSettings = LinearPredictor.Settings(
        link: .softmax, iterations: 1, converged: true, objective: 0, solver: "counting")

    public init(
        settings: Settings, file: SafetensorsFile, task: SupervisedTask, columns: [FeatureDescription]
    ) throws {
        self.settings = settings
        self.task = task
        columnCount = columns.count
        if settings.variant == .binned {
            linear = nil
            (means, variances) = ([], [])
            logPriors = try file.doubles("predictor.log_priors", shape: [task.labels.count]).array
            let counts = try file.int64s("predictor.edge_counts", shape: [columns.count]).array.map { Int($0) }
            let edges = try file.doubles("predictor.edges").array
            let tables = try file.doubles("predictor.log_likelihoods").array
            let k = task.labels.count
            guard counts.allSatisfy({ $0 >= 0 && $0 <= edges.count }), counts.reduce(0, +) == edges.count,
                tables.count == (edges.count + columns.count) * k
            else { throw DataError("the likelihoods of the file are damaged") }
            var (ownEdges, ownTables, first): ([[Double]], [[Double]], Int) = ([], [], 0)
            for (column, count) in counts.enumerated() {
                ownEdges.append(Array(edges[first..<first + count]))
                ownTables.append(Array(tables[(first + column) * k..<(first + column + count + 1) * k]))
                first += count
            }
            binned = BinnedLikelihoods(edges: ownEdges, tables: ownTables)
            return
        }
        binned = nil
        if settings.variant == .gaussian {
            linear = nil
            let shape = [columns.count, task.labels.count]
            means = try file.doubles("predictor.means", shape: shape).array
            variances = try file.doubles("predictor.variances", shape: shape).array
            logPriors = try file.doubles("predictor.log_priors", shape: [task.labels.count]).array
        } else {
            linear = try LinearPredictor(settings: Self.linearSettings, file: file, task: task, columns: columns)
            (means, variances, logPriors) = ([], [], [])
        }
    }

    public func write(to writer: inout SafetensorsWriter) {
        if let linear { return linear.write(to: &writer) }
        if let binned {
            let (edges, tables) = (binned.edges.flatMap { $0 }, binned.tables.flatMap { $0 })
            writer.add("predictor.edges", shape: [edges.count], HostBuffer(edges))
            writer.add("predictor.edge_counts", shape: [columnCount], HostBuffer(binned.edges.map { Int64($0.count) }))
            writer.add("predictor.log_likelihoods", shape: [tables.count], HostBuffer(tables))
            writer.add("predictor.log_priors", shape: [task.labels.count], HostBuffer(logPriors))
            return
        }
        let shape = [columnCount, task.labels.count]
        writer.add("predictor.means", shape: shape, HostBuffer(means))
        writer.add("predictor.variances", shape: shape, HostBuffer(variances))
        writer.add("predictor.log_priors", shape: [task.labels.count], HostBuffer(logPriors))
    }

    public var coefficients: [Coefficient]? { linear?.coefficients }

    public var importances: FeatureImportances? {
        if let linear { return linear.importances }
        if let binned {
            let k = task.labels.count
            return FeatureImportances(
                measure: "spread of the log likelihoods",
                values: binned.tables.map { table in
                    var widest = 0.0
                    for range in 0..<table.count / k {
                        let own = table[range * k..<(range + 1) * k]
                        widest = max(widest, (own.max() ?? 0) - (own.min() ?? 0))
                    }
                    return widest
                })
        }
        // How far the classes' means are apart, in standard deviations.
        let k = task.labels.count
        return FeatureImportances(
            measure: "spread of the classes' means, in standard deviations",
            values: (0..<columnCount).map { column in
                let own = (0..<k).map { means[column * k + $0] }
                let variance = (0..<k).reduce(0.0) { $0 + variances[column * k + $1] } / Double(k)
                return ((own.max() ?? 0) - (own.min() ?? 0)) / max(variance, 1e-300).squareRoot()
            })
    }

    public func contributions(
        of features: Features, output: Int, context: LearningContext
    ) throws -> FeatureContributions? {
        guard linear == nil else {
            guard task.kind == .binary, let linear else {
                return try linear?.contributions(of: binarized(features), output: output, context: context)
            }
            // Of two classes, the difference of their scores is the log odds.
            let (features, other) = (binarized(features), 1 - output)
            guard let own = try linear.contributions(of: features, output: output, context: context),
                let theirs = try linear.contributions(of: features, output: other, context: context)
            else { return nil }
            return FeatureContributions(
                base: own.base - theirs.base, values: zip(own.values, theirs.values).map { $0 - $1 },
                columns: own.columns, scale: "log odds")
        }
        let k = task.labels.count
        let others = task.kind == .binary ? [1 - output] : (0..<k).filter { $0 != output }
        let matrix = features.dense
        var values = [Double](repeating: 0, count: features.rows * columnCount)
        for row in 0..<features.rows {
            for column in 0..<columnCount {
                let value = Double(matrix[row, column])
                let rest = others.reduce(0.0) { $0 + logDensity(value, column, $1) } / Double(others.count)
                values[row * columnCount + column] = logDensity(value, column, output) - rest
            }
        }
        let base = logPriors[output] - others.reduce(0.0) { $0 + logPriors[$1] } / Double(others.count)
        return FeatureContributions(
            base: base, values: values, columns: columnCount,
            scale: task.kind == .binary ? "log odds" : "score against the mean of the other classes")
    }

    private func logDensity(_ value: Double, _ column: Int, _ output: Int) -> Double {
        if let binned {
            return binned.tables[column][
                BinnedLikelihoods.range(of: value, binned.edges[column]) * task.labels.count + output]
        }
        let place = column * task.labels.count + output
        let difference = value - means[place]
        return -0.5 * (logarithm(2 * Double.pi * variances[place]) + difference * difference / variances[place])
    }

    private func binarized(_ features: Features) -> Features {
        guard settings.variant == .bernoulli else { return features }
        let threshold = Float(settings.binarize)
        switch features.values {
        case .sparse(let matrix) where threshold >= 0:
            return Features(
                columns: features.columns,
                values: .sparse(
                    HostSparseMatrix(
                        rows: matrix.rows, columns: matrix.columns, rowPointers: matrix.rowPointers,
                        columnIndices: matrix.columnIndices,
                        values: HostBuffer(matrix.values.elements.map { $0 > threshold ? 1 : 0 }))))
        default:
            let matrix = features.dense
            return Features(
                columns: features.columns,
                values: .dense(
                    HostMatrix(
                        rows: matrix.rows, columns: matrix.columns,
                        storage: HostBuffer(matrix.storage.elements.map { $0 > threshold ? 1 : 0 }))))
        }
    }

    public func predict(_ features: Features, context: LearningContext) throws -> HostMatrix {
        if let linear { return try linear.predict(binarized(features), context: context) }
        let k = task.labels.count
        let predictions = HostMatrix(rows: features.rows, columns: k)
        let matrix = features.dense
        let scores = scoring()
        let chunk = 512
        Workers.share(tasks: (features.rows + chunk - 1) / chunk, threads: context.threads) { number in
            for row in number * chunk..<min((number + 1) * chunk, matrix.rows) {
                let own = scores(matrix.row(row))
                let largest = own.max() ?? 0
                var sum = 0.0
                for output in 0..<k { sum += exponential(own[output] - largest) }
                for output in 0..<k { predictions[row, output] = Float(exponential(own[output] - largest) / sum) }
            }
        }
        return predictions
    }

    /// The classes' log likelihoods of a row, in double precision: far values have scores of thousands.
    private func scoring() -> (UnsafeMutableBufferPointer<Float>) -> [Double] {
        let (k, columns, priors) = (task.labels.count, columnCount, logPriors)
        if let binned {
            return { values in
                var scores = priors
                for column in 0..<columns {
                    let first = BinnedLikelihoods.range(of: Double(values[column]), binned.edges[column]) * k
                    for output in 0..<k { scores[output] += binned.tables[column][first + output] }
                }
                return scores
            }
        }
        // A constant and Σ (x − mean)² · factor.
        var constants = priors
        var factors = [Double](repeating: 0, count: columns * k)
        for place in factors.indices {
            constants[place % k] -= 0.5 * logarithm(2 * Double.pi * variances[place])
            factors[place] = -0.5 / variances[place]
        }
        let (means, start, weights) = (means, constants, factors)
        return { values in
            var scores = start
            for column in 0..<columns {
                let value = Double(values[column])
                for output in 0..<k {
                    let difference = value - means[column * k + output]
                    scores[output] += difference * difference * weights[column * k + output]
                }
            }
            return scores
        }
    }
}
