import Core
import FoundationEssentials
import Tables

/// Vectors to search among, with their names: exact, saved in one file that opens by memory map.
///
/// Rows are kept in the form in which an inner product compares them, so that opening the file computes nothing. Removed
/// rows keep their number until the index is saved; nothing finds them.
///
/// File: a safetensors file of kind `vectors`; tensors `vectors` (F32, n × d), `shift` (F32) and, where rows have names,
/// `identifiers.bytes` and `identifiers.offsets`.
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

    // MARK: Changes

    /// Adds rows; those whose name is there already take the place of the old ones. O((n + m) · d).
    ///
    /// - Returns: how many rows were replaced.
    /// - Throws: ``DataError`` for vectors of another length, and for names where the index has none or the reverse.
    @discardableResult
    public mutating func add(_ more: HostMatrix, identifiers names: IdentifierIndex? = nil) throws -> Int {
        let fresh = try prepared(more)
        guard (names == nil) == (identifiers == nil) else {
            throw DataError(
                identifiers == nil ? "rows of this index have no names" : "rows of this index have names: give some")
        }
        if let names, names.count != more.rows {
            throw DataError("there are \(more.rows) vectors and \(names.count) names")
        }
        var replaced = 0
        var added: [Int] = []
        // Copied first: the old matrix may be the file's mapping, or on a device.
        let present = HostMatrix(
            rows: count, columns: dimensions, storage: HostBuffer(vectors.storage.array))
        for i in 0..<fresh.rows {
            if let names, let row = identifiers?.index(of: names.utf8(i)) {
                present.row(row).baseAddress?.update(from: fresh.row(i).baseAddress!, count: dimensions)
                removed.remove(row)
                replaced += 1
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
        return replaced
    }

    /// Puts other vectors in the place of rows. Throws ``DataError`` for a name that is not there.
    public mutating func replace(_ names: [String], with more: HostMatrix) throws {
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
    public func save(to path: String) throws {
        var writer = SafetensorsWriter(metadata: [
            "apus_kind": Self.kind, "apus_format_version": String(Self.formatVersion),
            "similarity": similarity.rawValue,
        ])
        let kept = compacted()
        writer.add("vectors", shape: [kept.count, kept.dimensions], kept.vectors.storage)
        writer.add("shift", shape: [shift.count], HostBuffer(shift))
        if let identifiers = kept.identifiers { writer.add(identifiers, as: "identifiers") }
        try writer.write(to: path)
    }

    private func compacted() -> VectorIndex {
        guard !removed.isEmpty else { return self }
        let rows = (0..<count).filter { !removed.contains($0) }
        var result = self
        result.removed = []
        result.vectors = HostMatrix(rows: rows.count, columns: dimensions)
        for (place, row) in rows.enumerated() {
            result.vectors.row(place).baseAddress?.update(from: vectors.row(row).baseAddress!, count: dimensions)
        }
        if let identifiers { result.identifiers = IdentifierIndex(rows.map { identifiers[$0] }) }
        return result
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
    }
}
