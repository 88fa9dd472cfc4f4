import Core
import Tables

/// Titles of items from a file with a column of items and one of titles.
enum ItemTitles {
    /// Titles in the order of `items`; empty where the file has none.
    ///
    /// - Parameter columns: names of the columns of a file without a header.
    static func read(_ path: String, columns: String?, delimiter: String?, items: IdentifierIndex) throws
        -> IdentifierIndex
    {
        let table = try SmallTable(
            path: path,
            columns: columns.map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) },
            delimiter: delimiter)
        let item = try table.column("items", among: SmallTable.itemNames)
        let title = try table.column("titles", among: SmallTable.titleNames)
        var titles = [String](repeating: "", count: items.count)
        var found = 0
        for row in table.rows {
            guard let index = items.index(of: row[item]) else { continue }
            titles[index] = row[title]
            found += 1
        }
        guard found > 0 else {
            throw DataError(
                "none of the items in the file are in the interactions", file: path, column: table.columns[item])
        }
        return IdentifierIndex(titles)
    }
}
