import Compute
import Core
import Glibc
import Learners
import Tables
import Testing

/// Similarities against plain sums in double precision.
@Suite struct NeighborTests {
    /// Some users' ratings of some items; user 3 rates everything alike, item 5 has no ratings, row lengths differ.
    private static func ratings(users: Int = 60, items: Int = 40, halves: Bool = true) -> HostSparseMatrix {
        let random = Philox(seed: 11, stream: 4)
        var entries: [(row: Int, column: Int, value: Float)] = []
        for user in 0..<users {
            for item in 0..<items where item != 5 {
                let place = UInt64(user * items + item)
                guard random.uniform(place) < (user % 4 == 0 ? 0.7 : 0.2) else { continue }
                let value =
                    user == 3 ? 4 : Float(1 + random.integer(place + 100_000, below: halves ? 9 : 5)) / (halves ? 2 : 1)
                entries.append((user, item, value))
            }
        }
        return HostSparseMatrix(rows: users, columns: items, entries: entries)
    }

    /// The definition, over the rows of `matrix`.
    static func reference(_ matrix: HostSparseMatrix, _ options: NeighborOptions, _ a: Int, _ b: Int) -> Double {
        func row(_ index: Int) -> [Int: Double] {
            Dictionary(
                uniqueKeysWithValues: matrix.range(ofRow: index).map {
                    (Int(matrix.columnIndices[$0]), Double(matrix.values[$0]))
                })
        }
        func mean(_ values: some Collection<Double>) -> Double { values.reduce(0, +) / Double(max(values.count, 1)) }
        let occupied = Double((0..<matrix.rows).count { !matrix.range(ofRow: $0).isEmpty })
        let columns = matrix.transposed()
        func column(_ index: Int) -> [Double] { columns.range(ofRow: index).map { Double(columns.values[$0]) } }
        func weight(_ value: Double) -> Double {
            options.confidence == .constant ? 1 : options.confidence == .linear ? value : log2(1 + value)
        }
        let averageLength = mean(
            (0..<matrix.rows).filter { !matrix.range(ofRow: $0).isEmpty }.map {
                row($0).values.map(weight).reduce(0, +)
            })
        func weighted(_ index: Int) -> [Int: Double] {
            let values = row(index)
            let length = values.values.map(weight).reduce(0, +)
            var result: [Int: Double] = [:]
            for (feature, value) in values {
                let frequency = Double(column(feature).count)
                switch options.similarity {
                case .cosine, .jaccard: result[feature] = weight(value)
                case .pearson: result[feature] = value
                case .pearsonAll: result[feature] = value - mean(values.values)
                case .adjustedCosine: result[feature] = value - mean(column(feature))
                case .tfidf: result[feature] = weight(value).squareRoot() * log(1 + occupied / frequency)
                case .bm25:
                    let (k, c) = (Double(options.bm25Saturation), Double(options.bm25Length))
                    result[feature] =
                        weight(value) * (k + 1) / (k * (1 - c + c * length / averageLength) + weight(value))
                        * log(1 + (occupied - frequency + 0.5) / (frequency + 0.5))
                }
            }
            return result
        }
        let (x, y) = (weighted(a), weighted(b))
        let common = x.keys.filter { y[$0] != nil }
        guard common.count >= options.minimumCommon else { return 0 }
        let dot = common.reduce(0) { $0 + x[$1]! * y[$1]! }
        func norm(_ values: some Sequence<Double>) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
        var score: Double
        switch options.similarity {
        case .bm25: score = dot
        case .jaccard: score = Double(common.count) / Double(x.count + y.count - common.count)
        case .adjustedCosine:
            let size = norm(common.map { x[$0]! }) * norm(common.map { y[$0]! })
            score = size > 0 ? dot / size : 0
        case .pearson:
            let (p, q) = (mean(common.map { x[$0]! }), mean(common.map { y[$0]! }))
            let size = norm(common.map { x[$0]! - p }) * norm(common.map { y[$0]! - q })
            score = size > 1e-9 ? common.reduce(0) { $0 + (x[$1]! - p) * (y[$1]! - q) } / size : 0
        default:
            let size = norm(x.values) * norm(y.values)
            score = size > 1e-9 ? dot / size : 0
        }
        let n = Double(common.count)
        if options.shrinkage > 0 { score *= n / (n + options.shrinkage) }
        if options.significance > n { score *= n / options.significance }
        return score
    }

