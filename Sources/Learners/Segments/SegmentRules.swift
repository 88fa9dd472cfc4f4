import Core

/// Rules of up to three conditions that pick a segment out.
struct SegmentRules {
    private let numeric: [(name: String, values: [Double])]
    private let categories: [(name: String, codes: [Int32], levels: [String])]
    private let labels: [Int32]
    /// Rows looked at: enough for thresholds that a person reads.
    private let rows: [Int]

    private static let most = 20_000
    private static let conditions = 3

    init(
        numeric: [(name: String, values: [Double])], categories: [(name: String, codes: [Int32], levels: [String])],
        labels: [Int32]
    ) {
        (self.numeric, self.categories, self.labels) = (numeric, categories, labels)
        let step = max(1, (labels.count + Self.most - 1) / Self.most)
        rows = Array(stride(from: 0, to: labels.count, by: step))
    }

    private enum Condition {
        case above(Int, Double), atMost(Int, Double), level(Int, Int32)
    }

    /// Adds the condition that raises F₁ (the harmonic mean of precision and recall) most, as long as one does.
    func rule(for segment: Int32) -> (text: String, recall: Double, precision: Double) {
        let members = rows.count { labels[$0] == segment }
        guard members > 0 else { return ("", 0, 0) }
        var (kept, conditions) = (rows, [Condition]())
        var best = score(hits: members, named: rows.count, members: members)
        while conditions.count < Self.conditions {
            guard let next = strongest(kept, segment, members), next.score > best + 0.01 else { break }
            best = next.score
            conditions.append(next.condition)
            kept = kept.filter { holds(next.condition, $0) }
        }
        let all = labels.indices.filter { row in conditions.allSatisfy { holds($0, row) } }
        let hits = all.count { labels[$0] == segment }
        let size = labels.count { $0 == segment }
        return (
            conditions.isEmpty ? "everybody" : text(conditions),
            Double(hits) / Double(max(size, 1)), Double(hits) / Double(max(all.count, 1))
        )
    }

    private func score(hits: Int, named: Int, members: Int) -> Double {
        2 * Double(hits) / Double(max(named + members, 1))
    }

    private func holds(_ condition: Condition, _ row: Int) -> Bool {
        switch condition {
        case .above(let column, let threshold): numeric[column].values[row] > threshold
        case .atMost(let column, let threshold): numeric[column].values[row] <= threshold
        case .level(let column, let code): categories[column].codes[row] == code
        }
    }

    private func strongest(_ rows: [Int], _ segment: Int32, _ members: Int) -> (condition: Condition, score: Double)? {
        var best: (condition: Condition, score: Double)?
        func offer(_ condition: Condition, _ score: Double) {
            if best.map({ score > $0.score }) ?? true { best = (condition, score) }
        }
        for (column, (_, values)) in numeric.enumerated() {
            let sorted = rows.filter { !values[$0].isNaN }.sorted { values[$0] < values[$1] }
            let all = sorted.count { labels[$0] == segment }
            var below = 0
            for (place, row) in sorted.enumerated() {
                if labels[row] == segment { below += 1 }
                guard place + 1 < sorted.count, values[sorted[place + 1]] > values[row] else { continue }
                let threshold = round(
                    (values[row] + values[sorted[place + 1]]) / 2, values[row], values[sorted[place + 1]])
                offer(.atMost(column, threshold), score(hits: below, named: place + 1, members: members))
                offer(
                    .above(column, threshold),
                    score(hits: all - below, named: sorted.count - place - 1, members: members))
            }
        }
        for (column, (_, codes, levels)) in categories.enumerated() {
            var (hits, named) = ([Int](repeating: 0, count: levels.count), [Int](repeating: 0, count: levels.count))
            for row in rows where codes[row] >= 0 {
                named[Int(codes[row])] += 1
                if labels[row] == segment { hits[Int(codes[row])] += 1 }
            }
            for level in levels.indices {
                offer(
                    .level(column, Int32(level)), score(hits: hits[level], named: named[level], members: members))
            }
        }
        return best
    }

    /// The roundest number from `low` up to but not including `high`.
    private func round(_ middle: Double, _ low: Double, _ high: Double) -> Double {
        var step = 1e-6
        var result = middle
        while step <= 1e9 {
            let rounded = (middle / step).rounded() * step
            if rounded >= low && rounded < high { result = rounded }
            step *= 10
        }
        return result
    }

    private func text(_ conditions: [Condition]) -> String {
        conditions.map { condition in
            switch condition {
            case .above(let column, let threshold): "\(numeric[column].name) > \(number(threshold))"
            case .atMost(let column, let threshold): "\(numeric[column].name) ≤ \(number(threshold))"
            case .level(let column, let code): "\(categories[column].name) is \(categories[column].levels[Int(code)])"
            }
        }.joined(separator: " and ")
    }

    private func number(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return String((value * 1e6).rounded() / 1e6)
    }
}
