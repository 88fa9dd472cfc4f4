import Core

extension RecipeTarget {
    /// A column to be predicted: numbers as they are, levels as classes in order of their names.
    /// - Throws: ``Core/DataError`` for missing values.
    public init(column: Column) throws {
        if let row = (0..<column.count).first(where: { column.isMissing($0) }) {
            throw DataError("the target is missing in row \(row + 1)", column: column.name)
        }
        if let numbers = column.numbers {
            self = .values(numbers)
            return
        }
        let levels = CategorySteps.counts(column).map(\.level).sorted()
        self = .classes(CategorySteps.codes(column, levels), count: levels.count)
    }
}

extension Recipe {
    /// Fits the recipe and does its steps, for people and other programs: the table with everything that the steps have
    /// not touched still in it.
    ///
    /// - Parameter keeping: columns that steps for all columns of a kind leave alone, such as the target.
    public func fitAndPrepare(
        _ table: Table, target: RecipeTarget? = nil, seed: UInt64 = 42, keeping: [String] = []
    ) throws -> (recipe: FittedRecipe, table: Table) {
        let kept = Set(keeping)
        let open = Table(trusted: table.columns.filter { !kept.contains($0.name) }, rowCount: table.rowCount)
        let (fitted, working) = try fitting(open, target: target, seed: seed)
        let prepared = try working.table()
        return (
            fitted,
            try Table(prepared.columns + table.columns.filter { kept.contains($0.name) }, rowCount: table.rowCount)
        )
    }
}
