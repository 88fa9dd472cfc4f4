import CVectorLoops
import Compute
import Core

/// Searches by a graph: host work, shared out query by query. Used by one thread at a time.
final class GraphSearch {
    private let index: VectorIndex
    private let graph: NeighborGraph
    private let space: GraphSpace
    private let pool: WorkerPool
    private var memories: [GraphMemory?]
    private var width = 0

    init(_ index: VectorIndex, graph: NeighborGraph, pool: WorkerPool) {
        (self.index, self.graph, self.pool) = (index, graph, pool)
        space = GraphSpace(
            vectors: index.vectors, rounded: graph.comparesCodes ? index.rounded : nil, halves: graph.halves,
            extras: graph.extras)
        memories = [GraphMemory?](repeating: nil, count: pool.threadCount)
    }

    /// The best `count` of the rows that each query may find, of those that a walk of `width` rows in view meets. A query
    /// that finds fewer has fewer.
    ///
    /// - Parameters:
    ///   - queries: in the form of the index.
    ///   - isFound: whether a row may be found; nil for all.
    ///   - left: rows that each query leaves out; empty for none.
    func search(
        _ queries: HostMatrix, count: Int, width: Int, isFound: [Bool]?, left: [[Int]]
    ) -> [[(row: Int32, similarity: Float)]] {
        let d = index.dimensions
        let more = left.map(\.count).max() ?? 0
        let wanted = min(max(width, count) + more, graph.count)
        if wanted > self.width {
            self.width = wanted
            for worker in memories.indices {
                memories[worker] = GraphMemory(rows: graph.count, columns: d, width: wanted, most: 1)
            }
        }
        var shape = space.graph()
        shape.base = UnsafePointer(graph.base.baseAddress)
        shape.base_links = Int64(2 * graph.options.links)
        shape.offsets = UnsafePointer(graph.offsets.baseAddress)
        shape.upper = UnsafePointer(graph.upper.baseAddress)
        shape.links = Int64(graph.options.links)
        let form = shape
        let isDistance = index.similarity == .euclidean
        var results = [[(row: Int32, similarity: Float)]](repeating: [], count: queries.rows)
        guard graph.entry >= 0 else { return results }
        let size = 8
        results.withUnsafeMutableBufferPointer { results in
            let results = SharedResults(results)
            pool.parallelFor((queries.rows + size - 1) / size) { chunk, worker in
                let own = self.memories[worker]!
                var form = form
                let near = own.near.baseAddress
                var numbers: [Int32] = []
                var products: [Float] = []
                for query in chunk * size..<min((chunk + 1) * size, queries.rows) {
                    let row = queries.storage.baseAddress + query * d
                    var facts = apus_rounded_query()
                    apus_round_query(row, Int64(d), own.code, &facts)
                    near[0] = apus_near(distance: 0, row: Int32(self.graph.entry))
                    var found: Int64 = 1
                    for layer in stride(from: self.graph.height, through: 0, by: -1) {
                        found = apus_graph_walk(
                            &form, &facts, 0, Int64(layer), near, found, Int64(layer > 0 ? 1 : wanted), &own.memory)
                    }
                    numbers.removeAll(keepingCapacity: true)
                    for place in 0..<Int(found) {
                        let number = Int(near[place].row)
                        if isFound.map({ $0[number] }) ?? true,
                            left.isEmpty || !left[query].contains(number)
                        {
                            numbers.append(Int32(number))
                        }
                    }
                    products = [Float](repeating: 0, count: numbers.count)
                    if isDistance {
                        for place in products.indices {
                            products[place] = -self.index.distance(row, Int(numbers[place]))
                        }
                    } else {
                        apus_products_of_rows(
                            row, self.index.vectors.storage.baseAddress, Int64(d), Int64(d), numbers,
                            Int64(numbers.count), &products)
                    }
                    let order = products.indices.sorted {
                        (products[$1], numbers[$0]) < (products[$0], numbers[$1])
                    }
                    results.set(
                        query,
                        order.prefix(count).map { (numbers[$0], isDistance ? -products[$0] : products[$0]) })
                }
            }
        }
        return results
    }
}

