import Core

/// Fits one step after another, and does each at once so that the next sees its result.
final class RecipeFitting {
    private let target: RecipeTarget?
    private let seed: UInt64
    private(set) var notes: [String] = []

    init(target: RecipeTarget?, seed: UInt64) {
        self.target = target
        self.seed = seed
    }

    func fit(_ step: RecipeStep, _ table: inout WorkingTable) throws -> [FittedStep] {
        var done: [FittedStep] = []
        for column in try columns(of: step, table) {
            for fitted in try learned(step, column) {
                done.append(fitted)
                if case .target(let name, let levels, _) = fitted, case .target(_, let smoothing, let folds) = step {
                    try replaceOutOfFold(name, levels, smoothing, folds, &table)
                } else {
                    try fitted.apply(to: &table)
                }
            }
        }
        return done
    }

    /// The columns that a step works on.
    private func columns(of step: RecipeStep, _ table: WorkingTable) throws -> [Column] {
        let selection: ColumnSelection
        switch step {
        case .drop(let names): selection = .named(names)
        case .impute(let columns, _, _, _), .clip(let columns, _, _, _), .scale(let columns, _): selection = columns
        case .log(let columns), .bin(let columns, _, _), .rare(let columns, _, _): selection = columns
        case .oneHot(let columns, _), .ordinal(let columns, _): selection = columns
        case .hash(let columns, _), .bucket(let columns, _): selection = columns
        case .target(let columns, _, _), .dates(let columns, _), .text(let columns, _, _, _, _, _): selection = columns
        case .sequence(let columns, _, _, _): selection = columns
        }
        let all = table.columns
        switch selection {
        case .named(let names):
            return try names.map { name in
                guard let column = all.first(where: { $0.name == name }) else {
                    throw DataError("there is no column '\(name)'; the columns are \(Table.listed(all.map(\.name)))")
                }
                return column
            }
        case .numbers: return all.filter { $0.type.isNumeric }
        case .categories: return all.filter { $0.type == .category }
        case .dates: return all.filter { $0.type == .date }
        case .texts: return all.filter { $0.type == .text }
        case .all: return all.filter { $0.type != .text && $0.type != .identifier }
        }
    }

    private func learned(_ step: RecipeStep, _ column: Column) throws -> [FittedStep] {
        let name = column.name
        switch step {
        case .drop: return [.drop(column: name)]
        case .impute(_, let rule, let value, let indicator):
            let missing = column.missingCount
            guard missing < column.count || rule == .constant else {
                notes.append("column '\(name)' has no value in the training rows and is left out")
                return [.drop(column: name)]
            }
            // Where training has no missing value, new rows may have some.
            var result: [FittedStep] = indicator && missing > 0 ? [.indicator(column: name)] : []
            result.append(try fill(column, rule, value))
            return result
        case .clip(_, let low, let high, let quantiles):
            guard quantiles else { return [.clip(column: name, low: low, high: high)] }
            let shares = [low ?? 0, high ?? 1]
            guard shares.allSatisfy({ (0...1).contains($0) }) else {
                throw ParameterError("clip", "quantiles lie from 0 to 1")
            }
            let limits = NumberSteps.quantiles(try NumberSteps.numbers(column), shares)
            guard limits.count == 2 else { return [] }
            return [.clip(column: name, low: limits[0], high: limits[1])]
        case .scale(_, let rule): return [try scale(column, rule)]
        case .log:
            _ = try NumberSteps.numbers(column)
            return [.log(column: name)]
        case .bin(_, let count, let rule):
            guard (2...10_000).contains(count) else { throw ParameterError("bins", "must be from 2 to 10000") }
            let edges = NumberSteps.edges(try NumberSteps.numbers(column), count: count, by: rule)
            guard edges.count >= 2 else {
                notes.append("column '\(name)' has fewer than two distinct values and is not binned")
                return []
            }
            return [.bin(column: name, edges: edges)]
        case .rare(_, let share, let minimum):
            let counts = CategorySteps.counts(column)
            let total = counts.reduce(0) { $0 + $1.count }
            let kept = counts.filter { $0.count >= minimum && Double($0.count) >= share * Double(total) }
            guard kept.count < counts.count else {
                return [.group(column: name, kept: kept.map(\.level), other: nil)]
            }
            return [.group(column: name, kept: kept.map(\.level), other: "(rare)")]
        case .oneHot(_, let limit):
            let counts = CategorySteps.counts(column)
            let levels = counts.prefix(limit > 0 ? limit : counts.count).map(\.level)
            guard levels.count <= 1 << 20 else {
                throw DataError(
                    "\(levels.count) levels are too many for a column each; group rare ones, hash, or encode by target",
                    column: name)
            }
            return [.oneHot(column: name, levels: levels, missing: column.missingCount > 0)]
        case .ordinal(_, let order):
            let levels = CategorySteps.counts(column).map(\.level)
            guard !order.isEmpty else {
                return [.ordinal(column: name, levels: levels.sorted(by: CategoryOrder.before))]
            }
            if let unknown = levels.first(where: { !order.contains($0) }) {
                throw DataError("the order given doesn't name the level '\(unknown)'", column: name)
            }
            return [.ordinal(column: name, levels: order)]
        case .hash(_, let buckets):
            guard (2...1 << 24).contains(buckets) else { throw ParameterError("buckets", "must be from 2 to 16777216") }
            return [.hash(column: name, buckets: buckets)]
        case .bucket(_, let buckets):
            guard (2...1 << 20).contains(buckets) else { throw ParameterError("buckets", "must be from 2 to 1048576") }
            return CategorySteps.counts(column).count > buckets ? [.bucket(column: name, buckets: buckets)] : []
        case .target(_, let smoothing, let folds):
            guard smoothing >= 0, smoothing.isFinite else { throw ParameterError("smoothing", "must be 0 or more") }
            guard (2...1000).contains(folds) else { throw ParameterError("folds", "must be from 2 to 1000") }
            let levels = CategorySteps.counts(column).map(\.level)
            let encoding = TargetEncoding(
                codes: CategorySteps.codes(column, levels), levels: levels.count, targets: try targets(),
                rows: 0..<column.count, smoothing: smoothing)
            return [.target(column: name, levels: levels, encoding: encoding)]
        case .dates(_, let parts): return [.dates(column: name, parts: parts)]
        case .text(_, let vocabulary, let hashed, let weights, let minimum, let ngrams):
            return [
                .text(
                    column: name,
                    words: try TextVocabulary(
                        column, limit: vocabulary, hashed: hashed, weights: weights, minimumTexts: minimum,
                        longestNgram: ngrams))
            ]
        case .sequence(_, let length, let minimumCount, let separator):
            let events = try EventVocabulary(
                column, length: length, minimumCount: minimumCount, separator: separator)
            let longer = events.longer(column)
            if longer > 0 {
                notes.append(
                    "\(longer) of \(column.count) sequences of '\(name)' are longer than \(length) events; the newest are read"
                )
            }
            return [.sequence(column: name, events: events)]
        }
    }

