extension Oracle {
    /// `queries · candidatesᵀ + candidateBias`, with the sums of the magnitudes.
    public static func scores(
        queries: OracleMatrix, candidates: OracleMatrix, candidateBias: [Double]?
    ) -> Sums {
        gemm(
            queries, transposeA: false, candidates, transposeB: true, alpha: 1, beta: 0, bias: candidateBias,
            output: nil)
    }

    /// The `k` best of each row of `scores`, best first, equal scores by ascending index, those of −∞ or NaN and the
    /// excluded left out; empty places hold −1 and −∞. Scores are compared as the float32 numbers that are handed out.
    public static func topK(
        scores: OracleMatrix, excluded: [Set<Int>]?, k: Int
    ) -> (indices: [Int32], scores: [Float]) {
        var indices: [Int32] = []
        var best: [Float] = []
        for row in 0..<scores.rows {
            var eligible: [(index: Int, score: Float)] = []
            for (index, score) in scores.row(row).enumerated() {
                let rounded = Float(score)
                if rounded > -.infinity && !(excluded?[row].contains(index) ?? false) {
                    eligible.append((index, rounded))
                }
            }
            eligible.sort { $0.score != $1.score ? $0.score > $1.score : $0.index < $1.index }
            for place in 0..<k {
                indices.append(place < eligible.count ? Int32(eligible[place].index) : -1)
                best.append(place < eligible.count ? eligible[place].score : -.infinity)
            }
        }
        return (indices, best)
    }

    /// The columns listed in each row of a sparse matrix.
    public static func patterns(_ sparse: OracleSparseMatrix) -> [Set<Int>] {
        (0..<sparse.rows).map { Set(sparse.columnIndices[sparse.range(ofRow: $0)]) }
    }
}
