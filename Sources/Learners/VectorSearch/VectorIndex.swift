import Core
import FoundationEssentials
import Tables

/// Vectors to search among, with their names, saved in one file that opens by memory map.
///
/// Rows are kept in the form in which an inner product compares them, so that opening the file computes nothing. Removed
/// rows keep their number until the index is saved; nothing finds them. An index may have 8-bit codes (``round()``), which
/// make exact searches of few queries faster, and a graph (``buildGraph(options:threads:progress:)``) for approximate ones.
///
/// File: a safetensors file of kind `vectors`; tensors `vectors` (F32, n × d), `shift` (F32) and, where there are such,
/// `identifiers.bytes` and `identifiers.offsets`, `rounded.codes` (U8) and `rounded.facts` (F32), and the graph's
/// (``NeighborGraph``).
public struct VectorIndex: Sendable {
    public static let kind = "vectors"
    public static let formatVersion = 1

    /// How vectors are compared.
    public let similarity: VectorSimilarity
    /// Prepared vectors, n × d.
    public private(set) var vectors: HostMatrix
    /// Names of the rows; nil where rows are known by their numbers.
    public private(set) var identifiers: IdentifierIndex?
    /// Rows that have been removed.
    public private(set) var removed: Set<Int> = []
    /// The rows in 8 bits; nil without.
    public private(set) var rounded: RoundedMatrix?
    /// Links between near rows; nil without.
    public private(set) var graph: NeighborGraph?
    /// What is subtracted from every vector: their mean for Euclidean distances, so that float32 decides well.
    let shift: [Float]

    /// Makes an index. O(n · d).
    ///
    /// - Parameters:
    ///   - vectors: n × d, finite.
    ///   - identifiers: a name for each row, all different; nil to know rows by their numbers.
    /// - Throws: ``DataError`` for a value that is not finite or names that don't fit.
    public init(_ vectors: HostMatrix, similarity: VectorSimilarity, identifiers: IdentifierIndex? = nil) throws {
        guard vectors.columns > 0 else { throw DataError("the vectors have no elements") }
        if let identifiers, identifiers.count != vectors.rows {
            throw DataError("there are \(vectors.rows) vectors and \(identifiers.count) names")
        }
        self.similarity = similarity
        self.identifiers = identifiers
        var shift = [Float](repeating: 0, count: vectors.columns)
        if similarity == .euclidean, vectors.rows > 0 {
            var sums = [Double](repeating: 0, count: vectors.columns)
            for i in 0..<vectors.rows { for (p, x) in vectors.row(i).enumerated() { sums[p] += Double(x) } }
            shift = sums.map { Float($0 / Double(vectors.rows)) }
        }
        self.shift = shift
        self.vectors = try Self.prepared(vectors, similarity, shift)
    }

    /// Number of rows, removed ones included.
    public var count: Int { vectors.rows }
    /// Length of the vectors.
    public var dimensions: Int { vectors.columns }

    /// The name of a row, or its number.
    public func name(_ row: Int) -> String { identifiers.map { $0[row] } ?? String(row) }

    /// The row of a name, or of a number where rows have no names; nil for one that is not there.
    public func row(_ name: String) -> Int? {
        let row = identifiers.map { $0.index(of: name) } ?? Int(name).flatMap { (0..<count).contains($0) ? $0 : nil }
        return row.flatMap { removed.contains($0) ? nil : $0 }
    }

    /// Queries in the form in which they are compared. Throws ``DataError`` for another length, or values not finite.
    func prepared(_ queries: HostMatrix) throws -> HostMatrix {
        guard queries.columns == dimensions else {
            throw DataError("the queries have \(queries.columns) elements, the vectors of the index \(dimensions)")
        }
        return try Self.prepared(queries, similarity, shift)
    }

    private static func prepared(
        _ vectors: HostMatrix, _ similarity: VectorSimilarity, _ shift: [Float]
    ) throws -> HostMatrix {
        try KMeansPoints.requireFinite(vectors)
        let d = vectors.columns
        let result = HostMatrix(
            rows: vectors.rows, columns: d, storage: HostBuffer(uninitializedCount: vectors.rows * d))
        for i in 0..<vectors.rows {
            similarity.prepare(
                vectors.storage.baseAddress + i * d, to: result.storage.baseAddress + i * d, count: d, shift: shift)
        }
        return result
    }

    /// The Euclidean distance of a prepared query from a row, from their differences.
    func distance(_ query: UnsafePointer<Float>, _ row: Int) -> Float {
        let own = vectors.storage.baseAddress + row * dimensions
        var sum = 0.0
        for p in 0..<dimensions {
            let x = Double(query[p]) - Double(own[p])
            sum += x * x
        }
        return Float(sum.squareRoot())
    }

    // MARK: Codes and graph

    /// Rounds the rows to 8 bits. O(n · d).
    public mutating func round() {
        rounded = RoundedMatrix(vectors)
    }