    private func fill(_ column: Column, _ rule: ImputeRule, _ value: String?) throws -> FittedStep {
        let name = column.name
        switch rule {
        case .constant:
            guard let value else { throw ParameterError("impute", "a constant needs a value") }
            guard column.type.isNumeric || column.type == .date else {
                return .fill(column: name, number: nil, text: value)
            }
            let number = column.type == .date ? Column.date(value).map { Double($0) } : Column.number(value)
            guard let number else {
                throw ParameterError("impute", "'\(value)' is no \(column.type.rawValue), and column '\(name)' is")
            }
            return .fill(column: name, number: number, text: nil)
        case .mode where !column.type.isNumeric && column.type != .date:
            return .fill(column: name, number: nil, text: CategorySteps.counts(column).first?.level)
        case .mode: return .fill(column: name, number: NumberSteps.mode(try NumberSteps.numbers(column)), text: nil)
        case .mean:
            return .fill(column: name, number: NumberSteps.moments(try NumberSteps.numbers(column))?.mean, text: nil)
        case .median:
            return .fill(
                column: name, number: NumberSteps.quantiles(try NumberSteps.numbers(column), [0.5]).first, text: nil)
        }
    }

    private func scale(_ column: Column, _ rule: ScaleRule) throws -> FittedStep {
        let values = try NumberSteps.numbers(column)
        func inverse(_ spread: Double) -> Double { spread > 0 && spread.isFinite ? 1 / spread : 0 }
        switch rule {
        case .standard:
            let moments = NumberSteps.moments(values) ?? (0, 0)
            // A deviation that is rounding alone is none.
            let spread = moments.deviation > 1e-12 * abs(moments.mean) ? moments.deviation : 0
            return .scale(column: column.name, shift: moments.mean, factor: inverse(spread))
        case .minMax:
            let ends = NumberSteps.quantiles(values, [0, 1])
            guard ends.count == 2 else { return .scale(column: column.name, shift: 0, factor: 0) }
            return .scale(column: column.name, shift: ends[0], factor: inverse(ends[1] - ends[0]))
        case .robust:
            let quarters = NumberSteps.quantiles(values, [0.25, 0.5, 0.75])
            guard quarters.count == 3 else { return .scale(column: column.name, shift: 0, factor: 0) }
            return .scale(column: column.name, shift: quarters[1], factor: inverse(quarters[2] - quarters[0]))
        }
    }

    /// The target as one column of numbers, or one of 0 and 1 for each class (for one of two).
    private func targets() throws -> [[Double]] {
        switch target {
        case nil: throw ParameterError("target", "target encoding needs the target to be known")
        case .values(let values): return [values]
        case .classes(let codes, let count):
            if count == 2 { return [codes.map { Double($0) }] }
            return (0..<count).map { kind in codes.map { $0 == Int32(kind) ? 1 : 0 } }
        }
    }

    private func replaceOutOfFold(
        _ name: String, _ levels: [String], _ smoothing: Double, _ folds: Int, _ table: inout WorkingTable
    ) throws {
        guard let place = table.place(of: name), let (column, source) = table.column(at: place) else { return }
        let encoded = TargetEncoding.outOfFold(
            name, codes: CategorySteps.codes(column, levels), levels: levels.count, targets: try targets(),
            smoothing: smoothing, folds: min(folds, max(column.count, 2)), seed: seed, isMissing: column.isMissing)
        table.replace(place, with: encoded.map { .column($0, source: source) })
    }
}

/// Levels in the order of people: numbers by size, others by name.
enum CategoryOrder {
    static func before(_ a: String, _ b: String) -> Bool {
        if let x = Column.number(a), let y = Column.number(b), x != y { return x < y }
        return a < b
    }
}
