import Core

/// Which rows a join gives.
public enum JoinKind: String, Sendable, Codable, CaseIterable {
    /// Pairs of rows with equal keys.
    case inner
    /// These, and the rows of the first table that have no partner.
    case left
    /// These, and the rows of the second that have none.
    case full
    /// Rows of the first table that have a partner, without its columns.
    case semi
    /// Rows of the first table that have none.
    case anti
}

extension Table {
    /// Rows of two tables that agree in key columns, by hashing.
    ///
    /// Keys are compared as text, so that 7 and "7" agree. A missing key has no partner. Several partners give several
    /// rows, in the order of the second table. Columns of the second that have a name of the first get `suffix`.
    /// O(rows of both and of the result).
    ///
    /// - Parameters:
    ///   - keys: columns that both tables have.
    ///   - otherKeys: their names in the second table, where they differ.
    /// - Throws: ``Core/DataError`` for keys that are not there, and when the result would have more rows than 2³¹.
    public func joined(
        _ other: Table, on keys: [String], otherKeys: [String]? = nil, kind: JoinKind = .inner, suffix: String = "_2"
    ) throws(DataError) -> Table {
        let secondKeys = otherKeys ?? keys
        guard !keys.isEmpty, secondKeys.count == keys.count else {
            throw DataError("a join needs key columns in both tables")
        }
        let first = try selecting(keys).columns
        let second = try other.selecting(secondKeys).columns
        let numbering = try RowKeys(second)
        let partner = numbering.find(first)
        switch kind {
        case .semi: return filtered { partner[$0] >= 0 }
        case .anti: return filtered { partner[$0] < 0 }
        case .inner, .left, .full: break
        }
        // Rows of the second table by key, by counting.
        var starts = [Int](repeating: 0, count: numbering.count + 1)
        for row in 0..<other.rowCount where !numbering.incomplete[row] { starts[numbering.numbers[row] + 1] += 1 }
        for key in 0..<numbering.count { starts[key + 1] += starts[key] }
        var next = starts
        var ordered = [Int](repeating: 0, count: starts[numbering.count])
        for row in 0..<other.rowCount where !numbering.incomplete[row] {
            ordered[next[numbering.numbers[row]]] = row
            next[numbering.numbers[row]] += 1
        }
        var (left, right): ([Int], [Int]) = ([], [])
        var used = [Bool](repeating: false, count: kind == .full ? other.rowCount : 0)
        for row in 0..<rowCount {
            let range = partner[row] < 0 ? 0..<0 : starts[partner[row]]..<starts[partner[row] + 1]
            if range.isEmpty {
                if kind != .inner {
                    left.append(row)
                    right.append(-1)
                }
                continue
            }
            for place in range {
                left.append(row)
                right.append(ordered[place])
                if kind == .full { used[ordered[place]] = true }
            }
            guard left.count < 1 << 31 else {
                throw DataError(
                    "the join would have more than 2^31 rows; the key columns \(Table.listed(keys)) repeat in both tables"
                )
            }
        }
        if kind == .full {
            for row in 0..<other.rowCount where !used[row] {
                left.append(-1)
                right.append(row)
            }
        }
        var result = columns.map { $0.selecting(left) }
        if kind == .full {
            // Keys of rows that only the second table has.
            for (place, key) in keys.enumerated() {
                guard let own = index(of: key) else { continue }
                let source = second[place]
                let type = columns[own].type == source.type ? source.type : .category
                let filled = try Table.appending([
                    try Table([try columns[own].converted(to: type).selecting(left.filter { $0 >= 0 })]),
                    try Table([
                        try source.converted(to: type).renamed(key).selecting(
                            zip(left, right).filter { $0.0 < 0 }.map(\.1))
                    ]),
                ])
                result[own] = filled.columns[0]
            }
        }
        let taken = Set(columnNames)
        for column in other.columns where !secondKeys.contains(column.name) {
            let name = taken.contains(column.name) ? column.name + suffix : column.name
            result.append(column.selecting(right).renamed(name))
        }
        return try Table(result, rowCount: left.count)
    }
}
