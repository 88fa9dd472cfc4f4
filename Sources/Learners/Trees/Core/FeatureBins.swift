import CVectorLoops
import Core

/// How the values of the features are cut into at most 255 bins, and one for missing values.
///
/// A number's bin holds the values above the edge before and up to its own edge. Edges lie between neighbouring
/// distinct values, so that a feature of few values loses nothing. A category of up to 254 levels has a bin for each;
/// of more, the most frequent have, and the rest share one.
struct FeatureBins: Sendable {
    /// Upper edges of all bins but the last, of every number; empty for categories.
    let edges: [[Float]]
    /// Bin of each code, of every category; empty for numbers.
    let categories: [[UInt8]]
    /// Bins of values; the missing ones have this very number.
    let counts: [Int]

    static let largestCount = 255
    /// Rows that edges are found from, at most: a quantile's standard error is then a quarter of a bin's width.
    static let sampleRows = 200_000

    /// Finds the bins. O(rows · columns), a sort of the sample included.
    init(features: HostMatrix, kinds: [TreeFeatureKind], most: Int, seed: UInt64, pool: WorkerPool) {
        let rows = features.rows, columns = features.columns
        let sample: [Int]?
        if rows > Self.sampleRows {
            // One row of each stretch of equal length, drawn at random.
            let random = Philox(seed: seed, stream: TreeStreams.sample)
            sample = (0..<Self.sampleRows).map { index in
                let begin = index * rows / Self.sampleRows, end = (index + 1) * rows / Self.sampleRows
                return begin + random.integer(UInt64(index), below: end - begin)
            }
        } else {
            sample = nil
        }
        var edges = [[Float]](repeating: [], count: columns)
        var categories = [[UInt8]](repeating: [], count: columns)
        var counts = [Int](repeating: 1, count: columns)
        edges.withUnsafeMutableBufferPointer { edges in
            categories.withUnsafeMutableBufferPointer { categories in
                counts.withUnsafeMutableBufferPointer { counts in
                    let results = Disjoint((edges, categories, counts))
                    pool.parallelFor(columns) { column, _ in
                        let (edges, categories, counts) = results.value
                        switch kinds[column] {
                        case .number:
                            edges[column] = Self.numberEdges(features, column, sample, most)
                            counts[column] = edges[column].count + 1
                        case .category(let levels):
                            categories[column] = Self.categoryBins(features, column, levels, most)
                            counts[column] = max(1, min(levels, most))
                        }
                    }
                }
            }
        }
        self.edges = edges
        self.categories = categories
        self.counts = counts
    }

    private static func numberEdges(_ features: HostMatrix, _ column: Int, _ sample: [Int]?, _ most: Int) -> [Float] {
        let columns = features.columns
        let base = features.storage.baseAddress + column
        var keys: [UInt32]
        if let sample {
            let values = sample.map { base[$0 * columns] }
            keys = [UInt32](repeating: 0, count: values.count)
            apus_float_keys(values, 1, Int64(values.count), &keys)
        } else {
            keys = [UInt32](repeating: 0, count: features.rows)
            apus_float_keys(base, Int64(columns), Int64(features.rows), &keys)
        }
        var scratch = [UInt32](repeating: 0, count: keys.count)
        apus_sort_keys(&keys, &scratch, Int64(keys.count))
        var end = keys.count
        while end > 0, keys[end - 1] == UInt32.max { end -= 1 }
        // Distinct values with their counts.
        var values: [UInt32] = []
        var counts: [Int] = []
        keys.withUnsafeBufferPointer { keys in
            var index = 0
            while index < end {
                let key = keys[index], begin = index
                while index < end, keys[index] == key { index += 1 }
                values.append(key)
                counts.append(index - begin)
            }
        }
        guard values.count > 1 else { return [] }
        var edges: [Float] = []
        if values.count <= most {
            for index in 1..<values.count { edges.append(TreeKeys.between(values[index - 1], values[index])) }
            return edges
        }
        // Bins of equal weight; a value heavier than that has a bin of its own, and what is left is shared out anew.
        var left = end
        var filled = 0
        var bins = most
        var target = Double(left) / Double(bins)
        for index in 0..<values.count - 1 where bins > 1 {
            filled += counts[index]
            left -= counts[index]
            let heavyNext = Double(counts[index + 1]) >= target && Double(filled) >= target / 2
            if Double(filled) >= target || heavyNext {
                edges.append(TreeKeys.between(values[index], values[index + 1]))
                bins -= 1
                filled = 0
                target = Double(left) / Double(bins)
            }
        }
        return edges
    }

    private static func categoryBins(_ features: HostMatrix, _ column: Int, _ levels: Int, _ most: Int) -> [UInt8] {
        guard levels > most else { return (0..<levels).map { UInt8($0) } }
        var counts = [Int](repeating: 0, count: levels)
        for row in 0..<features.rows {
            let value = features[row, column]
            if value >= 0, value < Float(levels) { counts[Int(value)] += 1 }
        }
        let order = (0..<levels).sorted { (counts[$1], $0) < (counts[$0], $1) }
        var bins = [UInt8](repeating: UInt8(most - 1), count: levels)
        for (place, level) in order.prefix(most - 1).enumerated() { bins[level] = UInt8(place) }
        return bins
    }
}

/// Streams of random numbers, so that no two uses of a seed share any.
enum TreeStreams {
    static let sample: UInt64 = 0x7265_6501
    static let rows: UInt64 = 0x7265_6502
    static let columns: UInt64 = 0x7265_6503
    static let validation: UInt64 = 0x7265_6504
    /// The first of a forest's trees; each has one for itself.
    static let forest: UInt64 = 0x7265_0000_0000_0000
}

/// Integers in the order of floats.
enum TreeKeys {
    static func key(_ value: Float) -> UInt32 {
        var value = value
        var key: UInt32 = 0
        apus_float_keys(&value, 1, 1, &key)
        return key
    }

    static func value(_ key: UInt32) -> Float { apus_key_float(key) }

    /// The middle of two values given by their keys: at or above the first, below the second.
    static func between(_ below: UInt32, _ above: UInt32) -> Float {
        let a = value(below), b = value(above)
        guard b.isFinite else { return a }
        let middle = a.isFinite ? Float(Double(a) + (Double(b) - Double(a)) / 2) : a
        return middle >= b ? a : max(middle, a)
    }
}

/// A value that chunks of a parallel loop share, each touching a part of its own.
struct Disjoint<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
