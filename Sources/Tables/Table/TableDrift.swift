import Core
import Glibc

/// How a table differs from an earlier one, column by column.
public struct TableDrift: Sendable, Codable, Equatable {
    public struct ColumnDrift: Sendable, Codable, Equatable {
        public let name: String
        /// Population stability index over the earlier twentieths (numbers) or levels: Σ (new − old) ln(new / old).
        /// Customary limits: below 0.1 stable, above 0.25 changed.
        public let psi: Double
        /// Largest distance between the two distribution functions at the earlier twentieths, 0 … 1 (numbers only).
        public let kolmogorovSmirnov: Double?
        /// Share of missing values, before and now.
        public let missingBefore: Double
        public let missingNow: Double
        /// Levels of now that were not there before, and the share of the rows that have them.
        public let newLevels: [String]
        public let newLevelShare: Double
    }

    public var columns: [ColumnDrift]
    /// Columns that were there and are not now, and the reverse; columns whose type is another.
    public var lost: [String]
    public var gained: [String]
    public var changedTypes: [String]

    /// Compares a table with an earlier profile. O(rows · columns).
    public init(_ table: Table, against profile: TableProfile) {
        let known = Set(profile.columns.map(\.name))
        columns = []
        lost = profile.columns.map(\.name).filter { table[$0] == nil }
        gained = table.columnNames.filter { !known.contains($0) }
        changedTypes = []
        for before in profile.columns {
            guard let column = table[before.name] else { continue }
            let bothNumeric = before.type.isNumeric && column.type.isNumeric
            let empty = column.missingCount == column.count
            if column.type != before.type, !bothNumeric, !empty {
                let shown = "'\(before.name)' was \(before.type.rawValue) and is \(column.type.rawValue)"
                // Levels that look like numbers are levels all the same.
                guard before.type == .category || before.type == .identifier || before.type == .text else {
                    changedTypes.append(shown)
                    continue
                }
            }
            if before.type == .text || before.type == .identifier || before.driftShares.isEmpty { continue }
            columns.append(TableDrift.compare(column, before, rowsBefore: profile.rows))
        }
    }

    private static func compare(
        _ column: Column, _ before: TableProfile.ColumnProfile, rowsBefore: Int
    ) -> ColumnDrift {
        let missingBefore = Double(before.missing) / Double(max(rowsBefore, 1))
        let missingNow = Double(column.missingCount) / Double(max(column.count, 1))
        // Missing values are a bin of their own, so that a column which is no longer filled is seen.
        func stability(_ old: [Double], _ new: [Double]) -> Double {
            var sum = 0.0
            let olds = old.map { $0 * (1 - missingBefore) } + [missingBefore]
            let news = new.map { $0 * (1 - missingNow) } + [missingNow]
            for (a, b) in zip(olds, news) where a > 0 || b > 0 {
                let (x, y) = (max(a, 1e-4), max(b, 1e-4))
                sum += (y - x) * log(y / x)
            }
            return sum
        }
        if before.type != .category, let numbers = column.numbers {
            let now = ColumnProfiler.binShares(numbers, before.driftEdges)
            guard before.driftShares.count == now.count else {
                return ColumnDrift(
                    name: column.name, psi: stability([], []), kolmogorovSmirnov: nil, missingBefore: missingBefore,
                    missingNow: missingNow, newLevels: [], newLevelShare: 0)
            }
            var (largest, difference) = (0.0, 0.0)
            for (a, b) in zip(before.driftShares, now) {
                difference += b - a
                largest = max(largest, abs(difference))
            }
            return ColumnDrift(
                name: column.name, psi: stability(before.driftShares, now),
                kolmogorovSmirnov: missingNow < 1 ? largest : nil, missingBefore: missingBefore,
                missingNow: missingNow, newLevels: [], newLevelShare: 0)
        }
        let counts = CategorySteps.counts(column)
        let total = Double(max(column.count - column.missingCount, 1))
        let names = before.levels.map(\.name)
        let byName = Dictionary(counts.map { ($0.level, Double($0.count) / total) }) { first, _ in first }
        // Levels beyond the listed ones are one bin.
        let olds = before.driftShares + [max(0, 1 - before.driftShares.reduce(0, +))]
        let listed = names.map { byName[$0] ?? 0 }
        let news = listed + [max(0, 1 - listed.reduce(0, +))]
        let complete = before.distinct <= names.count
        let fresh = complete ? counts.filter { !names.contains($0.level) } : []
        return ColumnDrift(
            name: column.name, psi: stability(olds, news), kolmogorovSmirnov: nil, missingBefore: missingBefore,
            missingNow: missingNow, newLevels: fresh.prefix(20).map(\.level),
            newLevelShare: fresh.reduce(0) { $0 + Double($1.count) } / total)
    }
}
