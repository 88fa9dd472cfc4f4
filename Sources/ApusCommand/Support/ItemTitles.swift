import ArgumentParser
import Core
import Tables

/// Where the titles of items come from: a file of their own, or a column of the interactions.
struct ItemNameFlags: ParsableArguments {
    @Option(name: .customLong("item-names"), help: "File with a column of items and one of titles.")
    var itemNames: String?
    @Option(name: .customLong("item-names-columns"), help: "Columns of that file if it has no header: item,title,-")
    var itemNamesColumns: String?

    func validate() throws {
        guard itemNamesColumns == nil || itemNames != nil else {
            throw ValidationError("--item-names-columns goes with --item-names")
        }
    }

    /// Titles in the order of `items`; nil when none were asked for.
    func titles(for items: IdentifierIndex) throws -> IdentifierIndex? {
        guard let itemNames else { return nil }
        let table = try SmallTable(
            path: itemNames,
            columns: itemNamesColumns.map {
                $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            })
        let item = try table.column("items", among: SmallTable.itemNames)
        let title = try table.column("titles", among: SmallTable.titleNames)
        var titles = ItemTitles(items)
        for row in table.rows { titles.add(row[title], to: row[item]) }
        guard titles.found > 0 else {
            throw DataError(
                "none of the items in the file are among the \(items.count) known ones", file: itemNames,
                column: table.columns[item])
        }
        return titles.index
    }
}

/// The same for training, where the interactions may hold the titles themselves.
struct TrainingItemNameFlags: ParsableArguments {
    @OptionGroup var file: ItemNameFlags
    @Option(
        name: .customLong("item-name-column"),
        help: "Column of the interactions with the titles of the items; the last title of an item counts.")
    var column: String?

    func validate() throws {
        guard column == nil || file.itemNames == nil else {
            throw ValidationError("titles come from --item-names or from --item-name-column, not from both")
        }
    }

    /// Titles in the order of `items`; nil when none were asked for.
    ///
    /// - Parameters:
    ///   - path: the file of interactions, which is read once more for a column of titles.
    ///   - report: of the first reading: it knows the column of items.
    func titles(
        for items: IdentifierIndex, interactions path: String, reading: ReadingFlags, report: ReadReport,
        global: GlobalOptions
    ) throws -> IdentifierIndex? {
        guard let column else { return try file.titles(for: items) }
        guard path != "-" else {
            throw ParameterError(
                "item-name-column", "needs a file that can be read twice; standard input can't, use --item-names")
        }
        let interactions = try reading.options(needsTimes: false, threads: global.threads)
        let item = report.columnsByRole["item"] ?? "item"
        var options = TableReadOptions()
        options.delimiter = interactions.delimiter
        options.headerlessColumns = interactions.headerlessColumns
        options.header = interactions.headerlessColumns == nil
        options.encoding = interactions.encoding
        options.onBadRow = interactions.onBadRow
        options.threads = interactions.threads
        options.selected = [item, column]
        options.types = [item: .text, column: .text]
        options.missingMarkers = []
        var titles = ItemTitles(items)
        _ = try TableReader.forEachPart(of: path, options: options) { part in
            let (identifiers, texts) = (try part.column(item), try part.column(column))
            for row in 0..<part.rowCount {
                if let title = texts.text(row), let identifier = identifiers.text(row) {
                    titles.add(title, to: identifier)
                }
            }
        }
        guard titles.found > 0 else {
            throw DataError("no item has a title in the column", file: path, column: column)
        }
        return titles.index
    }
}

/// Titles being gathered for known items.
private struct ItemTitles {
    private let items: IdentifierIndex
    private var titles: [String]
    /// Titles that belonged to a known item.
    private(set) var found = 0

    init(_ items: IdentifierIndex) {
        self.items = items
        titles = [String](repeating: "", count: items.count)
    }

    mutating func add(_ title: String, to item: String) {
        guard let index = items.index(of: item) else { return }
        titles[index] = title
        found += 1
    }

    var index: IdentifierIndex { IdentifierIndex(titles) }
}