    private func check(_ matrix: HostSparseMatrix, _ options: NeighborOptions) throws {
        var options = options
        options.neighbors = matrix.rows
        let table = try NeighborSearch.table(try ComparableRows(matrix, options: options), threads: 2)
        for a in 0..<matrix.rows {
            for b in 0..<matrix.rows {
                let expected = a == b ? 0 : max(Self.reference(matrix, options, a, b), 0)
                let found = Double(table.value(row: a, column: Int32(b)) ?? 0)
                #expect(
                    abs(found - expected) <= 1e-5 * max(1, expected),
                    "\(options.similarity) of \(a) and \(b): \(found), not \(expected)")
            }
        }
    }

    @Test(arguments: Similarity.allCases)
    func similaritiesAreTheirDefinitions(similarity: Similarity) throws {
        var options = NeighborOptions()
        options.similarity = similarity
        options.confidence = .log
        try check(Self.ratings(), options)
        try check(Self.ratings().transposed(), options)
        options.shrinkage = 3
        options.significance = 6
        options.minimumCommon = 3
        try check(Self.ratings(), options)
    }

    @Test func confidencesAndUnitWeights() throws {
        for similarity in [Similarity.cosine, .tfidf, .bm25] {
            for confidence in ConfidenceRule.allCases {
                var options = NeighborOptions()
                options.similarity = similarity
                options.confidence = confidence
                try check(Self.ratings(users: 30, items: 70, halves: false), options)
            }
        }
    }

    /// A constant row has no correlation with any other, and no neighbors: neither an error nor NaN.
    @Test func constantRatingsHaveNoNeighbors() throws {
        for similarity in [Similarity.pearson, .pearsonAll] {
            var options = NeighborOptions()
            options.similarity = similarity
            options.neighbors = 10
            let table = try NeighborSearch.table(try ComparableRows(Self.ratings(), options: options), threads: 1)
            #expect(table.range(ofRow: 3).isEmpty)
            #expect(!table.columnIndices.elements.contains(3))
            #expect(table.values.elements.allSatisfy { $0 > 0 && $0 <= 1.000_001 })
        }
    }

    /// Many rows, few of them related: the sparse path. Every thread count gives the same bits, ties included.
    @Test(arguments: [Similarity.cosine, .jaccard, .pearson])
    func threadsDoNotMatter(similarity: Similarity) throws {
        let matrix = randomInteractions(rows: 900, columns: 500, lengths: [0, 1, 3, 40, 2])
        var options = NeighborOptions()
        options.similarity = similarity
        options.neighbors = 7
        let rows = try ComparableRows(matrix, options: options)
        let one = try NeighborSearch.table(rows, threads: 1)
        for threads in [2, 5] {
            let more = try NeighborSearch.table(rows, threads: threads)
            #expect(one.columnIndices.array == more.columnIndices.array)
            #expect(one.values.array.map(\.bitPattern) == more.values.array.map(\.bitPattern))
        }
        // Comparing every row with all others, as is done when the states of all rows don't fit, gives the same bits.
        let full = try NeighborSearch.table(rows, threads: 2, largestStates: 0)
        #expect(one.columnIndices.array == full.columnIndices.array)
        #expect(one.values.array.map(\.bitPattern) == full.values.array.map(\.bitPattern))
        #expect(one.rowPointers.array == full.rowPointers.array)
    }

    /// The k kept are the k best by similarity, then by number.
    @Test func theBestAreKept() throws {
        let matrix = randomInteractions(rows: 200, columns: 60, lengths: [4, 9, 20])
        var options = NeighborOptions()
        options.neighbors = 9
        let table = try NeighborSearch.table(try ComparableRows(matrix, options: options), threads: 2)
        for row in stride(from: 0, to: 200, by: 7) {
            let all = (0..<200).filter { $0 != row }.map { (Self.reference(matrix, options, row, $0), $0) }
            let best = all.filter { $0.0 > 0 }.sorted { (-$0.0, $0.1) < (-$1.0, $1.1) }.prefix(9)
            let kept = Set(table.columns(ofRow: row).map { Int($0) })
            // Scores that agree to rounding may change places.
            let worst = best.last?.0 ?? 0
            for (score, other) in best where score > worst + 1e-6 {
                #expect(kept.contains(other), "row \(row) lacks \(other)")
            }
            #expect(kept.count == best.count)
        }
    }

    @Test func badValuesAreRefused() throws {
        for value in [Float.nan, -1] {
            let matrix = HostSparseMatrix(rows: 2, columns: 2, entries: [(0, 0, 1), (1, 0, value)])
            #expect(throws: DataError.self) { try ComparableRows(matrix, options: NeighborOptions()) }
        }
        var options = NeighborOptions()
        options.neighbors = 0
        #expect(throws: ParameterError.self) { try options.validate() }
    }
}
