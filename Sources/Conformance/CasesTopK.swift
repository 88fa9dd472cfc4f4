import Compute
import Core

/// topK: exact on integers, ties within rounding allowed on other numbers.
enum TopKCases {
    /// Queries, candidates, dimension, places.
    private static func shapes(_ sweep: Sweep) -> [(Int, Int, Int, Int)] {
        switch sweep {
        case .minimal: [(1, 33, 5, 3), (13, 65, 17, 10), (3, 7, 4, 9), (2, 130, 1, 1)]
        case .reduced:
            [
                (1, 1, 1, 1), (1, 1000, 16, 10), (17, 129, 33, 10), (3, 7, 4, 9), (65, 300, 64, 1), (5, 0, 3, 4),
                (0, 10, 3, 4), (4, 33, 0, 5), (12, 257, 8, 100), (33, 64, 65, 64),
            ]
        case .full:
            [
                (1, 1, 1, 1), (1, 10_000, 32, 10), (1, 1000, 16, 1000), (17, 129, 33, 10), (3, 7, 4, 9),
                (65, 300, 64, 1), (5, 0, 3, 4), (0, 10, 3, 4), (4, 33, 0, 5), (12, 257, 8, 100), (33, 64, 65, 64),
                (11, 31, 15, 2), (12, 32, 16, 16), (13, 33, 17, 17), (63, 127, 2, 31), (64, 128, 64, 32),
                (129, 129, 129, 33), (250, 700, 24, 20), (7, 5000, 48, 128), (2, 3000, 257, 129), (31, 2049, 12, 10),
                (2, 300, 3, 300), (2, 300, 3, 299), (2, 300, 3, 301),
            ]
        }
    }

    static func topK(_ sweep: Sweep) -> [ConformanceCase] {
        var cases: [ConformanceCase] = []
        for (index, shape) in shapes(sweep).enumerated() {
            cases.append(random(shape, index))
            cases.append(random(shape, index + 1))
            cases.append(integers(shape, index))
            if sweep != .minimal { cases.append(integers(shape, index + 3)) }
        }
        cases.append(everythingExcluded())
        cases.append(constant())
        return cases
    }

    private static func name(_ shape: (Int, Int, Int, Int), _ index: Int) -> String {
        let (m, n, d, k) = shape
        return "\(k) of \(m) × \(n) × \(d) \(Layout.all[index % 3])"
            + "\(index % 2 == 0 ? " bias" : "")\(index % 3 == 0 ? "" : " exclusions")\(index % 4 < 2 ? "" : " codes")"
    }

    /// The queries' rows of a larger pattern where `index` is odd, so that the first row pointer is not 0.
    private static func exclusions(
        _ run: CaseRun, _ m: Int, _ n: Int, _ index: Int
    ) throws(ComputeError) -> (device: SparseMatrix, patterns: [Set<Int>])? {
        guard index % 3 != 0 else { return nil }
        let extra = index % 2 == 1 ? 3 : 0
        let host = SparsePattern.matrix(rows: m + 2 * extra, columns: n, run)
        let sparse = try run.sparse(host, rows: extra == 0 ? nil : extra..<m + extra)
        return (sparse.device, Oracle.patterns(sparse.oracle))
    }

    /// The candidates in 8 bits, in half of the cases: a device may use them, and finds the same.
    private static func rounded(_ candidates: [Float], _ n: Int, _ d: Int, _ index: Int) -> RoundedCandidates? {
        index % 4 < 2 ? nil : RoundedCandidates(RoundedMatrix(HostMatrix(rows: n, columns: d, elements: candidates)))
    }

