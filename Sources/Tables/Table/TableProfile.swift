import Core
import Glibc

/// What is in a table, column by column, and what looks wrong with it.
public struct TableProfile: Sendable, Codable, Equatable {
    /// One column.
    public struct ColumnProfile: Sendable, Codable, Equatable {
        public let name: String
        public let type: ColumnType
        public let missing: Int
        public let distinct: Int
        /// Of numbers and dates (seconds since 1970).
        public var minimum: Double?
        public var maximum: Double?
        public var mean: Double?
        public var deviation: Double?
        /// At 1, 5, 25, 50, 75, 95 and 99 %.
        public var quantiles: [Double] = []
        /// Third standardised moment.
        public var skewness: Double?
        /// Values more than three quartile distances outside of the quartiles.
        public var outliers: Int?
        /// Zeros and negative numbers.
        public var zeros: Int?
        public var negatives: Int?
        /// Equally wide bins.
        public var histogramEdges: [Double] = []
        public var histogramCounts: [Int] = []
        /// The most frequent levels of categories, Booleans and integers of few values.
        public var levels: [Level] = []
        /// Characters of texts: shortest, mean, longest.
        public var lengths: [Double] = []
        /// Shares of the training values between the quantiles that drift is measured with, and the edges.
        public var driftEdges: [Double] = []
        public var driftShares: [Double] = []
        /// Of dates: the longest stretch without a row, in seconds, and its start.
        public var longestGap: Double?
        public var longestGapStart: Double?

        public struct Level: Sendable, Codable, Equatable {
            public let name: String
            public let count: Int
        }
    }

    /// Something to look at.
    public struct Finding: Sendable, Codable, Equatable {
        /// "constant", "missing", "duplicates", "leak", "imbalance", "outliers", "skew", "correlated", "identifier", "gap".
        public let kind: String
        public let column: String?
        public let text: String
    }

    public struct Pair: Sendable, Codable, Equatable {
        public let first: String
        public let second: String
        public let correlation: Double
    }

    public let rows: Int
    public let duplicateRows: Int
    public var columns: [ColumnProfile]
    /// Pairs of number columns, the strongest first.
    public var correlations: [Pair]
    /// By class of the target, when one is named.
    public var classes: [ColumnProfile.Level]
    /// How well each column alone tells the target, 0 … 1 (share of the uncertainty explained, or squared correlation).
    public var association: [String: Double]
    public var findings: [Finding]

    /// Looks at every column. O(rows · log rows · columns + rows · columns²).
    ///
    /// - Parameter target: the column to be predicted, for class balance and leaks.
    public init(_ table: Table, target: String? = nil) throws(DataError) {
        let rows = table.rowCount
        self.rows = rows
        columns = []
        findings = []
        correlations = []
        classes = []
        association = [:]
        for column in table.columns { columns.append(ColumnProfiler.profile(column)) }
        // Identifiers make every row different from any other.
        let compared = table.columns.filter { $0.type != .identifier }
        let keys = compared.isEmpty || rows == 0 ? nil : try RowKeys(compared)
        duplicateRows = keys.map { rows - $0.count } ?? 0
        let numeric = table.columns.filter { $0.type == .number || $0.type == .integer }.prefix(60)
        let values = numeric.map { ($0.name, $0.numbers ?? []) }
        for (place, (name, own)) in values.enumerated() {
            for (other, others) in values.prefix(place) {
                let correlation = Correlation.pearson(own, others)
                if correlation.isFinite {
                    correlations.append(Pair(first: other, second: name, correlation: correlation))
                }
            }
        }
        correlations.sort { abs($0.correlation) > abs($1.correlation) }
        if let target { try describe(target, table) }
        find(target)
    }

    /// Only what drift is measured by: the distribution of every column, from at most 100,000 evenly spaced rows.
    public init(distributionsOf table: Table) {
        let step = max(1, table.rowCount / 100_000)
        let sample = step == 1 ? table : table.selecting(rows: Array(stride(from: 0, to: table.rowCount, by: step)))
        rows = sample.rowCount
        duplicateRows = 0
        columns = sample.columns.map { ColumnProfiler.profile($0) }
        for place in columns.indices {
            // Rare levels and bins for pictures don't belong in a model.
            columns[place].histogramEdges = []
            columns[place].histogramCounts = []
        }
        correlations = []
        classes = []
        association = [:]
        findings = []
    }

