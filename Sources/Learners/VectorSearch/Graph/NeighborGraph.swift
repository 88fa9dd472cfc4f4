import CVectorLoops
import Core

/// Parameters of a graph of neighbors.
public struct GraphOptions: Codable, Sendable, Equatable {
    /// Links of a row on the upper layers, 2 to 128; twice as many on the lowest.
    public var links = 16
    /// Rows that are kept in view while the links of a new row are searched, at least ``links``: more make a better graph,
    /// in proportionally more time.
    public var buildWidth = 128
    /// Rows that are kept in view during a search, at least 1, unless it asks for another number: more find more of the true
    /// neighbors, in proportionally more time.
    public var searchWidth = 64
    /// Seed of the layers and of the order in which rows are linked.
    public var seed: UInt64 = 42

    public init() {}

    /// Throws ``ParameterError`` for the first value outside its range.
    public func validate() throws(ParameterError) {
        guard (2...128).contains(links) else { throw ParameterError("links", "\(links) is outside 2 … 128") }
        guard buildWidth >= links else { throw ParameterError("buildWidth", "\(buildWidth) is below \(links) links") }
        guard searchWidth >= 1 else { throw ParameterError("searchWidth", "\(searchWidth) is below 1") }
    }
}

/// A layered graph in which a few steps lead to the neighborhood of any query (HNSW: Malkov and Yashunin, 2018).
///
/// Rows are linked in an order and in batches that the seed and the number of rows fix: the rows of a batch search the
/// graph as it was before the batch, then links in the other direction are added target by target. The graph is the same for
/// every number of threads.
///
/// Rows are compared by their 8-bit codes where these tell neighbors apart, else by the vectors; what a search finds is
/// always scored by the vectors. Inner products of vectors of different lengths get an element more, so that equal lengths
/// make the best product the nearest row (Bachrach et al. 2014).
public struct NeighborGraph: Sendable {
    public let options: GraphOptions
    /// Whether rows are compared by their 8-bit codes.
    public let comparesCodes: Bool
    /// Share of the ten true neighbors that a search of the default width finds, of a sample of the rows; nil where there are
    /// too few rows to measure it, or since rows have come or gone.
    public internal(set) var recall: Double?
    /// n × 2 · links: the lowest layer, −1 behind the last link.
    let base: HostBuffer<Int32>
    /// n + 1: where the upper lists of each row begin.
    let offsets: HostBuffer<Int32>
    /// Lists of `links` each.
    let upper: HostBuffer<Int32>
    /// Where every walk begins; −1 in an empty graph.
    let entry: Int
    /// What is subtracted from products with each row, and the added element; nil for 0.
    let halves, extras: HostBuffer<Float>?

    /// Number of rows.
    public var count: Int { offsets.count - 1 }
    /// Layers above the lowest that the entry has: the height of the graph.
    var height: Int { entry < 0 ? 0 : Int(offsets[entry + 1] - offsets[entry]) }
}

/// What a graph compares rows by, as the C loops see it.
struct GraphSpace {
    let vectors: HostMatrix
    let rounded: RoundedMatrix?
    let halves, extras: HostBuffer<Float>?

    init(vectors: HostMatrix, rounded: RoundedMatrix?, halves: HostBuffer<Float>?, extras: HostBuffer<Float>?) {
        (self.vectors, self.rounded, self.halves, self.extras) = (vectors, rounded, halves, extras)
    }

    /// - Parameter rounded: the codes, if rows are to be compared by them.
    init(vectors: HostMatrix, rounded: RoundedMatrix?, similarity: VectorSimilarity) {
        self.vectors = vectors
        self.rounded = rounded
        let plain = GraphSpace(vectors: vectors, rounded: rounded, halves: nil, extras: nil)
        var graph = plain.graph()
        switch similarity {
        case .cosine, .pearson: (halves, extras) = (nil, nil)
        case .euclidean:
            let values = HostBuffer<Float>(uninitializedCount: vectors.rows)
            for row in 0..<vectors.rows { values[row] = apus_graph_half(&graph, Int32(row)) }
            (halves, extras) = (values, nil)
        case .dot:
            let values = HostBuffer<Float>(uninitializedCount: vectors.rows)
            var largest: Float = 0
            for row in 0..<vectors.rows {
                values[row] = 2 * apus_graph_half(&graph, Int32(row))
                largest = max(largest, values[row])
            }
            for row in 0..<vectors.rows { values[row] = max(largest - values[row], 0).squareRoot() }
            (halves, extras) = (nil, values)
        }
    }

    /// The rows without links.
    func graph() -> apus_graph {
        var graph = apus_graph()
        graph.d = Int64(vectors.columns)
        graph.vectors = UnsafePointer(vectors.storage.baseAddress)
        graph.codes = rounded.map { UnsafePointer($0.codes.baseAddress) }
        graph.scales = rounded.map { UnsafePointer($0.scales) }
        graph.halves = halves.map { UnsafePointer($0.baseAddress) }
        graph.extras = extras.map { UnsafePointer($0.baseAddress) }
        return graph
    }

    func extra(_ row: Int) -> Float { extras?[row] ?? 0 }
}

/// Memory of the walks of one worker.
final class GraphMemory {
    var memory: apus_graph_memory
    /// The code of the row or query that is searched for.
    let code: UnsafeMutablePointer<Int8>
    /// Rows in view.
    let near: HostBuffer<apus_near>
    let chosen: HostBuffer<Int32>
    private let buffers: [AnyObject]

    init(rows: Int, columns: Int, width: Int, most: Int) {
        let bytes = RoundedMatrix.bytesPerRow(columns: columns)
        let visited = HostBuffer<UInt64>(repeating: 0, count: rows / 64 + 1)
        let touched = HostBuffer<Int32>(uninitializedCount: rows + 1)
        let codes = HostBuffer<Int8>(uninitializedCount: 2 * bytes)
        near = HostBuffer(uninitializedCount: width + 1)
        chosen = HostBuffer(uninitializedCount: most)
        code = codes.baseAddress
        memory = apus_graph_memory(
            visited: visited.baseAddress, touched: touched.baseAddress, code: codes.baseAddress + bytes)
        buffers = [visited, touched, codes]
    }
}
