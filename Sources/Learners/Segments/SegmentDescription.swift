import Core
import Tables

/// What sets a segment apart from everybody else, in the units of the table.
public struct SegmentDescription: Sendable, Codable {
    /// How one column differs.
    public struct Difference: Sendable, Codable {
        /// The column, and for categories the level.
        public let feature: String
        public let level: String?
        /// Mean of the segment and of the others; for a level its share.
        public let mean: Double
        public let othersMean: Double
        /// Cohen's d, or for shares Cohen's h: 0.2 is small, 0.5 medium, 0.8 large; with its 95 % interval.
        public let effect: Double
        public let low: Double
        public let high: Double
    }

    /// Number of the segment, from 0.
    public let segment: Int
    public let size: Int
    public let share: Double
    /// A few words from the two strongest differences.
    public let name: String
    /// Strongest first.
    public let differences: [Difference]
    /// A rule that a person can read, how much of the segment it covers and how many of those it names belong to it.
    public let rule: String
    public let ruleRecall: Double
    public let rulePrecision: Double
    /// Share of the revenue; nil where no column says.
    public let revenueShare: Double?
    /// Means of the numeric columns, in the table's order.
    public let center: [String: Double]
    /// The members nearest to the centre.
    public let examples: [String]
}

/// Describes segments by a table that has a row for each member.
public struct SegmentDescriber {
    private let table: Table
    private let labels: [Int32]
    private let count: Int
    /// What high and low values of a column are called in names: "recent" for a low recency.
    public var words: [String: (high: String, low: String)] = [:]
    private let numeric: [(name: String, values: [Double])]
    private let categories: [(name: String, codes: [Int32], levels: [String])]

    /// - Parameters:
    ///   - table: a row for each member; identifiers, texts and dates are passed over.
    ///   - labels: the segment of each row, −1 for none.
    public init(_ table: Table, labels: [Int32], count: Int) {
        precondition(labels.count == table.rowCount)
        (self.table, self.labels, self.count) = (table, labels, count)
        numeric = table.columns.compactMap { column in
            guard column.type.isNumeric, let values = column.numbers else { return nil }
            return (column.name, values)
        }
        categories = table.columns.compactMap { column in
            guard case .category(let codes, let levels) = column.values else { return nil }
            return (column.name, codes, levels)
        }
    }

    /// All segments. O(rows · columns), the rules apart: some passes more.
    ///
    /// - Parameters:
    ///   - distances: of each row to its centre, by which examples are chosen.
    ///   - identifiers: a name for each row.
    ///   - revenue: the column whose sum is the revenue.
    public func describe(distances: [Float], identifiers: [String], revenue: String? = nil) -> [SegmentDescription] {
        let money = revenue.flatMap { table[$0]?.numbers }
        let total = money.map { $0.reduce(0) { $0 + ($1.isNaN ? 0 : $1) } }
        let rules = SegmentRules(numeric: numeric, categories: categories, labels: labels)
        var names: [String: Int] = [:]
        return (0..<count).map { segment in
            let members = labels.indices.filter { labels[$0] == Int32(segment) }
            let differences = self.differences(segment).sorted { abs($0.effect) > abs($1.effect) }
            let rule = rules.rule(for: Int32(segment))
            var name = name(differences)
            names[name, default: 0] += 1
            if let times = names[name], times > 1 { name += " (\(times))" }
            var sum = 0.0
            if let money { for row in members where !money[row].isNaN { sum += money[row] } }
            let near = members.sorted { (distances[$0], $0) < (distances[$1], $1) }.prefix(3)
            return SegmentDescription(
                segment: segment, size: members.count, share: Double(members.count) / Double(max(labels.count, 1)),
                name: name, differences: differences, rule: rule.text, ruleRecall: rule.recall,
                rulePrecision: rule.precision, revenueShare: total.map { $0 == 0 ? 0 : sum / $0 },
                center: Dictionary(
                    numeric.map { one in (one.name, Self.mean(members.map { one.values[$0] })) }
                ) { a, _ in a },
                examples: near.map { identifiers[$0] })
        }
    }

    private static func mean(_ values: some Sequence<Double>) -> Double {
        var (sum, count) = (0.0, 0.0)
        for value in values where !value.isNaN { (sum, count) = (sum + value, count + 1) }
        return count > 0 ? sum / count : .nan
    }

    private func differences(_ segment: Int) -> [SegmentDescription.Difference] {
        var all: [SegmentDescription.Difference] = []
        for (name, values) in numeric {
            var sums = ([0.0, 0.0], [0.0, 0.0], [0.0, 0.0])
            let shift = values.first { !$0.isNaN } ?? 0
            for (row, value) in values.enumerated() where !value.isNaN {
                let side = labels[row] == Int32(segment) ? 0 : 1
                sums.0[side] += 1
                sums.1[side] += value - shift
                sums.2[side] += (value - shift) * (value - shift)
            }
            let (n, m) = (sums.0[0], sums.0[1])
            guard n > 0, m > 0, n + m > 2 else { continue }
            let (a, b) = (sums.1[0] / n, sums.1[1] / m)
            let spread = (max(sums.2[0] - n * a * a, 0) + max(sums.2[1] - m * b * b, 0)) / (n + m - 2)
            guard spread > 0 else { continue }
            let effect = (a - b) / spread.squareRoot()
            let error = ((n + m) / (n * m) + effect * effect / (2 * (n + m))).squareRoot()
            all.append(
                SegmentDescription.Difference(
                    feature: name, level: nil, mean: a + shift, othersMean: b + shift, effect: effect,
                    low: effect - 1.96 * error, high: effect + 1.96 * error))
        }
        for (name, codes, levels) in categories {
            var (own, others) = (
                [Double](repeating: 0, count: levels.count), [Double](repeating: 0, count: levels.count)
            )
            for (row, code) in codes.enumerated() where code >= 0 {
                if labels[row] == Int32(segment) { own[Int(code)] += 1 } else { others[Int(code)] += 1 }
            }
            let (n, m) = (own.reduce(0, +), others.reduce(0, +))
            guard n > 0, m > 0 else { continue }
            for level in levels.indices where own[level] + others[level] > 0 {
                let (p, q) = (own[level] / n, others[level] / m)
                let effect = 2 * arcsine(p.squareRoot()) - 2 * arcsine(q.squareRoot())
                let error = (1 / n + 1 / m).squareRoot()
                all.append(
                    SegmentDescription.Difference(
                        feature: name, level: levels[level], mean: p, othersMean: q, effect: effect,
                        low: effect - 1.96 * error, high: effect + 1.96 * error))
            }
        }
        return all
    }

    /// "high spending, recent": the strongest difference, and the second if it is strong too.
    private func name(_ differences: [SegmentDescription.Difference]) -> String {
        let strong = differences.prefix(2).filter { abs($0.effect) >= 0.2 }
        guard !strong.isEmpty else { return "like everybody" }
        return strong.map { difference in
            if let level = difference.level {
                return difference.effect > 0 ? "\(difference.feature) \(level)" : "not \(difference.feature) \(level)"
            }
            let size = abs(difference.effect) >= 0.8 ? "" : "rather "
            if let words = words[difference.feature] {
                return size + (difference.effect > 0 ? words.high : words.low)
            }
            return "\(size)\(difference.effect > 0 ? "high" : "low") \(difference.feature)"
        }.joined(separator: ", ")
    }
}