    /// Only names and types, of a table of which no more is known.
    public init(schema: [TableSchema.Entry]) {
        rows = 0
        duplicateRows = 0
        columns = schema.map { ColumnProfile(name: $0.name, type: $0.type, missing: 0, distinct: 0) }
        correlations = []
        classes = []
        association = [:]
        findings = []
    }

    /// Without the columns that aren't named.
    public func keeping(_ names: Set<String>) -> TableProfile {
        var kept = self
        kept.columns.removeAll { !names.contains($0.name) }
        return kept
    }

    private mutating func describe(_ target: String, _ table: Table) throws(DataError) {
        let wanted = try table.column(target)
        let counted = CategorySteps.counts(wanted)
        let isClass =
            !(wanted.type == .number || (wanted.type == .integer && counted.count > 20) || wanted.type == .date)
        if isClass { classes = counted.map { ColumnProfile.Level(name: $0.level, count: $0.count) } }
        for column in table.columns where column.name != target {
            association[column.name] = Association.measure(column, wanted, classes: isClass)
        }
    }

    private mutating func find(_ target: String?) {
        func note(_ kind: String, _ column: String?, _ text: String) {
            findings.append(Finding(kind: kind, column: column, text: text))
        }
        let total = Double(max(rows, 1))
        func percent(_ count: Int) -> String { Column.text((1000 * Double(count) / total).rounded() / 10) + " %" }
        if duplicateRows > 0 {
            note(
                "duplicates", nil, "\(duplicateRows) rows (\(percent(duplicateRows))) repeat another, identifiers aside"
            )
        }
        for column in columns {
            let present = rows - column.missing
            if rows > 0, present == 0 {
                note("missing", column.name, "has no value at all")
            } else if column.distinct == 1, rows > 1 {
                note("constant", column.name, "has one value only\(column.missing > 0 ? ", where it has one" : "")")
            } else if Double(column.missing) > 0.2 * total {
                note("missing", column.name, "\(percent(column.missing)) of the values are missing")
            }
            if let outliers = column.outliers, outliers > 0, column.distinct > 10 {
                note(
                    "outliers", column.name,
                    "\(outliers) values lie more than three quartile distances outside of the quartiles")
            }
            if let skewness = column.skewness, abs(skewness) > 3, column.distinct > 10 {
                note(
                    "skew", column.name,
                    "skewness \(Column.text((skewness * 100).rounded() / 100)); a log step may help")
            }
            if column.type == .category || column.type == .text, present > 50, column.distinct == present,
                column.name != target
            {
                note("identifier", column.name, "every value is different: a name, not a feature?")
            }
            if let gap = column.longestGap, let start = column.longestGapStart, let first = column.minimum,
                let last = column.maximum, last > first, gap > 0.2 * (last - first), gap > 86_400, present > 20
            {
                let days = Int(gap / 86_400)
                note("gap", column.name, "no row for \(days) days from \(CalendarTime.text(Int64(start)))")
            }
        }
        for pair in correlations.prefix(20)
        where abs(pair.correlation) > 0.98 && pair.first != target && pair.second != target {
            note(
                "correlated", pair.second,
                "says nearly the same as '\(pair.first)' (correlation \(Column.text((pair.correlation * 1000).rounded() / 1000)))"
            )
        }
        for (name, share) in association.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) where share > 0.9 {
            note(
                "leak", name,
                "alone tells the target almost surely (\(Column.text((share * 1000).rounded() / 1000)) of 1): is it known before the outcome?"
            )
        }
        if classes.count >= 2, let least = classes.last, Double(least.count) < 0.05 * total {
            note("imbalance", target, "class '\(least.name)' has \(percent(least.count)) of the rows")
        }
        if classes.count == 1 { note("imbalance", target, "there is one class only: nothing to learn") }
    }
}

