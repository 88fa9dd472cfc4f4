import Core
import Tables

/// The neighbors of all users or all items, without a model: what `similar --interactions` gives.
public struct NeighborLists: Sendable {
    private let table: HostSparseMatrix

    /// Compares all rows of a side.
    ///
    /// - Parameters:
    ///   - options: the side, the similarity, and how many neighbors to keep.
    ///   - threads: threads of the host that share the work; the result doesn't depend on them.
    /// - Throws: ``ParameterError``; ``DataError`` for values that the similarity can't use; `CancellationError`.
    public init(
        _ interactions: Interactions, options: NeighborOptions, threads: Int, progress: ProgressHandler? = nil
    ) throws {
        try options.validate()
        let rows = options.side == .users ? interactions.byUser : interactions.byItem
        table = try NeighborSearch.table(
            try ComparableRows(rows, options: options), threads: threads, progress: progress)
    }

    /// The neighbors of a row, most similar first; empty for one that has nothing in common with others, or no
    /// variation where a correlation is asked for.
    public func list(of row: Int) -> [(item: Int32, score: Float)] {
        zip(table.columns(ofRow: row), table.values(ofRow: row)).map { (item: $0, score: $1) }
            .sorted { (-$0.score, $0.item) < (-$1.score, $1.item) }
    }
}
