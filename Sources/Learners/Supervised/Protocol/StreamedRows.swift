import Tables

/// Rows that memory does not hold, as features, read a part at a time and the same each time.
public struct StreamedRows: Sendable {
    /// Hands over the rows in parts: features, targets, weights.
    typealias Reader =
        @Sendable (
            _ body: (_ features: Features, _ target: [Double], _ weights: [Double]?) throws -> Void
        ) throws -> Void

    /// Number of rows, those that are held out included.
    let rows: Int
    /// Bytes of encoded rows in memory at a time.
    let partBytes: Int
    /// Where encoded rows may be kept.
    let folder: String
    let forEach: Reader

    init(rows: Int, partBytes: Int, folder: String, forEach: @escaping Reader) {
        self.rows = rows
        self.partBytes = partBytes
        self.folder = folder
        self.forEach = forEach
    }

    /// The rows of a table through the recipe that was fitted to its sample.
    init(_ table: StreamedTable, _ recipe: FittedRecipe) {
        self.init(rows: table.rows, partBytes: table.partBytes, folder: table.folder) { body in
            try table.forEachPart(recipe, body)
        }
    }
}