    /// Links near rows, for approximate searches, and measures how many of the true neighbors these find. About
    /// n · buildWidth · links comparisons.
    ///
    /// - Throws: ``ParameterError`` for options outside their ranges, ``DataError`` for more than 2²⁸ rows, and
    ///   `CancellationError`.
    public mutating func buildGraph(
        options: GraphOptions = GraphOptions(), threads: Int = 1, progress: ProgressHandler? = nil
    ) throws {
        try options.validate()
        guard count < 1 << 28 else { throw DataError("a graph has room for 2^28 rows, not \(count)") }
        dropRemoved(threads: threads)
        if rounded == nil { round() }
        let pool = WorkerPool(threadCount: threads)
        let sample = graphSample(pool, seed: options.seed)
        var space = GraphSpace(vectors: vectors, rounded: rounded, similarity: similarity)
        // Short vectors take as much memory as their codes.
        if dimensions <= 32 || !sample.isTold(by: space) {
            space = GraphSpace(vectors: vectors, rounded: nil, similarity: similarity)
        }
        let builder = GraphBuilder(options: options, space: space, pool: pool)
        try builder.insert(Array(0..<count), progress: progress)
        var built = builder.finished()
        if count >= 2 * Self.recallPlaces {
            built.recall = recall(of: built, sample: sample, pool: pool)
        }
        graph = built
    }

    private static let recallPlaces = 10

    private func graphSample(_ pool: WorkerPool, seed: UInt64) -> ExactNeighborSample {
        let random = Philox(seed: seed, stream: 0x7265_6361)
        let size = min(count, 200)
        let rows = (0..<size).map { place in
            let range = count * place / size..<count * (place + 1) / size
            return range.lowerBound + random.integer(UInt64(place), below: range.count)
        }
        let halves =
            similarity == .euclidean
            ? (0..<count).map { row in vectors.row(row).reduce(0) { $0 + $1 * $1 } / 2 } : nil
        return ExactNeighborSample(vectors, halves: halves, rows: rows, count: 50, pool: pool)
    }

    private func recall(of graph: NeighborGraph, sample: ExactNeighborSample, pool: WorkerPool) -> Double {
        let queries = HostMatrix(rows: sample.rows.count, columns: dimensions)
        for (place, row) in sample.rows.enumerated() {
            queries.row(place).baseAddress?.update(from: vectors.row(row).baseAddress!, count: dimensions)
        }
        let found = GraphSearch(self, graph: graph, pool: pool).search(
            queries, count: Self.recallPlaces, width: graph.options.searchWidth, isFound: nil,
            left: sample.rows.map { [$0] })
        var (hits, asked) = (0, 0)
        for (list, exact) in zip(found, sample.neighbors) {
            let best = Set(exact.prefix(Self.recallPlaces))
            hits += list.count { best.contains(Int($0.row)) }
            asked += best.count
        }
        return Double(hits) / Double(max(asked, 1))
    }

    /// Brings codes and graph up to date with rows that have changed or come.
    private mutating func update(_ changed: Set<Int>, from old: Int, threads: Int) throws {
        if rounded != nil { round() }
        guard let present = graph else { return }
        let space = GraphSpace(
            vectors: vectors, rounded: present.comparesCodes ? rounded : nil, similarity: similarity)
        let builder = GraphBuilder(
            options: present.options, space: space, pool: WorkerPool(threadCount: threads), present: present)
        builder.remove(changed)
        try builder.insert(changed.sorted() + Array(old..<count))
        graph = builder.finished()
    }

    // MARK: Changes

    /// Adds rows; those whose name is there already take the place of the old ones. O((n + m) · d), and with a graph as
    /// much as linking the rows.
    ///
    /// - Returns: how many rows were replaced.
    /// - Throws: ``DataError`` for vectors of another length, and for names where the index has none or the reverse.
    @discardableResult
    public mutating func add(
        _ more: HostMatrix, identifiers names: IdentifierIndex? = nil, threads: Int = 1
    ) throws -> Int {
        let fresh = try prepared(more)
        guard (names == nil) == (identifiers == nil) else {
            throw DataError(
                identifiers == nil ? "rows of this index have no names" : "rows of this index have names: give some")
        }
        if let names, names.count != more.rows {
            throw DataError("there are \(more.rows) vectors and \(names.count) names")
        }
        let old = count
        var replaced: Set<Int> = []
        var added: [Int] = []
        // Copied first: the old matrix may be the file's mapping, or on a device.
        let present = HostMatrix(
            rows: count, columns: dimensions, storage: HostBuffer(vectors.storage.array))
        for i in 0..<fresh.rows {
            if let names, let row = identifiers?.index(of: names.utf8(i)) {
                present.row(row).baseAddress?.update(from: fresh.row(i).baseAddress!, count: dimensions)
                removed.remove(row)
                replaced.insert(row)
            } else {
                added.append(i)
            }
        }
        let all = HostMatrix(
            rows: count + added.count, columns: dimensions,
            storage: HostBuffer(uninitializedCount: (count + added.count) * dimensions))
        all.storage.baseAddress.update(from: present.storage.baseAddress, count: count * dimensions)
        for (place, i) in added.enumerated() {
            all.row(count + place).baseAddress?.update(from: fresh.row(i).baseAddress!, count: dimensions)
        }
        if let names, let old = identifiers {
            identifiers = IdentifierIndex(
                (0..<old.count).map { old[$0] } + added.map { names[$0] })
        }
        vectors = all
        try update(replaced, from: old, threads: threads)
        return replaced.count
    }

