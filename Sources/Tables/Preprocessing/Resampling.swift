import Core

/// Rows for training on classes of unlike size. Only for training rows: inside of folds, never before the split.
public enum Resampling {
    /// Rows of all classes, each as often as the largest class has rows (or `ratio` times as often): all rows once, and
    /// of the smaller classes some again, drawn at random. O(rows).
    public static func oversampled(classes: [Int32], count: Int, ratio: Double = 1, seed: UInt64) -> [Int] {
        let members = rows(classes, count)
        let wanted = Int((Double(members.map(\.count).max() ?? 0) * ratio).rounded())
        var result = Array(classes.indices)
        let draws = Philox(seed: seed, stream: 0x4F56_4552)
        var index: UInt64 = 0
        for own in members where !own.isEmpty && own.count < wanted {
            // Whole rounds first, so that no row comes much more often than another.
            let more = wanted - own.count
            for _ in 0..<more / own.count { result += own }
            let order = draws.permutation(count: own.count, start: index)
            index += UInt64(own.count)
            result += order.prefix(more % own.count).map { own[$0] }
        }
        return result
    }

    /// Rows of all classes, each as often as the smallest class has rows (divided by `ratio`), drawn without
    /// repetition, in their order. O(rows).
    public static func undersampled(classes: [Int32], count: Int, ratio: Double = 1, seed: UInt64) -> [Int] {
        let members = rows(classes, count)
        let least = members.filter { !$0.isEmpty }.map(\.count).min() ?? 0
        let wanted = Int((Double(least) / max(ratio, 1e-9)).rounded())
        let draws = Philox(seed: seed, stream: 0x554E_4445)
        var index: UInt64 = 0
        var result: [Int] = []
        for own in members {
            let order = draws.permutation(count: own.count, start: index)
            index += UInt64(own.count)
            result += order.prefix(wanted).map { own[$0] }
        }
        return result.sorted()
    }

    /// Weights that make all classes count the same: rows / (classes · rows of the class).
    public static func balancedWeights(classes: [Int32], count: Int) -> [Float] {
        let members = rows(classes, count)
        let present = members.filter { !$0.isEmpty }.count
        return classes.map { Float(Double(classes.count) / (Double(present) * Double(members[Int($0)].count))) }
    }

    private static func rows(_ classes: [Int32], _ count: Int) -> [[Int]] {
        var members = [[Int]](repeating: [], count: count)
        for (row, kind) in classes.enumerated() where kind >= 0 { members[Int(kind)].append(row) }
        return members
    }

    /// New rows of the smaller classes between real ones (SMOTE-NC: Chawla, Bowyer, Hall and Kegelmeyer 2002).
    ///
    /// For each new row a real one of its class is drawn, and one of its `neighbors` nearest of the class; numbers lie at
    /// random between the two, a category is the most frequent among the neighbours. Distances are Euclidean over numbers
    /// divided by their standard deviation, and count the median of the (scaled) deviations of the class for each category
    /// that differs. Missing numbers count as the mean. O(rows of the class² · columns), at most 2,000 rows of it are
    /// looked at for one row.
    ///
    /// - Returns: the features with new rows at the end, and the class of every row.
    /// - Throws: ``Core/ParameterError`` for sparse features, whose rows have no meaningful middle.
    public static func smote(
        _ features: Features, classes: [Int32], count: Int, neighbors: Int = 5, ratio: Double = 1, seed: UInt64
    ) throws -> (features: Features, classes: [Int32]) {
        guard case .dense(let matrix) = features.values else {
            throw ParameterError("smote", "sparse features can't be interpolated; over-sample instead")
        }
        guard neighbors >= 1 else { throw ParameterError("neighbors", "must be 1 or more") }
        let members = rows(classes, count)
        let wanted = Int((Double(members.map(\.count).max() ?? 0) * ratio).rounded())
        var fresh: [Float] = []
        var labels = classes
        let space = MixedSpace(features.columns, matrix)
        for (kind, own) in members.enumerated() where own.count >= 2 && own.count < wanted {
            let draws = Philox(seed: seed, stream: 0x534D_4F54_0000 | UInt64(kind))
            var known: [Int: [Int]] = [:]
            for place in 0..<wanted - own.count {
                let index = UInt64(place) * 4
                // Every row in turn, in a random order for the rest.
                let base = own[draws.integer(index, below: own.count)]
                let near =
                    known[base]
                    ?? space.nearest(to: base, among: own, count: neighbors, draws: draws, index: index << 20)
                known[base] = near
                guard !near.isEmpty else { continue }
                let partner = near[draws.integer(index + 1, below: near.count)]
                space.append(between: base, partner, near, share: Float(draws.uniform64(index + 2)), to: &fresh)
                labels.append(Int32(kind))
            }
        }
        let width = matrix.columns
        let added = fresh.count / max(width, 1)
        let storage = HostBuffer<Float>(uninitializedCount: (matrix.rows + added) * width)
        storage.baseAddress.update(from: matrix.storage.baseAddress, count: matrix.rows * width)
        for place in fresh.indices { storage[matrix.rows * width + place] = fresh[place] }
        return (
            Features(
                columns: features.columns,
                values: .dense(HostMatrix(rows: matrix.rows + added, columns: width, storage: storage))), labels
        )
    }
}