    private static func random(_ shape: (Int, Int, Int, Int), _ index: Int) -> ConformanceCase {
        let (m, n, d, k) = shape
        return ConformanceCase(.topK, "random \(name(shape, index))") { run throws(ComputeError) in
            let layout = Layout.all[index % 3]
            let queries = OracleMatrix(rows: m, columns: d, run.uniform(m * d))
            let candidates = OracleMatrix(rows: n, columns: d, run.uniform(n * d))
            let bias = index % 2 == 0 ? run.uniform(n) : nil
            let left = try run.input(queries.elements.map(Float.init), rows: m, columns: d, layout, "queries")
            let right = try run.input(candidates.elements.map(Float.init), rows: n, columns: d, layout, "candidates")
            let biasVector = try bias.map { x throws(ComputeError) in try run.vector(x, layout, "bias") }
            let excluded = try exclusions(run, m, n, index)
            let indices = try run.integerOutput(rows: m, columns: k, layout)
            let scores = try run.output(rows: m, columns: k, layout, "scores")
            run.work = 2 * Double(m) * Double(n) * Double(d)
            try run.perform { stream throws(ComputeError) in
                try stream.topK(
                    queries: left.matrix, candidates: right.matrix, candidateBias: biasVector?.matrix,
                    exclusions: excluded?.device, indices: indices.matrix, scores: scores.matrix,
                    rounded: rounded(candidates.elements.map(Float.init), n, d, index))
            }
            let sums = Oracle.scores(queries: queries, candidates: candidates, candidateBias: bias?.map(Double.init))
            for row in 0..<m {
                checkRow(
                    run, row, run.words(of: indices)[row * k..<(row + 1) * k].map(Int.init),
                    Array(run.values(of: scores)[row * k..<(row + 1) * k]), Array(sums.values.row(row)),
                    sums.magnitudes.row(row).map { $0 * Tolerance.sum(d) }, excluded?.patterns[row] ?? [])
            }
        }
    }

    /// Order, ties, exclusions and padding exactly; scores, and what was left out, within the tolerance of the scores.
    private static func checkRow(
        _ run: CaseRun, _ row: Int, _ indices: [Int], _ scores: [Float], _ expected: [Double], _ errors: [Double],
        _ excluded: Set<Int>
    ) {
        let eligible = expected.count - excluded.count
        let found = min(indices.count, eligible)
        guard indices[found...].allSatisfy({ $0 == -1 }), scores[found...].allSatisfy({ $0 == -.infinity }) else {
            return run.fail("row \(row): places behind the \(eligible) candidates are not empty")
        }
        let chosen = Set(indices[..<found])
        guard chosen.count == found, chosen.isDisjoint(with: excluded),
            chosen.allSatisfy({ $0 >= 0 && $0 < expected.count })
        else { return run.fail("row \(row): indices \(indices) repeat, are excluded or are no candidates") }
        for place in 0..<found {
            run.judge(Double(scores[place]), expected[indices[place]], errors[indices[place]]) {
                "score \(place) of row \(row)"
            }
            guard place > 0 else { continue }
            let inOrder =
                scores[place - 1] > scores[place]
                || (scores[place - 1] == scores[place] && indices[place - 1] < indices[place])
            if !inOrder { return run.fail("row \(row): places \(place - 1) and \(place) are out of order") }
        }
        guard found > 0, found == indices.count else { return }
        let last = indices[found - 1]
        for candidate in expected.indices where !chosen.contains(candidate) && !excluded.contains(candidate) {
            run.judge(max(expected[candidate], expected[last]), expected[last], errors[candidate] + errors[last]) {
                "row \(row): candidate \(candidate), left out, against the last place"
            }
        }
    }

