import Core
import Tables

/// From features and targets to what a network is trained on.
struct NetworkEncoder {
    /// Which columns are numbers and which identifiers; nil when all are numbers.
    let inputs: NetworkInputs?
    /// What is taken from all numbers, and what they are then multiplied by.
    let scale: (shift: Float, factor: Float)?
    let objective: NetworkObjective
    /// Of the target, which the network predicts as a number around 0.
    let mean: Double
    let deviation: Double
    /// Part of a label of two classes that goes to the other.
    let smoothing: Double

    /// The columns that are numbers, scaled.
    func numbers(_ features: Features) -> HostMatrix {
        (inputs?.numbers(features) ?? features.dense).scaled(scale?.shift, scale?.factor)
    }

    /// All rows; labels of rows that are trained on are smoothed.
    ///
    func encode(
        _ features: Features, _ target: [Double], _ weights: [Double]?, isTrained: Bool
    ) -> NetworkData {
        encode(
            numbers(features), inputs?.identifiers(features), target, weights, rows: nil, isTrained: isTrained)
    }

    /// Some of the rows, in the order given; all when nil.
    ///
    /// - Parameter balance: what weights are multiplied by, so that their mean is 1; nil: that of these rows.
    func encode(
        _ numbers: HostMatrix, _ identifiers: IdentifierRows?, _ target: [Double], _ weights: [Double]?, rows: [Int]?,
        balance: Double? = nil, isTrained: Bool
    ) -> NetworkData {
        let smoothing = isTrained ? smoothing : 0
        let chosen = rows ?? Array(target.indices)
        let factor = weights.map { balance ?? Self.balance($0, chosen) }
        return NetworkData(
            features: rows.map(numbers.selecting) ?? numbers,
            identifiers: rows.map { identifiers?.selecting($0) } ?? identifiers,
            targets: objective == .classes
                ? [] : chosen.map { Float((target[$0] - mean) / deviation * (1 - smoothing) + smoothing / 2) },
            labels: objective == .classes ? chosen.map { Int32(target[$0]) } : [],
            weights: factor.map { factor in chosen.map { Float(weights![$0] * factor) } })
    }

    /// What weights of some rows are multiplied by, so that their mean is 1.
    static func balance(_ weights: [Double], _ rows: [Int]) -> Double {
        Double(rows.count) / max(rows.reduce(0.0) { $0 + weights[$1] }, 1e-300)
    }
}

extension NetworkConfiguration {
    /// The rows to train on and those whose loss is watched, from a set in memory.
    func divide(
        _ training: TrainingSet, _ encoder: NetworkEncoder
    ) -> (parts: any NetworkDataParts, validation: NetworkData?, counts: IdentifierCounts?) {
        let order = Philox(seed: seed, stream: NetworkRandom.split).permutation(count: training.rows)
        let watched =
            training.watched != nil ? 0 : min(Int((Double(training.rows) * validation).rounded()), training.rows - 1)
        let numbers = encoder.numbers(training.features)
        let identifiers = encoder.inputs?.identifiers(training.features)
        func own(_ rows: ArraySlice<Int>, isTrained: Bool) -> NetworkData {
            encoder.encode(
                numbers, identifiers, training.target, training.weights, rows: rows.sorted(), isTrained: isTrained)
        }
        let part = own(order[watched...], isTrained: true)
        return (
            WholeNetworkData(data: part), watched > 0 ? own(order[..<watched], isTrained: false) : nil,
            part.identifiers.map { IdentifierCounts($0) }
        )
    }

    /// The same of rows that memory does not hold: encoded into a file, but for those that are watched, which are as many
    /// as a part has at most.
    func spill(
        _ streamed: StreamedRows, sample: TrainingSet, _ encoder: NetworkEncoder
    ) throws -> (parts: any NetworkDataParts, validation: NetworkData?, counts: IdentifierCounts?) {
        let words = sample.features.columns.count + 2
        let partRows = max(streamed.partBytes / 4 / words, batchSize)
        let parts = max((streamed.rows + partRows - 1) / partRows, 1)
        let writer = try SpillWriter(folder: streamed.folder, parts: parts, seed: seed)
        let watched =
            sample.watched != nil ? 0 : min(validation, 0.5 * Double(partRows) / Double(max(streamed.rows, 1)))
        let balance = sample.weights.map { NetworkEncoder.balance($0, Array($0.indices)) }
        let draw = Philox(seed: seed, stream: NetworkRandom.split)
        var number: UInt64 = 0
        var held: [NetworkData] = []
        var counts = encoder.inputs.flatMap {
            $0.identifierCount > 0 ? IdentifierCounts(columns: $0.identifierCount) : nil
        }
        try streamed.forEach { features, target, weights in
            let numbers = encoder.numbers(features)
            let identifiers = encoder.inputs?.identifiers(features)
            let isWatched = target.indices.map { draw.uniform64(number + UInt64($0)) < watched }
            number += UInt64(target.count)
            func part(_ rows: [Int], isTrained: Bool) -> NetworkData {
                encoder.encode(
                    numbers, identifiers, target, weights, rows: rows, balance: balance, isTrained: isTrained)
            }
            let own = part(target.indices.filter { !isWatched[$0] }, isTrained: true)
            if let identifiers = own.identifiers { counts?.add(identifiers) }
            try writer.append(own)
            let others = target.indices.filter { isWatched[$0] }
            if !others.isEmpty { held.append(part(others, isTrained: false)) }
        }
        return (try writer.finish(), held.isEmpty ? nil : NetworkData(joining: held), counts)
    }
}

extension NetworkData {
    /// Rows of several data of one form, one below the other.
    init(joining parts: [NetworkData]) {
        let columns = parts[0].features.columns
        let features = HostMatrix(rows: parts.reduce(0) { $0 + $1.rows }, columns: columns)
        var place = 0
        for part in parts where columns > 0 {
            for row in 0..<part.rows {
                _ = features.row(place).update(fromContentsOf: part.features.row(row))
                place += 1
            }
        }
        self.init(
            features: features,
            identifiers: parts[0].identifiers.map { first in
                IdentifierRows(columns: first.columns, values: parts.flatMap { $0.identifiers!.values })
            },
            targets: parts.flatMap(\.targets), labels: parts.flatMap(\.labels),
            weights: parts[0].weights == nil ? nil : parts.flatMap { $0.weights! })
    }
}

/// How often rows have named each identifier, by column.
struct IdentifierCounts {
    private var counts: [[Int]]

    init(columns: Int) { counts = [[Int]](repeating: [], count: columns) }

    init(_ identifiers: IdentifierRows) {
        self.init(columns: identifiers.columns)
        add(identifiers)
    }

    mutating func add(_ identifiers: IdentifierRows) {
        for row in 0..<identifiers.rows {
            for column in 0..<identifiers.columns {
                let id = Int(identifiers.values[row * identifiers.columns + column])
                guard id >= 0 else { continue }
                if id >= counts[column].count {
                    counts[column] += [Int](repeating: 0, count: id + 1 - counts[column].count)
                }
                counts[column][id] += 1
            }
        }
    }

    /// How often any of a range of columns has named an identifier below a limit.
    func of(columns: Range<Int>, below limit: Int) -> [Int] {
        var sums = [Int](repeating: 0, count: limit)
        for column in columns {
            for (id, count) in counts[column].prefix(limit).enumerated() { sums[id] += count }
        }
        return sums
    }
}