/// Distances over numbers and categories.
private struct MixedSpace {
    let matrix: HostMatrix
    let isCategory: [Bool]
    /// 1 / standard deviation of numbers; 0 for constant ones.
    let scale: [Float]
    let mean: [Float]
    /// What a category that differs adds to the squared distance.
    let penalty: Float

    init(_ columns: [FeatureDescription], _ matrix: HostMatrix) {
        self.matrix = matrix
        isCategory = columns.map { if case .category = $0.kind { true } else { false } }
        var (scale, mean): ([Float], [Float]) = ([], [])
        for column in 0..<matrix.columns {
            let moments = NumberSteps.moments((0..<matrix.rows).map { Double(matrix[$0, column]) }) ?? (0, 0)
            mean.append(Float(moments.mean))
            scale.append(moments.deviation > 0 ? Float(1 / moments.deviation) : 0)
        }
        self.scale = scale
        self.mean = mean
        // Numbers are scaled to deviation 1, whose median is 1 (SMOTE-NC squares it).
        penalty = 1
    }

    private func distance(_ a: Int, _ b: Int) -> Float {
        var sum: Float = 0
        for column in 0..<matrix.columns {
            let (x, y) = (matrix[a, column], matrix[b, column])
            if isCategory[column] {
                if x != y && !(x.isNaN && y.isNaN) { sum += penalty }
            } else {
                let difference = ((x.isNaN ? mean[column] : x) - (y.isNaN ? mean[column] : y)) * scale[column]
                sum += difference * difference
            }
        }
        return sum
    }

    func nearest(to row: Int, among own: [Int], count: Int, draws: Philox, index: UInt64) -> [Int] {
        let limit = 2000
        var candidates = own
        if own.count > limit {
            candidates = (0..<limit).map { own[draws.integer(index + UInt64($0), below: own.count)] }
        }
        let others = Set(candidates).subtracting([row]).map { (distance: distance(row, $0), row: $0) }
            .sorted { ($0.distance, $0.row) < ($1.distance, $1.row) }
        return others.prefix(count).map(\.row)
    }

    func append(between base: Int, _ partner: Int, _ near: [Int], share: Float, to values: inout [Float]) {
        for column in 0..<matrix.columns {
            let x = matrix[base, column]
            if isCategory[column] {
                var counts: [Float: Int] = [:]
                for row in near where !matrix[row, column].isNaN { counts[matrix[row, column], default: 0] += 1 }
                values.append(counts.max { ($0.value, -$0.key) < ($1.value, -$1.key) }?.key ?? x)
            } else {
                let y = matrix[partner, column]
                values.append(x.isNaN ? y : y.isNaN ? x : x + (y - x) * share)
            }
        }
    }
}