/// Figures of one column.
enum ColumnProfiler {
    static let shares = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    private static let levelLimit = 50

    static func profile(_ column: Column) -> TableProfile.ColumnProfile {
        let missing = column.missingCount
        if let numbers = column.numbers { return number(column, numbers, missing) }
        if let text = column.packedText, column.type == .text {
            var lengths: [Double] = []
            for row in 0..<text.count where !text.isEmpty(row) { lengths.append(Double(text[row].count)) }
            let distinct = (try? RowKeys([column])).map { $0.count - (missing > 0 ? 1 : 0) } ?? 0
            var result = TableProfile.ColumnProfile(
                name: column.name, type: column.type, missing: missing, distinct: distinct)
            result.lengths =
                lengths.isEmpty
                ? [] : [lengths.min() ?? 0, lengths.reduce(0, +) / Double(lengths.count), lengths.max() ?? 0]
            return result
        }
        let counts = CategorySteps.counts(column)
        var result = TableProfile.ColumnProfile(
            name: column.name, type: column.type, missing: missing, distinct: counts.count)
        if column.type == .category {
            result.levels = counts.prefix(levelLimit).map { .init(name: $0.level, count: $0.count) }
            let total = Double(max(column.count - missing, 1))
            result.driftShares = counts.prefix(levelLimit).map { Double($0.count) / total }
        }
        return result
    }

    private static func number(_ column: Column, _ numbers: [Double], _ missing: Int) -> TableProfile.ColumnProfile {
        let sorted = numbers.filter { !$0.isNaN }.sorted()
        var distinct = 0
        for (place, value) in sorted.enumerated() where place == 0 || value != sorted[place - 1] { distinct += 1 }
        var result = TableProfile.ColumnProfile(
            name: column.name, type: column.type, missing: missing, distinct: distinct)
        guard let first = sorted.first, let last = sorted.last, let moments = NumberSteps.moments(sorted) else {
            return result
        }
        result.minimum = first
        result.maximum = last
        result.mean = moments.mean
        result.deviation = moments.deviation
        result.quantiles = at(sorted, shares)
        let spread = result.quantiles[4] - result.quantiles[2]
        let (low, high) = (result.quantiles[2] - 3 * spread, result.quantiles[4] + 3 * spread)
        if column.type != .date, column.type != .boolean {
            result.outliers = spread > 0 ? sorted.reduce(0) { $0 + ($1 < low || $1 > high ? 1 : 0) } : 0
            result.zeros = sorted.reduce(0) { $0 + ($1 == 0 ? 1 : 0) }
            result.negatives = sorted.reduce(0) { $0 + ($1 < 0 ? 1 : 0) }
            if moments.deviation > 0 {
                let cubes = sorted.reduce(0) { $0 + pow(($1 - moments.mean) / moments.deviation, 3) }
                result.skewness = cubes / Double(sorted.count)
            }
        }
        if column.type == .boolean || (column.type == .integer && distinct <= 20) {
            result.levels = CategorySteps.counts(column).map { .init(name: $0.level, count: $0.count) }
        }
        let bins = 30
        let width = (last - first) / Double(bins)
        if width > 0 {
            result.histogramEdges = (0...bins).map { first + width * Double($0) }
            result.histogramCounts = [Int](repeating: 0, count: bins)
            for value in sorted { result.histogramCounts[min(Int((value - first) / width), bins - 1)] += 1 }
        }
        (result.driftEdges, result.driftShares) = driftBins(sorted)
        if column.type == .date, sorted.count > 1 {
            var (gap, start) = (0.0, first)
            for place in 1..<sorted.count where sorted[place] - sorted[place - 1] > gap {
                (gap, start) = (sorted[place] - sorted[place - 1], sorted[place - 1])
            }
            result.longestGap = gap
            result.longestGapStart = start
        }
        return result
    }

    /// Bins between the twentieths of sorted values, and the share of them in each. The outer bins are open.
    private static func driftBins(_ sorted: [Double]) -> (edges: [Double], shares: [Double]) {
        var edges: [Double] = []
        for edge in at(sorted, (1..<20).map { Double($0) / 20 }) where edges.last != edge { edges.append(edge) }
        return (edges, binShares(sorted, edges))
    }

