import Compute
import Core

/// Solves rows that were not part of a training, with the other side held: new users from what they interacted with,
/// new items from who interacted with them.
///
/// Preparing costs the Gram matrix of the fixed side and its eigenproblem once, R·d² + O(d³); each batch then costs as
/// much as its rows do in an exact half-step.
public final class FoldIn {
    private let stream: Stream
    private let options: FactorizationOptions
    private let fixed: Matrix
    private let fixedRows: Int
    private let rotation: GramRotation?
    private let mean: Float
    private let otherSideCount: Int

    /// Prepares to solve rows against `fixed`.
    ///
    /// - Parameters:
    ///   - fixed: the items' factors to fold in users, or the users' to fold in items.
    ///   - factors: the model, for its parameters and mean.
    ///   - occupiedFixedRows: rows of the fixed side that had interactions in training (for #ᵛ).
    public init(
        fixed: HostMatrix, factors: FactorizationFactors, occupiedFixedRows: Int, stream: Stream
    ) throws(ComputeError) {
        self.stream = stream
        options = factors.options
        mean = factors.mean
        fixedRows = fixed.rows
        otherSideCount = occupiedFixedRows
        self.fixed = try stream.upload(fixed)
        if options.feedback == .implicit {
            let rotation = try GramRotation(
                stream: stream, columns: fixed.columns, longestTable: max(fixed.rows, 256))
            try rotation.prepare(fixed: self.fixed, unobservedWeight: options.unobservedWeight)
            try rotation.rotate(self.fixed)
            self.rotation = rotation
        } else {
            rotation = nil
        }
    }

    /// Solves one row of factors for each row of `interactions` (rows × rows of the fixed side), exactly. The values
    /// are turned into confidences by the model's rule.
    ///
    /// - Throws: ``DataError`` for values that can be neither confidences nor ratings, ``ComputeError``.
    public func solve(_ interactions: HostSparseMatrix) throws -> HostMatrix {
        guard interactions.columns == fixedRows else {
            throw ComputeError.invalidArgument(
                operation: "foldIn",
                reason: "interactions with \(interactions.columns) columns against \(fixedRows) fixed rows")
        }
        try FactorizationData.check(interactions.values, options)
        let values =
            options.feedback == .implicit && options.confidence == .log
            ? interactions.mapValues(LogConfidence.value) : interactions
        let step = try HalfStep(
            stream: stream, options: options, observations: try SparseTiles(values, on: stream),
            rowRegularization: options.rowRegularization(values, otherSideCount: otherSideCount),
            rotation: rotation, mean: mean)
        let solution = try stream.allocate(rows: interactions.rows, columns: options.tableColumns)
        if options.feedback == .explicit {
            try step.run(fixed: fixed, solution: solution, method: .exact)
        } else {
            try step.solve(fixed: fixed, solution: solution, method: .exact)
            try rotation?.rotateBack(solution)
        }
        return try stream.download(solution)
    }
}