    /// Puts other vectors in the place of rows. Throws ``DataError`` for a name that is not there.
    public mutating func replace(_ names: [String], with more: HostMatrix, threads: Int = 1) throws {
        guard names.count == more.rows else {
            throw DataError("there are \(more.rows) vectors and \(names.count) names")
        }
        let rows = try names.map(existing)
        let fresh = try prepared(more)
        let present = HostMatrix(rows: count, columns: dimensions, storage: HostBuffer(vectors.storage.array))
        for (i, row) in rows.enumerated() {
            present.row(row).baseAddress?.update(from: fresh.row(i).baseAddress!, count: dimensions)
        }
        vectors = present
        try update(Set(rows), from: count, threads: threads)
    }

    /// Removes rows. Throws ``DataError`` for a name that is not there.
    public mutating func remove(_ names: [String]) throws {
        for row in try names.map(existing) { removed.insert(row) }
    }

    private func existing(_ name: String) throws -> Int {
        guard let row = row(name) else { throw DataError("the index has no row `\(name)`") }
        return row
    }

    // MARK: File

    /// Writes the index, without the removed rows. Throws ``SystemError``.
    public func save(to path: String, threads: Int = 1) throws {
        var kept = self
        kept.dropRemoved(threads: threads)
        var metadata = [
            "apus_kind": Self.kind, "apus_format_version": String(Self.formatVersion),
            "similarity": similarity.rawValue,
        ]
        kept.graph?.describe(&metadata)
        var writer = SafetensorsWriter(metadata: metadata)
        writer.add("vectors", shape: [kept.count, kept.dimensions], kept.vectors.storage)
        writer.add("shift", shape: [shift.count], HostBuffer(shift))
        if let identifiers = kept.identifiers { writer.add(identifiers, as: "identifiers") }
        if let rounded = kept.rounded {
            writer.add("rounded.codes", shape: [rounded.rows, rounded.bytesPerRow], rounded.codes)
            writer.add("rounded.facts", shape: [3, rounded.rows], rounded.facts)
        }
        kept.graph?.add(to: &writer)
        try writer.write(to: path)
    }

    /// Numbers the rows that are left anew, in their order.
    private mutating func dropRemoved(threads: Int) {
        guard !removed.isEmpty else { return }
        let rows = (0..<count).filter { !removed.contains($0) }
        let kept = HostMatrix(rows: rows.count, columns: dimensions)
        for (place, row) in rows.enumerated() {
            kept.row(place).baseAddress?.update(from: vectors.row(row).baseAddress!, count: dimensions)
        }
        let before = GraphSpace(
            vectors: vectors, rounded: graph?.comparesCodes == true ? rounded : nil, halves: graph?.halves,
            extras: graph?.extras)
        vectors = kept
        if rounded != nil { round() }
        if let graph {
            let builder = GraphBuilder(
                options: graph.options, space: before, pool: WorkerPool(threadCount: threads), present: graph)
            builder.remove(removed)
            self.graph = builder.finished().renumbered(
                rows,
                space: GraphSpace(
                    vectors: vectors, rounded: graph.comparesCodes ? rounded : nil, similarity: similarity))
        }
        if let identifiers { self.identifiers = IdentifierIndex(rows.map { identifiers[$0] }) }
        removed = []
    }

    /// Opens an index; the vectors stay in the file's mapping. Throws ``SystemError`` and ``DataError``.
    public init(path: String) throws {
        let file = try SafetensorsFile(path: path)
        try file.require(kind: Self.kind, newestVersion: Self.formatVersion)
        guard let similarity = file.metadata["similarity"].flatMap({ VectorSimilarity(rawValue: $0) }),
            let shape = file.tensor("vectors")?.shape, shape.count == 2, shape[1] > 0
        else { throw DataError("the index is damaged", file: path) }
        self.similarity = similarity
        vectors = HostMatrix(rows: shape[0], columns: shape[1], storage: try file.floats("vectors"))
        shift = try file.floats("shift", shape: [shape[1]]).array
        identifiers = file.tensor("identifiers.offsets") == nil ? nil : try file.identifiers("identifiers")
        if let identifiers, identifiers.count != shape[0] {
            throw DataError("the index has \(shape[0]) vectors and \(identifiers.count) names", file: path)
        }
        if file.tensor("rounded.codes") != nil {
            rounded = try RoundedMatrix(
                rows: shape[0], columns: shape[1], codes: file.bytes("rounded.codes"),
                facts: file.floats("rounded.facts", shape: [3, shape[0]]))
        }
        graph = try NeighborGraph(file, rows: shape[0])
        if let graph, graph.comparesCodes && rounded == nil {
            throw DataError("the index has a graph without the codes that it compares", file: path)
        }
    }
}
