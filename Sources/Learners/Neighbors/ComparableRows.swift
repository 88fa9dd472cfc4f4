import CVectorLoops
import Core
import Tables

/// Sparse rows prepared for comparison: weighted, in both orders, with what each similarity needs of a row.
package struct ComparableRows: Sendable {
    let options: NeighborOptions
    /// rows × features, weighted.
    let rows: HostSparseMatrix
    /// features × rows, the transpose.
    let byFeature: HostSparseMatrix
    /// 1 / norm of each row, or its number of features; 1 where neither is needed.
    let scales: HostBuffer<Float>
    /// How rows are weighted.
    private let weighting: RowWeighting
    /// Whether all weights are 1, which spares reading them.
    private let isUnit: Bool

    /// - Parameter matrix: rows × features with the values as they were read.
    package init(_ matrix: HostSparseMatrix, options: NeighborOptions) throws(DataError) {
        self.options = options
        for value in matrix.values.elements where !value.isFinite || (!options.similarity.usesRatings && value < 0) {
            throw DataError(
                options.similarity.usesRatings
                    ? "a rating of \(value) is not finite"
                    : "a value of \(value): \(options.similarity.rawValue) needs finite values from 0 up; drop such rows "
                        + "(--minimum-value) or use a similarity of ratings")
        }
        var counts = [Float](repeating: 0, count: matrix.columns)
        var sums = [Double](repeating: 0, count: matrix.columns)
        var total = 0.0
        for entry in 0..<matrix.entryCount {
            counts[Int(matrix.columnIndices[entry])] += 1
            sums[Int(matrix.columnIndices[entry])] += Double(matrix.values[entry])
            if options.similarity == .bm25 { total += Double(options.confidence.weight(matrix.values[entry])) }
        }
        let occupied = Double(FactorizationData.occupiedRows(matrix))
        let averageLength = Float(total / max(occupied, 1))
        let featureWeights: [Float]
        switch options.similarity {
        case .tfidf: featureWeights = counts.map { Float(logarithm(1 + occupied / Double(max($0, 1)))) }
        case .bm25:
            featureWeights = counts.map { count in
                Float(logarithm(1 + (occupied - Double(count) + 0.5) / (Double(count) + 0.5)))
            }
        case .adjustedCosine:
            featureWeights = zip(sums, counts).map { Float($0 / Double(max($1, 1))) }
        default: featureWeights = []
        }
        let weighting = RowWeighting(
            options: options, featureWeights: featureWeights, averageLength: averageLength)
        let isUnit =
            options.similarity == .jaccard || (options.similarity == .cosine && options.confidence == .constant)
        let weighted = isUnit ? matrix.values : HostBuffer<Float>(uninitializedCount: matrix.entryCount)
        let scales = HostBuffer<Float>(uninitializedCount: matrix.rows)
        let rows = HostSparseMatrix(
            rows: matrix.rows, columns: matrix.columns, rowPointers: matrix.rowPointers,
            columnIndices: matrix.columnIndices, values: weighted)
        for row in 0..<matrix.rows {
            let range = matrix.range(ofRow: row)
            scales[row] = weighting.weigh(
                matrix.columns(ofRow: row), matrix.values(ofRow: row),
                into: isUnit ? nil : weighted.baseAddress + range.lowerBound)
        }
        byFeature = rows.transposed()
        (self.weighting, self.isUnit, self.scales, self.rows) = (weighting, isUnit, scales, rows)
    }

    /// Weights of any row, and its scale. O(features of the row).
    func weigh(
        _ features: UnsafeBufferPointer<Int32>, _ values: UnsafeBufferPointer<Float>,
        into output: UnsafeMutablePointer<Float>?
    ) -> Float {
        weighting.weigh(features, values, into: output)
    }

    /// The data as the C loops take them; valid within `body`.
    func withData<Result>(_ body: (UnsafePointer<apus_neighbor_data>) throws -> Result) rethrows -> Result {
        var data = apus_neighbor_data()
        data.count = Int64(rows.rows)
        data.row_pointers = UnsafePointer(rows.rowPointers.baseAddress)
        data.features = UnsafePointer(rows.columnIndices.baseAddress)
        data.values = isUnit ? nil : UnsafePointer(rows.values.baseAddress)
        data.feature_pointers = UnsafePointer(byFeature.rowPointers.baseAddress)
        data.members = UnsafePointer(byFeature.columnIndices.baseAddress)
        data.member_values = isUnit ? nil : UnsafePointer(byFeature.values.baseAddress)
        data.scales = UnsafePointer(scales.baseAddress)
        data.similarity = Int32(cSimilarity.rawValue)
        data.general = isGeneral
        data.shrinkage = options.shrinkage
        data.significance = options.significance
        data.minimum_common = Double(max(options.minimumCommon, options.similarity == .pearson ? 2 : 1))
        return try withExtendedLifetime((rows, byFeature, scales)) { try body(&data) }
    }

    private var cSimilarity: apus_similarity {
        switch options.similarity {
        case .cosine, .tfidf, .pearsonAll: APUS_SIMILARITY_SCALED
        case .bm25: APUS_SIMILARITY_DOT
        case .jaccard: APUS_SIMILARITY_JACCARD
        case .pearson: APUS_SIMILARITY_PEARSON
        case .adjustedCosine: APUS_SIMILARITY_COMMON_COSINE
        }
    }

    /// Whether a pair needs more than the inner product.
    var isGeneral: Bool {
        options.similarity == .pearson || options.similarity == .adjustedCosine || options.shrinkage > 0
            || options.significance > 0 || options.minimumCommon > 1
    }
}

/// How the values of a row become weights.
struct RowWeighting: Sendable {
    let options: NeighborOptions
    /// For TF-IDF and BM25 the inverse frequency of each feature, for the adjusted cosine its mean.
    let featureWeights: [Float]
    /// For BM25: mean over the rows of the sum of their weights.
    let averageLength: Float

    /// Weights of a row, and its scale; without an output the weights are 1. O(features of the row).
    func weigh(
        _ features: UnsafeBufferPointer<Int32>, _ values: UnsafeBufferPointer<Float>,
        into output: UnsafeMutablePointer<Float>?
    ) -> Float {
        guard let output else {
            let count = Float(features.count)
            return options.similarity == .jaccard ? count : count > 0 ? 1 / count.squareRoot() : 0
        }
        var (sum, squares) = (0.0, 0.0)
        for value in values { sum += Double(options.similarity.usesRatings ? value : options.confidence.weight(value)) }
        let mean = Float(sum / Double(max(values.count, 1)))
        let length = averageLength > 0 ? Float(sum) / averageLength : 1
        for place in features.indices {
            let (feature, value) = (Int(features[place]), values[place])
            let weight: Float
            switch options.similarity {
            case .pearson: weight = value
            case .pearsonAll: weight = value - mean
            case .adjustedCosine: weight = value - featureWeights[feature]
            case .tfidf: weight = options.confidence.weight(value).squareRoot() * featureWeights[feature]
            case .bm25:
                let (k, b) = (options.bm25Saturation, options.bm25Length)
                let evidence = options.confidence.weight(value)
                weight = evidence * (k + 1) / (k * (1 - b + b * length) + evidence) * featureWeights[feature]
            default: weight = options.confidence.weight(value)
            }
            output[place] = weight
            squares += Double(weight) * Double(weight)
        }
        // Deviations of a constant row are rounding at most.
        let size = squares.squareRoot()
        let isConstant = options.similarity == .pearsonAll && size <= 1e-6 * abs(Double(mean)) * 2
        return isConstant || size == 0 ? 0 : Float(1 / size)
    }
}
