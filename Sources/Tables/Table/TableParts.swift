import Core

/// A file of any size, which is handed over a part at a time, as often as is asked for. The types of the columns are found
/// in a first pass. Standard input is held in memory.
public final class TableParts {
    public let report: TableReadReport
    private let content: Content

    private enum Content {
        case text(TableReadJob)
        /// Of an array, which is read as a whole.
        case table(Table)
    }

    /// Finds the types.
    public init(
        _ path: String, options: TableReadOptions = TableReadOptions(), progress: ProgressHandler? = nil
    ) throws {
        var options = options
        options.memoryLimitBytes = 0
        try options.validate()
        let kind = path == "-" ? .text : try FileKind(path: path)
        if kind == .numpy || kind == .idx {
            let (table, report) =
                try kind == .numpy ? TableReader.readNumPy(path, options) : TableReader.readIDX(path, options)
            (content, self.report) = (.table(table), report)
        } else {
            let (job, report) = try TableReader.typed(path, kind, options, keeping: false, progress)
            (content, self.report) = (.text(job), report)
        }
    }

    /// Hands over the whole file in tables, in order, with the same columns and types. Levels of categories are numbered
    /// anew in each.
    ///
    /// - Parameters:
    ///   - bytes: about how much text goes into a part.
    ///   - body: called for every part, at least once.
    public func forEach(bytes: Int, _ body: (Table) throws -> Void) throws {
        switch content {
        case .table(let table): try body(table)
        case .text(let job):
            do {
                try job.repeated().runInParts(of: bytes, body)
            } catch let error as PlacedError {
                throw error.make(error.line)
            }
        }
    }
}