    /// Shares of values at most each edge but above the one before; the last bin is open.
    static func binShares(_ values: [Double], _ edges: [Double]) -> [Double] {
        var counts = [Double](repeating: 0, count: edges.count + 1)
        var total = 0.0
        for value in values where !value.isNaN {
            var (low, high) = (0, edges.count)
            while low < high {
                let middle = (low + high) / 2
                if value <= edges[middle] { high = middle } else { low = middle + 1 }
            }
            counts[low] += 1
            total += 1
        }
        return counts.map { $0 / max(total, 1) }
    }

    private static func at(_ sorted: [Double], _ shares: [Double]) -> [Double] {
        shares.map { share in
            let position = share * Double(sorted.count - 1)
            let below = Int(position)
            let above = min(below + 1, sorted.count - 1)
            return sorted[below] + (sorted[above] - sorted[below]) * (position - Double(below))
        }
    }
}

/// How much one column says about another.
enum Association {
    /// For classes: the share of the target's entropy that the column explains, numbers in twenty bins; small samples are
    /// corrected (Miller and Madow). For numbers: the squared correlation of the target with the column, or with the means
    /// by level.
    static func measure(_ column: Column, _ target: Column, classes: Bool) -> Double {
        if column.type == .identifier || column.type == .text { return 0 }
        let codes: [Int32]
        if let numbers = column.numbers {
            if !classes, let wanted = target.numbers {
                let correlation = Correlation.pearson(numbers, wanted)
                return correlation.isFinite ? correlation * correlation : 0
            }
            var edges: [Double] = []
            for edge in NumberSteps.quantiles(numbers, (1..<20).map { Double($0) / 20 }) where edges.last != edge {
                edges.append(edge)
            }
            codes = numbers.map { value in value.isNaN ? -1 : Int32(edges.reduce(0) { $0 + (value > $1 ? 1 : 0) }) }
        } else if case .category(let own, _) = column.values {
            codes = own
        } else {
            return 0
        }
        guard classes else { return explained(codes, target.numbers ?? []) }
        guard case .category(let labels, _) = CategorySteps.category(target).values else { return 0 }
        return information(codes, labels)
    }

    private static func information(_ codes: [Int32], _ labels: [Int32]) -> Double {
        var (joint, first, second): ([SIMD2<Int32>: Double], [Int32: Double], [Int32: Double]) = ([:], [:], [:])
        var total = 0.0
        for row in codes.indices where labels[row] >= 0 {
            joint[SIMD2(codes[row], labels[row]), default: 0] += 1
            first[codes[row], default: 0] += 1
            second[labels[row], default: 0] += 1
            total += 1
        }
        guard total > 0, second.count > 1 else { return 0 }
        func entropy(_ counts: some Sequence<Double>, _ kinds: Int) -> Double {
            counts.reduce(0) { $0 - $1 / total * log($1 / total) } + Double(kinds - 1) / (2 * total)
        }
        let target = entropy(second.values, second.count)
        let shared = entropy(first.values, first.count) + target - entropy(joint.values, joint.count)
        return min(max(shared / target, 0), 1)
    }

    private static func explained(_ codes: [Int32], _ values: [Double]) -> Double {
        guard !values.isEmpty, let moments = NumberSteps.moments(values), moments.deviation > 0 else { return 0 }
        var sums: [Int32: (count: Double, sum: Double)] = [:]
        var total = 0.0
        for row in codes.indices where !values[row].isNaN {
            let old = sums[codes[row]] ?? (0, 0)
            sums[codes[row]] = (old.count + 1, old.sum + values[row])
            total += 1
        }
        guard total > Double(sums.count) else { return 0 }
        let between = sums.values.reduce(0) { $0 + $1.count * pow($1.sum / $1.count - moments.mean, 2) }
        let share = between / (total * moments.deviation * moments.deviation)
        return max(0, 1 - (1 - share) * (total - 1) / (total - Double(sums.count)))
    }
}
