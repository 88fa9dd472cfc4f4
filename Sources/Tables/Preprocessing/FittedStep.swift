import Core

/// A step with what it has learned, for one column. Names are those at the time of the step.
enum FittedStep: Sendable, Codable, Equatable {
    case drop(column: String)
    case fill(column: String, number: Double?, text: String?)
    case indicator(column: String)
    case clip(column: String, low: Double?, high: Double?)
    case scale(column: String, shift: Double, factor: Double)
    case log(column: String)
    case bin(column: String, edges: [Double])
    case group(column: String, kept: [String], other: String?)
    case oneHot(column: String, levels: [String], missing: Bool)
    case ordinal(column: String, levels: [String])
    case hash(column: String, buckets: Int)
    case bucket(column: String, buckets: Int)
    case target(column: String, levels: [String], encoding: TargetEncoding)
    case dates(column: String, parts: [DatePart])
    case text(column: String, words: TextVocabulary)
    case sequence(column: String, events: EventVocabulary)
    /// Codes by the levels of training.
    case levels(column: String, levels: [String])

    var column: String {
        switch self {
        case .drop(let column), .indicator(let column), .log(let column): column
        case .fill(let column, _, _), .clip(let column, _, _), .scale(let column, _, _): column
        case .bin(let column, _), .oneHot(let column, _, _), .ordinal(let column, _): column
        case .group(let column, _, _), .target(let column, _, _): column
        case .bucket(let column, _), .sequence(let column, _): column
        case .hash(let column, _), .dates(let column, _), .text(let column, _), .levels(let column, _): column
        }
    }

    /// Does the step; a table that has no such column stays as it is (it is not needed for any feature).
    func apply(to table: inout WorkingTable) throws {
        guard let place = table.place(of: column), let (column, source) = table.column(at: place) else { return }
        func put(_ changed: [Column]) { table.replace(place, with: changed.map { .column($0, source: source) }) }
        let name = column.name
        switch self {
        case .drop: put([])
        case .fill(_, let number, let text): put([NumberSteps.filled(column, number: number, text: text)])
        case .indicator:
            let missing = (0..<column.count).map { Int64(column.isMissing($0) ? 1 : 0) }
            put([column, Column(FittedStep.indicatorName(name), .integer(missing))])
        case .clip(_, let low, let high):
            put([
                try NumberSteps.mapped(column) { min(max($0, low ?? -.infinity), high ?? .infinity) }
            ])
        case .scale(_, let shift, let factor): put([try NumberSteps.mapped(column) { ($0 - shift) * factor }])
        case .log: put([try NumberSteps.mapped(column, NumberSteps.signedLog)])
        case .bin(_, let edges): put([try NumberSteps.binned(column, edges)])
        case .group(_, let kept, let other): put([CategorySteps.grouped(column, kept: kept, other: other)])
        case .oneHot(_, let levels, let missing):
            let codes = CategorySteps.codes(column, levels)
            let names = levels.map { "\(name)=\($0)" } + (missing ? [FittedStep.indicatorName(name)] : [])
            let last = Int32(levels.count)
            let marked =
                missing ? codes.enumerated().map { $1 < 0 && column.isMissing($0) ? last : $1 } : codes
            table.replace(place, with: [.indicators(codes: marked, names: names, source: source)])
        case .ordinal(_, let levels):
            put([Column(name, .number(CategorySteps.codes(column, levels).map { $0 < 0 ? .nan : Double($0) }))])
        case .hash(_, let buckets):
            table.replace(
                place,
                with: [
                    .indicators(
                        codes: CategorySteps.hashed(column, buckets), names: (0..<buckets).map { "\(name)#\($0)" },
                        source: source)
                ])
        case .bucket(_, let buckets):
            put([
                Column(
                    name,
                    .category(codes: CategorySteps.hashed(column, buckets), levels: (0..<buckets).map { String($0) }))
            ])
        case .target(_, let levels, let encoding):
            put(encoding.columns(name, codes: CategorySteps.codes(column, levels), missing: column.isMissing))
        case .dates(_, let parts): put(try DateSteps.columns(column, parts))
        case .text(_, let words):
            table.replace(
                place, with: [.sparse(words.matrix(column), names: words.names(name), source: source)])
        case .sequence(_, let events):
            table.replace(place, with: [.sequence(codes: events.codes(column), events, name: name, source: source)])
        case .levels(_, let levels):
            put([Column(name, .category(codes: CategorySteps.codes(column, levels), levels: levels))])
        }
    }

    static func indicatorName(_ column: String) -> String { "\(column) (missing)" }
}

/// A recipe after it has learned from the training rows: what a model keeps, so that new rows are treated as the
/// training rows were.
public struct FittedRecipe: Sendable, Codable, Equatable {
    /// The recipe as it was written.
    public let recipe: Recipe
    /// Columns that new tables must have, with their types.
    public let inputs: TableSchema
    let steps: [FittedStep]
    /// The features that ``apply(_:)`` gives.
    public let features: [FeatureDescription]
    let sparse: Bool
    /// What was noticed while fitting, such as columns left out; a sentence each.
    public let notes: [String]

    /// The features of a table.
    ///
    /// Columns may be in any order, and others may be there. Columns of another type are converted where every value
    /// can be (``Column/converted(to:)``). Each step says what becomes of categories that it has not seen.
    ///
    /// - Parameter fillMissingColumns: takes columns that are not there for columns without any value; without, they
    ///   are an error.
    /// - Throws: ``Core/DataError`` that lists the columns that are not there, or names the value that can't be
    ///   converted.
    public func apply(_ table: Table, fillMissingColumns: Bool = false) throws -> Features {
        try transformed(table, fillMissingColumns).features(features, sparse: sparse)
    }

    /// The table with all steps done, for people and other programs: features as columns, and the columns that no
    /// feature was made from as they are.
    public func applyToTable(_ table: Table, fillMissingColumns: Bool = false) throws -> Table {
        try transformed(table, fillMissingColumns, keepingOthers: true).table()
    }

    private func transformed(
        _ table: Table, _ fillMissingColumns: Bool, keepingOthers: Bool = false
    ) throws -> WorkingTable {
        var columns: [Column] = []
        let absent = inputs.columns.filter { table[$0.name] == nil }.map(\.name)
        guard absent.isEmpty || fillMissingColumns else {
            throw DataError(
                "the model needs columns that are not there: \(Table.listed(absent)); there are \(Table.listed(table.columnNames))"
            )
        }
        for input in inputs.columns {
            let column =
                table[input.name] ?? Column(input.name, .number([Double](repeating: .nan, count: table.rowCount)))
            let interchangeable = column.type.isNumeric && input.type.isNumeric
            columns.append(interchangeable ? column : try column.converted(to: input.type))
        }
        if keepingOthers {
            // In the table's own order.
            let wanted = Dictionary(columns.map { ($0.name, $0) }) { first, _ in first }
            let absentColumns = columns.filter { table[$0.name] == nil }
            columns = table.columns.map { wanted[$0.name] ?? $0 } + absentColumns
        }
        var working = WorkingTable(try Table(columns, rowCount: table.rowCount))
        for step in steps { try step.apply(to: &working) }
        return working
    }

    /// Options that read a file as the training file was read: types and columns.
    public func readOptions(_ options: TableReadOptions = TableReadOptions()) -> TableReadOptions {
        var options = options
        for input in inputs.columns where options.types[input.name] == nil && !input.type.isNumeric {
            options.types[input.name] = input.type
        }
        return options
    }
}
