import Compute
import Core

/// Interactions as factorization uses them: in both orders, with the values turned into weights and targets.
public struct FactorizationData: Sendable {
    /// users × items.
    public let byUser: HostSparseMatrix
    /// items × users, the transpose.
    public let byItem: HostSparseMatrix

    /// Interactions for a feedback and confidence rule.
    ///
    /// - Throws: ``DataError`` for values that the rule can't use: negative or non-finite confidences, non-finite
    ///   ratings.
    public init(byUser: HostSparseMatrix, byItem: HostSparseMatrix, options: FactorizationOptions) throws(DataError) {
        precondition(byUser.rows == byItem.columns && byUser.columns == byItem.rows)
        guard byUser.entryCount > 0 else {
            throw DataError("there are no interactions to train on; check the filters and the split")
        }
        try Self.check(byUser.values, options)
        if options.feedback == .implicit && options.confidence == .log {
            self.byUser = byUser.mapValues(LogConfidence.value)
            self.byItem = byItem.mapValues(LogConfidence.value)
        } else {
            self.byUser = byUser
            self.byItem = byItem
        }
    }

    /// Refuses values that can be neither confidences nor ratings.
    static func check(_ values: HostBuffer<Float>, _ options: FactorizationOptions) throws(DataError) {
        let implicit = options.feedback == .implicit
        for value in values.elements where !value.isFinite || (implicit && value < 0) {
            throw DataError(
                implicit
                    ? "a confidence of \(value): implicit feedback needs finite values from 0 up; "
                        + "drop such rows (--minimum-value) or use --feedback explicit"
                    : "a rating of \(value) is not finite")
        }
    }

    /// Rows that have entries.
    static func occupiedRows(_ matrix: HostSparseMatrix) -> Int {
        (0..<matrix.rows).reduce(0) { $0 + (matrix.range(ofRow: $1).isEmpty ? 0 : 1) }
    }

    /// Mean of all values, in double precision.
    var meanValue: Double {
        var sum = 0.0
        for value in byUser.values.elements { sum += Double(value) }
        return sum / Double(max(byUser.entryCount, 1))
    }
}

/// c = log₂(1 + value). Values of real data are mostly small whole or half numbers: those are looked up, since the
/// logarithm of forty million values would take longer than an iteration.
enum LogConfidence {
    private static let table: [Float] = (0..<2048).map { log2Plus1(Float($0) / 2) }

    static func value(_ value: Float) -> Float {
        let twice = value * 2
        if twice >= 0, twice < 2048, twice == twice.rounded(.down) { return table[Int(twice)] }
        return log2Plus1(value)
    }
}

extension HostSparseMatrix {
    /// The matrix with each value replaced; the structure is shared.
    public func mapValues(_ transform: (Float) -> Float) -> HostSparseMatrix {
        let new = HostBuffer<Float>(uninitializedCount: values.count)
        for entry in 0..<values.count { new[entry] = transform(values[entry]) }
        return HostSparseMatrix(
            rows: rows, columns: columns, rowPointers: rowPointers, columnIndices: columnIndices, values: new)
    }
}
