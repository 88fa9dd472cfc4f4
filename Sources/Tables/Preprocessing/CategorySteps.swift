import Core

/// Steps on categories.
enum CategorySteps {
    /// Codes by a list of levels; −1 where missing or not in the list.
    static func codes(_ column: Column, _ levels: [String]) -> [Int32] {
        guard case .category(let codes, let own) = category(column).values else { return [] }
        if own == levels { return codes }
        let places = Dictionary(levels.enumerated().map { ($1, Int32($0)) }) { first, _ in first }
        let map = own.map { places[$0] ?? -1 }
        return codes.map { $0 < 0 ? -1 : map[Int($0)] }
    }

    /// Any column as a category.
    static func category(_ column: Column) -> Column {
        // Conversion to a category never fails.
        (try? column.converted(to: .category)) ?? column
    }

    static func grouped(_ column: Column, kept: [String], other: String?) -> Column {
        // Nothing was rare: levels stay, those never seen too, for the next step to say what becomes of them.
        guard let other else { return category(column) }
        let codes = codes(column, kept)
        let place = Int32(kept.count)
        return Column(
            column.name,
            .category(
                codes: codes.enumerated().map { $1 < 0 && !column.isMissing($0) ? place : $1 }, levels: kept + [other]))
    }

    /// A bucket for every level, by a hash of column and level; −1 for missing values.
    static func hashed(_ column: Column, _ buckets: Int) -> [Int32] {
        guard case .category(let codes, let levels) = category(column).values else { return [] }
        let map = levels.map { Int32(hash("\(column.name)=\($0)".utf8) % UInt64(buckets)) }
        return codes.map { $0 < 0 ? -1 : map[Int($0)] }
    }

    /// FNV-1a with a last mixing, the same on every machine.
    static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        hash = (hash ^ hash >> 32) &* 0xD6E8_FEB8_6659_FD93
        return hash ^ hash >> 32
    }

    /// How often each level comes; most frequent first, by name among equals.
    static func counts(_ column: Column) -> [(level: String, count: Int)] {
        guard case .category(let codes, let levels) = category(column).values else { return [] }
        var counts = [Int](repeating: 0, count: levels.count)
        for code in codes where code >= 0 { counts[Int(code)] += 1 }
        return zip(levels, counts).filter { $0.1 > 0 }.map { (level: $0.0, count: $0.1) }
            .sorted { ($1.count, $0.level) < ($0.count, $1.level) }
    }
}

/// Means of the target by level. With several classes, one mean (the share of a class) for each.
struct TargetEncoding: Sendable, Codable, Equatable {
    /// By class (one for numbers), then by level.
    let means: [[Double]]
    /// The mean of all, by class: what unseen levels get.
    let prior: [Double]
    /// The mean of rows without a level.
    let missing: [Double]

    func columns(_ name: String, codes: [Int32], missing isMissing: (Int) -> Bool) -> [Column] {
        means.indices.map { kind in
            let values = codes.enumerated().map { row, code in
                code >= 0 ? means[kind][Int(code)] : isMissing(row) ? missing[kind] : prior[kind]
            }
            return Column(TargetEncoding.name(name, kind, of: means.count), .number(values))
        }
    }

    static func name(_ column: String, _ kind: Int, of count: Int) -> String {
        count == 1 ? "\(column) (target mean)" : "\(column) (share of class \(kind))"
    }

    /// Shrunk means over some rows.
    init(codes: [Int32], levels: Int, targets: [[Double]], rows: some Sequence<Int>, smoothing: Double) {
        var sums = targets.map { _ in [Double](repeating: 0, count: levels + 1) }
        var counts = [Double](repeating: 0, count: levels + 1)
        for row in rows {
            // Missing values are the level after the last.
            let level = codes[row] < 0 ? levels : Int(codes[row])
            counts[level] += 1
            for kind in targets.indices { sums[kind][level] += targets[kind][row] }
        }
        let total = max(counts.reduce(0, +), 1)
        let prior = sums.map { $0.reduce(0, +) / total }
        var means: [[Double]] = []
        for kind in targets.indices {
            means.append(
                (0...levels).map { (sums[kind][$0] + smoothing * prior[kind]) / max(counts[$0] + smoothing, 1e-12) })
        }
        self.prior = prior
        missing = means.map { $0[levels] }
        self.means = means.map { Array($0.dropLast()) }
    }

    /// Encodings of the training rows, each from the other folds.
    static func outOfFold(
        _ name: String, codes: [Int32], levels: Int, targets: [[Double]], smoothing: Double, folds: Int,
        seed: UInt64, isMissing: (Int) -> Bool
    ) -> [Column] {
        let order = Philox(seed: seed, stream: 0x5441_5247).permutation(count: codes.count)
        var fold = [Int](repeating: 0, count: codes.count)
        for (place, row) in order.enumerated() { fold[row] = place % folds }
        var values = targets.map { _ in [Double](repeating: 0, count: codes.count) }
        for left in 0..<folds {
            let encoding = TargetEncoding(
                codes: codes, levels: levels, targets: targets, rows: codes.indices.lazy.filter { fold[$0] != left },
                smoothing: smoothing)
            for row in codes.indices where fold[row] == left {
                for kind in targets.indices {
                    values[kind][row] =
                        codes[row] >= 0 ? encoding.means[kind][Int(codes[row])] : encoding.missing[kind]
                }
            }
        }
        return targets.indices.map { Column(TargetEncoding.name(name, $0, of: targets.count), .number(values[$0])) }
    }
}