    /// Small integers, so that scores are exact and ties abound: candidates twice and thrice, biases of ±∞, NaN.
    private static func integers(_ shape: (Int, Int, Int, Int), _ index: Int) -> ConformanceCase {
        let (m, n, d, k) = shape
        return ConformanceCase(.topK, "integers \(name(shape, index))") { run throws(ComputeError) in
            let layout = Layout.all[index % 3]
            let queries = run.integers(m * d, -3...3).map(Float.init)
            var candidates = run.integers(n * d, -3...3).map(Float.init)
            for copy in stride(from: 2, to: n, by: 3) {
                let original = copy / 2
                for column in 0..<d { candidates[copy * d + column] = candidates[original * d + column] }
            }
            if d > 0 {
                for place in stride(from: 4, to: n, by: 11) { candidates[place * d + place % d] = .nan }
            }
            var bias = index % 2 == 0 ? run.integers(n, -2...2).map(Float.init) : nil
            if bias != nil {
                for place in stride(from: 1, to: n, by: 5) { bias?[place] = -.infinity }
                for place in stride(from: 3, to: n, by: 29) { bias?[place] = .infinity }
                for place in stride(from: 6, to: n, by: 31) { bias?[place] = .nan }
            }
            let left = try run.input(queries, rows: m, columns: d, layout, "queries")
            let right = try run.input(candidates, rows: n, columns: d, layout, "candidates")
            let biasVector = try bias.map { x throws(ComputeError) in try run.vector(x, layout, "bias") }
            let excluded = try exclusions(run, m, n, index)
            try compare(
                run, left, right, biasVector, excluded, m, n, d, k, layout, queries, candidates, bias, index)
        }
    }

    private static func compare(
        _ run: CaseRun, _ left: Operand, _ right: Operand, _ biasVector: Operand?,
        _ excluded: (device: SparseMatrix, patterns: [Set<Int>])?, _ m: Int, _ n: Int, _ d: Int, _ k: Int,
        _ layout: Layout, _ queries: [Float], _ candidates: [Float], _ bias: [Float]?, _ index: Int
    ) throws(ComputeError) {
        let indices = try run.integerOutput(rows: m, columns: k, layout)
        let scores = try run.output(rows: m, columns: k, layout, "scores")
        run.work = 2 * Double(m) * Double(n) * Double(d)
        try run.perform { stream throws(ComputeError) in
            try stream.topK(
                queries: left.matrix, candidates: right.matrix, candidateBias: biasVector?.matrix,
                exclusions: excluded?.device, indices: indices.matrix, scores: scores.matrix,
                rounded: rounded(candidates, n, d, index))
        }
        let sums = Oracle.scores(
            queries: OracleMatrix(rows: m, columns: d, queries),
            candidates: OracleMatrix(rows: n, columns: d, candidates), candidateBias: bias?.map(Double.init))
        let expected = Oracle.topK(scores: sums.values, excluded: excluded?.patterns, k: k)
        run.compareExactly(indices, expected.indices)
        // −0 and 0 are one score.
        run.compare(scores, expected.scores.map(Double.init)) { _ in 0 }
    }

    private static func everythingExcluded() -> ConformanceCase {
        ConformanceCase(.topK, "4 of 5 × 50 × 3 with everything excluded") { run throws(ComputeError) in
            let (m, n, d, k) = (5, 50, 3, 4)
            let queries = run.uniform(m * d)
            let candidates = run.uniform(n * d)
            let left = try run.input(queries, rows: m, columns: d, .padded, "queries")
            let right = try run.input(candidates, rows: n, columns: d, .padded, "candidates")
            let host = SparsePattern.matrix(rows: m, columns: n, lengths: Array(repeating: n, count: m), run)
            let sparse = try run.sparse(host)
            try compare(
                run, left, right, nil, (sparse.device, Oracle.patterns(sparse.oracle)), m, n, d, k, .padded, queries,
                candidates, nil, 2)
        }
    }

    /// All scores equal: the first k indices, in order.
    private static func constant() -> ConformanceCase {
        ConformanceCase(.topK, "20 of 14 × 300 × 4 with all scores equal") { run throws(ComputeError) in
            let (m, n, d, k) = (14, 300, 4, 20)
            let queries = [Float](repeating: 1, count: m * d)
            let candidates = [Float](repeating: -2, count: n * d)
            let left = try run.input(queries, rows: m, columns: d, .padded, "queries")
            let right = try run.input(candidates, rows: n, columns: d, .aligned, "candidates")
            try compare(run, left, right, nil, nil, m, n, d, k, .padded, queries, candidates, nil, 2)
        }
    }
}
