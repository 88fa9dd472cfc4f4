import Core
import FoundationEssentials
import Tables

/// The model file: one safetensors file with everything in it.
///
/// Tensors of every kind: `users.bytes`/`users.offsets` and likewise `items` and `item_titles` (U8 with I64 offsets),
/// `seen.row_pointers` (I64), `seen.columns` (I32), `seen.values` (F32); `seen.times` (I64) where a model reads order. Metadata: `apus_kind`, `apus_format_version`
/// (of the kind), `configuration` and `provenance` as JSON. The other tensors are the kind's own; a factorization has
/// `user_factors`, `item_factors` and `mean` (F32).
extension RecommenderModel {
    /// Writes the model: to a temporary file beside `path`, synced, renamed. An existing file stays as it was when
    /// anything fails. Throws ``SystemError``.
    public func save(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        var writer = SafetensorsWriter(metadata: [
            "apus_kind": kind,
            "apus_format_version": String(type(of: learned).formatVersion),
            "configuration": try learned.configuration(),
            "provenance": String(decoding: try encoder.encode(provenance), as: UTF8.self),
        ])
        learned.add(to: &writer, prefix: "")
        writer.add(users, as: "users")
        writer.add(items, as: "items")
        if let itemTitles { writer.add(itemTitles, as: "item_titles") }
        writer.add(seen, as: "seen")
        if type(of: learned).readsOrder, let times = seen.times {
            writer.add("seen.times", shape: [times.count], times)
        }
        try writer.write(to: path)
    }

    /// Reads a model of any kind. O(size of the file), most of it checks; the tables stay in the file's mapping.
    ///
    /// - Throws: ``SystemError`` when the file can't be opened; ``DataError`` when it is no model, is cut short or
    ///   damaged, or was written by a newer version.
    public init(path: String) throws {
        try self.init(file: try SafetensorsFile(path: path))
    }

    /// Reads a model from a file that is open already.
    public init(file: SafetensorsFile) throws {
        guard let kind = file.metadata["apus_kind"] else {
            throw DataError("this safetensors file was not written by Apus", file: file.path)
        }
        guard let type = RecommenderKinds.type(kind) else {
            throw DataError(
                "expected a recommender (\(RecommenderKinds.names.map { "`\($0)`" }.joined(separator: ", "))), "
                    + "found a file of kind `\(kind)`", file: file.path)
        }
        try file.require(kind: kind, newestVersion: type.formatVersion)
        guard let configuration = file.metadata["configuration"] else {
            throw DataError("the file has no `configuration`", file: file.path)
        }
        let users = try file.identifiers("users")
        let items = try file.identifiers("items")
        let learned = try type.init(
            ModelSection(
                file: file, prefix: "", configuration: configuration, users: users.count, items: items.count))
        let titles = file.tensor("item_titles.offsets") == nil ? nil : try file.identifiers("item_titles")
        if let titles, titles.count != items.count {
            throw DataError("the model has \(items.count) items and \(titles.count) titles", file: file.path)
        }
        var seen = try file.sparse("seen", rows: users.count, columns: items.count)
        if file.tensor("seen.times") != nil {
            seen.times = try file.int64s("seen.times", shape: [seen.entryCount])
        }
        self.init(
            learned: learned, users: users, items: items, itemTitles: titles, seen: seen,
            provenance: try file.decode("provenance"))
    }
}

extension SafetensorsWriter {
    /// Adds a list of strings as two tensors.
    mutating func add(_ identifiers: IdentifierIndex, as name: String) {
        add("\(name).bytes", shape: [identifiers.bytes.count], identifiers.bytes)
        add("\(name).offsets", shape: [identifiers.offsets.count], identifiers.offsets)
    }

    /// Adds a sparse matrix as three tensors.
    mutating func add(_ matrix: HostSparseMatrix, as name: String) {
        add("\(name).row_pointers", shape: [matrix.rowPointers.count], matrix.rowPointers)
        add("\(name).columns", shape: [matrix.columnIndices.count], matrix.columnIndices)
        add("\(name).values", shape: [matrix.values.count], matrix.values)
    }
}

extension SafetensorsFile {
    /// Refuses files of another kind and of newer versions.
    func require(kind: String, newestVersion: Int) throws {
        guard let found = metadata["apus_kind"] else {
            throw DataError("this safetensors file was not written by Apus", file: path)
        }
        guard let version = metadata["apus_format_version"].flatMap({ Int($0) }), version >= 1 else {
            throw DataError("the model's format version is missing or damaged", file: path)
        }
        guard version <= newestVersion else {
            throw DataError(
                "the model has format version \(version); this program reads up to \(newestVersion): "
                    + "use a newer Apus", file: path)
        }
        guard found == kind else {
            throw DataError("expected a file of kind `\(kind)`, found `\(found)`", file: path)
        }
    }

    /// A value stored as JSON in the metadata.
    func decode<Value: Decodable>(_ key: String) throws -> Value {
        guard let text = metadata[key] else { throw DataError("the file has no `\(key)`", file: path) }
        do {
            return try JSONDecoder().decode(Value.self, from: Data(text.utf8))
        } catch {
            throw DataError("`\(key)` of the file is damaged: \(error)", file: path)
        }
    }

    /// A list of strings.
    func identifiers(_ name: String) throws -> IdentifierIndex {
        do {
            return try IdentifierIndex(bytes: try bytes("\(name).bytes"), offsets: try int64s("\(name).offsets"))
        } catch let error as DataError {
            throw DataError(error.reason, file: path)
        }
    }

    /// A sparse matrix, every index checked: a damaged file must not become a fault later.
    func sparse(_ name: String, rows: Int, columns: Int) throws -> HostSparseMatrix {
        let pointers = try int64s("\(name).row_pointers", shape: [rows + 1])
        let indices = try int32s("\(name).columns")
        let values = try floats("\(name).values", shape: [indices.count])
        var valid = pointers[0] == 0 && pointers[rows] == Int64(indices.count)
        for row in 0..<rows where valid { valid = pointers[row] <= pointers[row + 1] }
        if valid {
            for row in 0..<rows {
                var previous: Int32 = -1
                for entry in Int(pointers[row])..<Int(pointers[row + 1]) {
                    let index = indices[entry]
                    if index <= previous || Int(index) >= columns { valid = false }
                    previous = index
                }
            }
        }
        guard valid else { throw DataError("`\(name)` of the file is damaged", file: path) }
        return HostSparseMatrix(
            rows: rows, columns: columns, rowPointers: pointers, columnIndices: indices, values: values)
    }
}