/// Results of queries, each written by one worker.
private struct SharedResults: @unchecked Sendable {
    private let pointer: UnsafeMutableBufferPointer<[(row: Int32, similarity: Float)]>
    init(_ pointer: UnsafeMutableBufferPointer<[(row: Int32, similarity: Float)]>) { self.pointer = pointer }
    func set(_ place: Int, _ list: [(row: Int32, similarity: Float)]) { pointer[place] = list }
}

/// The nearest other rows of some rows, exactly, by the host: what a graph is measured against.
struct ExactNeighborSample {
    /// The rows.
    let rows: [Int]
    /// Their nearest others, nearest first.
    let neighbors: [[Int]]

    /// - Parameter scores: what products with each row are lessened by; nil for 0.
    init(_ vectors: HostMatrix, halves: [Float]?, rows: [Int], count: Int, pool: WorkerPool) {
        self.rows = rows
        let (n, d, m) = (vectors.rows, vectors.columns, rows.count)
        let k = min(count + 1, n)
        let capacity = 2 * k + 24
        let queries = HostBuffer<Float>(uninitializedCount: m * d)
        for (place, row) in rows.enumerated() {
            (queries.baseAddress + place * d).update(from: vectors.storage.baseAddress + row * d, count: d)
        }
        let bias = halves.map { HostBuffer($0.map { -$0 }) }
        // Queries are divided, so that each list is one worker's.
        let size = max(1, (m + 2 * pool.threadCount - 1) / (2 * pool.threadCount))
        let lists = HostBuffer<Int32>(repeating: -1, count: m * k)
        pool.parallelFor((m + size - 1) / size) { chunk, _ in
            let range = chunk * size..<min((chunk + 1) * size, m)
            let keys = HostBuffer<UInt64>(uninitializedCount: range.count * capacity)
            let states = HostBuffer<apus_top_k>(uninitializedCount: range.count)
            for place in 0..<range.count {
                apus_top_k_start(
                    states.baseAddress + place, keys.baseAddress + place * capacity, Int64(capacity), Int64(k))
            }
            apus_top_k_rows(
                states.baseAddress, Int64(range.count), queries.baseAddress + range.lowerBound * d, Int64(d),
                vectors.storage.baseAddress, Int64(d), Int64(n), 0, bias.map { UnsafePointer($0.baseAddress) },
                Int64(d), nil, nil)
            var scores = [Float](repeating: 0, count: k)
            for (place, query) in range.enumerated() {
                let found = apus_top_k_finish(states.baseAddress + place)
                apus_top_k_write(
                    states[place].keys, found, Int64(k), lists.baseAddress + query * k, &scores)
            }
        }
        neighbors = rows.enumerated().map { place, row in
            Array(
                (0..<k).map { Int(lists[place * k + $0]) }.filter { $0 >= 0 && $0 != row }.prefix(count))
        }
    }

    /// Whether codes tell the neighbors of these rows apart: of the ten nearest, nine in ten are among the twenty nearest by
    /// their codes of the fifty nearest.
    func isTold(by space: GraphSpace) -> Bool {
        var graph = space.graph()
        let code = HostBuffer<Int8>(
            uninitializedCount: RoundedMatrix.bytesPerRow(columns: space.vectors.columns))
        var (found, asked) = (0, 0)
        for (row, others) in zip(rows, neighbors) {
            var query = apus_rounded_query()
            apus_graph_query_of_row(&graph, Int32(row), code.baseAddress, &query)
            var near = others.map { apus_near(distance: 0, row: Int32($0)) }
            apus_graph_distances(&graph, &query, 0, &near, Int64(near.count))
            near.sort { ($0.distance, $0.row) < ($1.distance, $1.row) }
            let best = Set(near.prefix(20).map { Int($0.row) })
            found += others.prefix(10).count { best.contains($0) }
            asked += min(others.count, 10)
        }
        return asked > 0 && Double(found) >= 0.9 * Double(asked)
    }
}
