import Compute
import ComputeOpenCL
import Core
import Testing

@Suite struct OpenCLTopKTests {
    typealias Support = OpenCLTestSupport
    let stream: Compute.Stream

    init() throws { stream = try Support.open().makeStream() }

    /// Values are small integers, so that scores are exact and full of ties.
    @Test(arguments: [
        (1, 40, 5, 3), (3, 33, 16, 40), (5, 9000, 20, 7), (9, 31, 4, 1), (13, 5000, 9, 10), (130, 700, 33, 6),
        (9, 2100, 3, 500), (2, 1, 0, 2), (10, 20, 600, 4),
    ])
    func agreesWithSorting(_ m: Int, _ n: Int, _ d: Int, _ k: Int) throws {
        let whole = { (seed: UInt64, rows: Int) in
            let source = Support.random(rows, d, seed: seed)
            return HostMatrix(rows: rows, columns: d, elements: source.storage.array.map { ($0 * 3).rounded() })
        }
        let (queries, candidates) = (whole(1, m), whole(2, n))
        var bias = (0..<n).map { Float($0 % 3) }
        if n > 4 {
            bias[1] = -.infinity
            bias[2] = .nan
            bias[3] = .infinity
        }
        let seen = Support.randomSparse(m, n, perRow: 6, seed: 3)
        for restricted in [false, true] {
            let indices = try stream.allocate(rows: m, columns: k, .int32)
            let scores = try Support.padded(stream, HostMatrix(rows: m, columns: k, repeating: .nan), pad: 2)
            try stream.topK(
                queries: Support.padded(stream, queries, pad: 3),
                candidates: Support.padded(stream, candidates, pad: 1),
                candidateBias: restricted ? stream.upload(bias) : nil,
                exclusions: restricted ? stream.wrap(seen) : nil, indices: indices, scores: scores)
            let foundIndices = try stream.download(indices, as: Int32.self)
            let foundScores = try stream.download(scores)
            for q in 0..<m {
                let out = restricted ? Set(seen.range(ofRow: q).map { Int(seen.columnIndices[$0]) }) : []
                var all: [(score: Float, index: Int)] = []
                for j in 0..<n where !out.contains(j) {
                    let dot = (0..<d).reduce(Float(0)) { $0 + queries[q, $1] * candidates[j, $1] }
                    let score = dot + (restricted ? bias[j] : 0)
                    if score > -.infinity { all.append((score, j)) }
                }
                all.sort { $0.score > $1.score || ($0.score == $1.score && $0.index < $1.index) }
                for place in 0..<k {
                    let expected = place < all.count ? all[place] : (score: -.infinity, index: -1)
                    #expect(foundScores[q, place] == expected.score)
                    #expect(foundIndices[q * k + place] == Int32(expected.index))
                }
            }
        }
    }
}
