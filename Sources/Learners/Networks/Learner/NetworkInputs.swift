import Core
import Tables

/// Which columns of the features a network reads as numbers, and which as identifiers of tables of vectors.
///
/// Identifier 0 of a category is what training has not seen, and a missing value; levels follow.
public struct NetworkInputs: Codable, Sendable, Equatable {
    /// A column whose levels have vectors.
    public struct Category: Codable, Sendable, Equatable {
        public var column: Int
        public var levels: Int
    }

    /// Levels of several categories together, as one identifier.
    public struct Cross: Codable, Sendable, Equatable {
        /// Places in ``NetworkInputs/categories``.
        public var categories: [Int]
        /// Identifiers; combinations beyond so many share them by a hash.
        public var buckets: Int
    }

    /// Columns that are the steps of a sequence, whose events have vectors.
    public struct Sequence: Codable, Sendable, Equatable {
        /// The first step.
        public var column: Int
        /// Steps.
        public var length: Int
        /// Numbers of events.
        public var events: Int
    }

    public var columns: [Int]
    public var categories: [Category]
    public var crosses: [Cross]
    /// nil for none.
    public var sequences: [Sequence]?

    /// Takes columns of categories and events for identifiers and all others for numbers.
    init(_ features: [FeatureDescription]) {
        (columns, categories, crosses) = ([], [], [])
        var sequences: [Sequence] = []
        for (column, feature) in features.enumerated() {
            switch feature.kind {
            case .category(let levels): categories.append(Category(column: column, levels: levels.count))
            case .number: columns.append(column)
            case .event(let count):
                if let last = sequences.last, last.column + last.length == column,
                    features[last.column].source == feature.source
                {
                    sequences[sequences.count - 1].length += 1
                } else {
                    sequences.append(Sequence(column: column, length: 1, events: count))
                }
            }
        }
        self.sequences = sequences.isEmpty ? nil : sequences
    }

    /// Columns of the features that it reads.
    var featureCount: Int { columns.count + categories.count + (sequences ?? []).reduce(0) { $0 + $1.length } }

    /// Identifiers of an example: those of the categories, then of the crosses, then of the sequences' steps.
    var identifierCount: Int {
        categories.count + crosses.count + (sequences ?? []).reduce(0) { $0 + $1.length }
    }

    /// The table of each sequence's events.
    var sequenceTables: [EmbeddingTable] {
        var start = categories.count + crosses.count
        return (sequences ?? []).map { sequence in
            defer { start += sequence.length }
            return EmbeddingTable(rows: sequence.events, column: start, count: sequence.length)
        }
    }

    /// Rows of the tables: of the categories, then of the crosses.
    var tables: [EmbeddingTable] {
        (categories.map { $0.levels + 1 } + crosses.map(\.buckets)).enumerated().map {
            EmbeddingTable(rows: $1, column: $0)
        }
    }

    /// Contributions by columns of the features, row after row.
    func byColumn(_ found: IntegratedGradients.Contributions, rows: Int) -> [Double] {
        var values = [Double](repeating: 0, count: rows * featureCount)
        let width = identifierCount
        for row in 0..<rows {
            let start = row * featureCount
            for (place, column) in columns.enumerated() {
                values[start + column] = found.numbers[row * columns.count + place]
            }
            for (place, category) in categories.enumerated() {
                values[start + category.column] += found.identifiers[row * width + place]
            }
            for (place, cross) in crosses.enumerated() {
                let part = found.identifiers[row * width + categories.count + place] / Double(cross.categories.count)
                for category in cross.categories { values[start + categories[category].column] += part }
            }
        }
        return values
    }

    /// The columns that are numbers.
    func numbers(_ features: Features) -> HostMatrix {
        let all = features.dense
        if columns.count == all.columns { return all }
        let result = HostMatrix(rows: all.rows, columns: columns.count)
        for row in 0..<all.rows {
            for (place, column) in columns.enumerated() { result[row, place] = all[row, column] }
        }
        return result
    }

    /// The identifiers; nil when there are neither categories nor sequences.
    func identifiers(_ features: Features) -> IdentifierRows? {
        let width = identifierCount
        guard width > 0 else { return nil }
        let all = features.dense
        var values = [Int32](repeating: 0, count: all.rows * width)
        for row in 0..<all.rows {
            for (place, category) in categories.enumerated() {
                let code = all[row, category.column]
                // A code past the training's levels is an unseen one.
                if code >= 0, code < Float(category.levels) { values[row * width + place] = Int32(code) + 1 }
            }
            for (place, cross) in crosses.enumerated() {
                var (number, count) = (UInt64(0), UInt64(1))
                for category in cross.categories {
                    let levels = UInt64(categories[category].levels + 1)
                    number = number &* levels &+ UInt64(values[row * width + category])
                    count = count.multipliedReportingOverflow(by: levels).overflow ? .max : count &* levels
                }
                if count > UInt64(cross.buckets) {
                    // A multiplicative hash whose upper bits depend on all of the number.
                    number = (number ^ number >> 32) &* 0x9E37_79B9_7F4A_7C15
                    number = (number >> 29) % UInt64(cross.buckets)
                }
                values[row * width + categories.count + place] = Int32(number)
            }
            var place = row * width + categories.count + crosses.count
            for sequence in sequences ?? [] {
                for step in 0..<sequence.length {
                    let code = all[row, sequence.column + step]
                    values[place] = code >= 0 && code < Float(sequence.events) ? Int32(code) : -1
                    place += 1
                }
            }
        }
        return IdentifierRows(columns: width, values: values)
    }
}

extension IdentifierRows {
    /// Some rows, in the order given.
    func selecting(_ rows: [Int]) -> IdentifierRows {
        var picked: [Int32] = []
        picked.reserveCapacity(rows.count * columns)
        for row in rows { picked += values[row * columns..<(row + 1) * columns] }
        return IdentifierRows(columns: columns, values: picked)
    }
}

extension NetworkWeights {
    /// Gives rows of tables that no training row has named (what was never seen, among others) the mean of those that
    /// were, weighted by how often.
    func fillingUntouchedRows(_ counts: IdentifierCounts, _ architecture: NetworkArchitecture) -> NetworkWeights {
        guard let network = try? architecture.resolved() else { return self }
        var values = values
        func visit(_ layers: [ResolvedLayer]) {
            for layer in layers {
                visit(layer.inner)
                guard case .embedding(let tables, let units, let arrangement) = layer.specification else { continue }
                for (index, table) in tables.enumerated() where table.count == 1 || arrangement == .steps {
                    let place = descriptions.firstIndex { $0.name == layer.parameters[index].name }!
                    values[place] = filled(values[place], table, units, counts)
                }
            }
        }
        visit(network.layers)
        return NetworkWeights(descriptions, values: values)
    }

    private func filled(
        _ vectors: HostBuffer<Float>, _ table: EmbeddingTable, _ units: Int, _ named: IdentifierCounts
    ) -> HostBuffer<Float> {
        let counts = named.of(columns: table.column..<table.column + table.count, below: table.rows)
        let total = counts.reduce(0, +)
        guard total > 0, counts.contains(0) else { return vectors }
        var mean = [Double](repeating: 0, count: units)
        for (row, count) in counts.enumerated() where count > 0 {
            for unit in 0..<units { mean[unit] += Double(count) * Double(vectors[row * units + unit]) }
        }
        let result = HostBuffer(vectors.array)
        for (row, count) in counts.enumerated() where count == 0 {
            for unit in 0..<units { result[row * units + unit] = Float(mean[unit] / Double(total)) }
        }
        return result
    }
}
