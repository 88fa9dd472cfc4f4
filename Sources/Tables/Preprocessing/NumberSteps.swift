import Core
import Glibc

/// Steps on numbers.
enum NumberSteps {
    static func filled(_ column: Column, number: Double?, text: String?) -> Column {
        switch column.values {
        case .number(let values):
            guard let number else { return column }
            return Column(column.name, .number(values.map { $0.isNaN ? number : $0 }))
        case .integer(let values):
            guard let number else { return column }
            guard number == number.rounded(), abs(number) < 0x1p62 else {
                return Column(
                    column.name, .number(values.map { $0 == Column.missingInteger ? number : Double($0) }))
            }
            return Column(column.name, .integer(values.map { $0 == Column.missingInteger ? Int64(number) : $0 }))
        case .date(let values):
            guard let number else { return column }
            return Column(column.name, .date(values.map { $0 == Column.missingInteger ? Int64(number) : $0 }))
        case .boolean(let values):
            guard let number else { return column }
            guard number == 0 || number == 1 else {
                return Column(column.name, .number(values.map { $0 < 0 ? number : Double($0) }))
            }
            return Column(column.name, .boolean(values.map { $0 < 0 ? Int8(number) : $0 }))
        case .category(let codes, var levels):
            guard let text else { return column }
            let code: Int32
            if let known = levels.firstIndex(of: text) {
                code = Int32(known)
            } else {
                code = Int32(levels.count)
                levels.append(text)
            }
            return Column(column.name, .category(codes: codes.map { $0 < 0 ? code : $0 }, levels: levels))
        case .text(let packed), .identifier(let packed):
            guard let text else { return column }
            let filled = PackedText((0..<packed.count).map { packed.isEmpty($0) ? text : packed[$0] })
            return Column(column.name, column.type == .text ? .text(filled) : .identifier(filled))
        }
    }

    /// A function of every value that is there.
    static func mapped(_ column: Column, _ function: (Double) -> Double) throws -> Column {
        let numbers = try numbers(column)
        return Column(column.name, .number(numbers.map { $0.isNaN ? .nan : function($0) }))
    }

    static func numbers(_ column: Column) throws -> [Double] {
        if let numbers = column.numbers { return numbers }
        throw DataError("the step needs numbers, and this is \(column.type.rawValue)", column: column.name)
    }

    static func signedLog(_ value: Double) -> Double { value < 0 ? -log1p(-value) : log1p(value) }

    /// Ranges [edge, edge); those outside of the first and the last edge go to the outer bins.
    static func binned(_ column: Column, _ edges: [Double]) throws -> Column {
        let numbers = try numbers(column)
        let inner = edges.dropFirst().dropLast()
        let levels = zip(edges, edges.dropFirst()).enumerated().map { place, pair in
            let close = place == edges.count - 2 ? "]" : ")"
            return "[\(Column.text(pair.0)), \(Column.text(pair.1))\(close)"
        }
        let codes = numbers.map { value -> Int32 in
            value.isNaN ? -1 : Int32(inner.reduce(0) { $0 + (value >= $1 ? 1 : 0) })
        }
        return Column(column.name, .category(codes: codes, levels: levels))
    }

    static func logarithm(_ value: Double) -> Double { Glibc.log(value) }

    // MARK: Fitting

    /// Mean and (population) standard deviation of the values that are there; 0 values give nil.
    static func moments(_ values: [Double]) -> (mean: Double, deviation: Double)? {
        var count = 0.0
        var sum = 0.0
        for value in values where !value.isNaN {
            count += 1
            sum += value
        }
        guard count > 0 else { return nil }
        let mean = sum / count
        var squares = 0.0
        for value in values where !value.isNaN { squares += (value - mean) * (value - mean) }
        return (mean, (squares / count).squareRoot())
    }

    /// Quantiles of the values that are there, linear between neighbours (type 7, as NumPy and R have it); empty
    /// without values. O(n log n).
    static func quantiles(_ values: [Double], _ shares: [Double]) -> [Double] {
        let sorted = values.filter { !$0.isNaN }.sorted()
        guard !sorted.isEmpty else { return [] }
        return shares.map { share in
            let position = share * Double(sorted.count - 1)
            let below = Int(position)
            let above = min(below + 1, sorted.count - 1)
            return sorted[below] + (sorted[above] - sorted[below]) * (position - Double(below))
        }
    }

    /// The most frequent value, the smallest among equals.
    static func mode(_ values: [Double]) -> Double? {
        var counts: [Double: Int] = [:]
        for value in values where !value.isNaN { counts[value, default: 0] += 1 }
        return counts.max { ($0.value, -$0.key) < ($1.value, -$1.key) }?.key
    }

    static func edges(_ values: [Double], count: Int, by rule: BinRule) -> [Double] {
        let shares = (0...count).map { Double($0) / Double(count) }
        var edges: [Double]
        if rule == .quantile {
            edges = quantiles(values, shares)
        } else {
            let ends = quantiles(values, [0, 1])
            guard ends.count == 2 else { return [] }
            edges = shares.map { ends[0] + (ends[1] - ends[0]) * $0 }
        }
        var distinct: [Double] = []
        for edge in edges where distinct.last != edge { distinct.append(edge) }
        return distinct
    }
}
