import Compute
import ComputeCPU
import Core
import Devices
import Testing

/// The 8-bit pre-pass of top-k on the CPU device: it may only rule out what can't be among the best.
@Suite("Top-k behind an 8-bit pre-pass") struct QuantizedTopKTests {
    private func table(_ rows: Int, _ columns: Int, integers: Bool, stream: UInt64) -> HostMatrix {
        let random = Philox(seed: 11, stream: stream)
        return HostMatrix(
            rows: rows, columns: columns,
            elements: (0..<rows * columns).map {
                integers ? Float(random.integer(UInt64($0), below: 9) - 4) : random.uniform(UInt64($0)) - 0.5
            })
    }

    /// Large enough for the pre-pass, against every product in double precision.
    @Test(arguments: [(10, true), (100, true), (10, false), (100, false)], [1, 2])
    func findsWhatEveryProductFinds(kind: (k: Int, integers: Bool), threads: Int) throws {
        let (queryCount, count, d) = (70, 9000, 48)
        let queries = table(queryCount, d, integers: kind.integers, stream: 1)
        let candidates = table(count, d, integers: kind.integers, stream: 2)
        let stream = try CPUDevice(threads: threads).makeStream()
        let indices = try stream.allocate(rows: queryCount, columns: kind.k, .int32)
        let scores = try stream.allocate(rows: queryCount, columns: kind.k)
        try stream.topK(
            queries: try stream.wrap(queries), candidates: try stream.wrap(candidates), indices: indices, scores: scores
        )
        let found = try stream.download(indices, as: Int32.self)
        let values = try stream.download(scores, as: Float.self)
        for query in 0..<queryCount {
            let products = (0..<count).map { row in
                zip(queries.row(query), candidates.row(row)).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
            }
            let order = (0..<count).sorted { (products[$0], $1) > (products[$1], $0) }.prefix(kind.k)
            for (place, expected) in order.enumerated() {
                let own = Int(found[query * kind.k + place])
                let score = Double(values[query * kind.k + place])
                if kind.integers { #expect(own == expected && score == products[expected]) }
                #expect(abs(score - products[expected]) < 1e-5 && abs(products[own] - products[expected]) < 1e-5)
            }
        }
    }
}
