import Core

/// A figure of the rows of a group.
public enum AggregateFunction: String, Sendable, Codable, CaseIterable {
    /// Values that are there; rows when no column is named.
    case count
    case sum, mean, median, minimum = "min", maximum = "max"
    /// Standard deviation with n − 1.
    case deviation = "std"
    /// Distinct values.
    case distinct
    case first, last
    /// All values as one text, in the order of the rows or of another column, with spaces between them; spaces within a
    /// value become `_`.
    case list
}

/// One column of a grouped table.
public struct Aggregate: Sendable, Equatable {
    public let function: AggregateFunction
    /// Nil only for ``AggregateFunction/count``.
    public let column: String?
    /// The column that orders a ``AggregateFunction/list``, missing values first; nil for the order of the rows.
    public let order: String?
    public let name: String

    public init(_ function: AggregateFunction, of column: String? = nil, by order: String? = nil, name: String? = nil) {
        self.function = function
        self.column = column
        self.order = order
        self.name = name ?? column.map { "\($0)_\(function.rawValue)" } ?? "count"
    }
}

extension Table {
    /// One row for each distinct combination of some columns (missing values are one of theirs), in order of first
    /// appearance, with figures of its rows. O(rows; rows · log rows for medians).
    ///
    /// - Throws: ``Core/DataError`` for columns that are not there or have no numbers where numbers are needed.
    public func grouped(by keys: [String], _ aggregates: [Aggregate]) throws(DataError) -> Table {
        let keyColumns = try selecting(keys).columns
        let groups = try RowKeys(
            keyColumns.isEmpty ? [Column("", .integer([Int64](repeating: 0, count: rowCount)))] : keyColumns)
        var firstRow = [Int](repeating: -1, count: groups.count)
        for row in 0..<rowCount where firstRow[groups.numbers[row]] < 0 { firstRow[groups.numbers[row]] = row }
        var result = keyColumns.map { $0.selecting(firstRow) }
        for aggregate in aggregates {
            result.append(try figure(aggregate, groups).renamed(aggregate.name))
        }
        return try Table(result, rowCount: groups.count)
    }

    private func figure(_ aggregate: Aggregate, _ groups: RowKeys) throws(DataError) -> Column {
        guard let name = aggregate.column else {
            guard aggregate.function == .count else {
                throw DataError("\(aggregate.function.rawValue) needs a column")
            }
            var counts = [Int64](repeating: 0, count: groups.count)
            for number in groups.numbers { counts[number] += 1 }
            return Column("", .integer(counts))
        }
        let column = try column(name)
        switch aggregate.function {
        case .count:
            var counts = [Int64](repeating: 0, count: groups.count)
            for (row, number) in groups.numbers.enumerated() where !column.isMissing(row) { counts[number] += 1 }
            return Column("", .integer(counts))
        case .distinct:
            let values = try RowKeys([column])
            var seen: Set<SIMD2<Int>> = []
            var counts = [Int64](repeating: 0, count: groups.count)
            for (row, number) in groups.numbers.enumerated()
            where !column.isMissing(row) && seen.insert(SIMD2(number, values.numbers[row])).inserted {
                counts[number] += 1
            }
            return Column("", .integer(counts))
        case .first, .last:
            var rows = [Int](repeating: -1, count: groups.count)
            for (row, number) in groups.numbers.enumerated()
            where !column.isMissing(row) && (aggregate.function == .last || rows[number] < 0) { rows[number] = row }
            return column.selecting(rows)
        case .list: return try list(column, by: aggregate.order, groups)
        case .minimum, .maximum:
            let ranks = column.ranks
            var rows = [Int](repeating: -1, count: groups.count)
            for (row, number) in groups.numbers.enumerated() where !ranks[row].isNaN {
                let best = rows[number]
                if best < 0 || (aggregate.function == .minimum ? ranks[row] < ranks[best] : ranks[row] > ranks[best]) {
                    rows[number] = row
                }
            }
            return column.selecting(rows)
        case .sum, .mean, .median, .deviation:
            guard let numbers = column.numbers, column.type != .date else {
                throw DataError(
                    "\(aggregate.function.rawValue) needs numbers, and this is \(column.type.rawValue)", column: name)
            }
            return Column("", .number(numeric(aggregate.function, numbers, groups)))
        }
    }

    private func list(_ column: Column, by order: String?, _ groups: RowKeys) throws(DataError) -> Column {
        var members = [[Int]](repeating: [], count: groups.count)
        for (row, number) in groups.numbers.enumerated() where !column.isMissing(row) { members[number].append(row) }
        if let order {
            let ranks = try self.column(order).ranks.map { $0.isNaN ? -.infinity : $0 }
            for number in members.indices { members[number].sort { (ranks[$0], $0) < (ranks[$1], $1) } }
        }
        return Column(
            "",
            .text(
                PackedText(
                    members.map { rows in
                        rows.map { row in
                            String((column.text(row) ?? "").map { $0.isWhitespace ? "_" : $0 })
                        }.joined(separator: " ")
                    })))
    }

    private func numeric(_ function: AggregateFunction, _ values: [Double], _ groups: RowKeys) -> [Double] {
        var counts = [Double](repeating: 0, count: groups.count)
        var sums = counts
        for (row, number) in groups.numbers.enumerated() where !values[row].isNaN {
            counts[number] += 1
            sums[number] += values[row]
        }
        switch function {
        case .sum: return sums
        case .median:
            var members = [[Double]](repeating: [], count: groups.count)
            for (row, number) in groups.numbers.enumerated() where !values[row].isNaN {
                members[number].append(values[row])
            }
            return members.map { NumberSteps.quantiles($0, [0.5]).first ?? .nan }
        case .deviation:
            var squares = [Double](repeating: 0, count: groups.count)
            for (row, number) in groups.numbers.enumerated() where !values[row].isNaN {
                let distance = values[row] - sums[number] / counts[number]
                squares[number] += distance * distance
            }
            return zip(squares, counts).map { $1 > 1 ? ($0 / ($1 - 1)).squareRoot() : .nan }
        default: return zip(sums, counts).map { $1 > 0 ? $0 / $1 : .nan }
        }
    }
}
