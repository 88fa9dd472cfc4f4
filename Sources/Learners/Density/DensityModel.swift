import Core
import FoundationEssentials
import Tables

/// Clusters by density as they are saved: the core points, which decide where a new point belongs.
///
/// Tensors: `core_points` (F32), `core_labels` (I32), `sizes` (I64). Metadata: `apus_kind` "dbscan", `configuration`,
/// `features`, `provenance`.
public struct DensityModel: Sendable {
    public static let kind = "dbscan"
    public static let formatVersion = 1

    public let options: DensityOptions
    /// Core points, m × d, and their clusters.
    public let corePoints: HostMatrix
    public let coreLabels: [Int32]
    /// Points of every cluster in the training.
    public let sizes: [Int]
    /// Names of the columns; nil where they have none.
    public let features: [String]?
    /// How a table becomes points; nil for models of points.
    public let recipe: FittedRecipe?
    public var provenance: ModelProvenance

    public init(
        _ points: HostMatrix, result: DensityResult, options: DensityOptions, features: [String]?,
        recipe: FittedRecipe? = nil, provenance: ModelProvenance
    ) {
        let rows = result.isCore.indices.filter { result.isCore[$0] }
        let core = HostMatrix(
            rows: rows.count, columns: points.columns,
            storage: HostBuffer(uninitializedCount: rows.count * points.columns))
        for (place, row) in rows.enumerated() {
            (core.storage.baseAddress + place * points.columns)
                .update(from: points.storage.baseAddress + row * points.columns, count: points.columns)
        }
        corePoints = core
        coreLabels = rows.map { result.labels[$0] }
        sizes = result.sizes
        self.options = options
        self.features = features
        self.recipe = recipe
        self.provenance = provenance
    }

    /// Writes the model. Throws ``SystemError``.
    public func save(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        func json(_ value: some Encodable) throws -> String {
            String(decoding: try encoder.encode(value), as: UTF8.self)
        }
        var writer = SafetensorsWriter(metadata: [
            "apus_kind": Self.kind, "apus_format_version": String(Self.formatVersion),
            "configuration": try json(options), "features": try json(features ?? []),
            "provenance": try json(provenance), "recipe": try recipe.map(json) ?? "",
        ])
        writer.add("core_points", shape: [corePoints.rows, corePoints.columns], corePoints.storage)
        writer.add("core_labels", shape: [coreLabels.count], HostBuffer(coreLabels))
        writer.add("sizes", shape: [sizes.count], HostBuffer(sizes.map(Int64.init)))
        try writer.write(to: path)
    }

    /// Reads a model. Throws ``SystemError`` and ``DataError``.
    public init(path: String) throws {
        let file = try SafetensorsFile(path: path)
        try file.require(kind: Self.kind, newestVersion: Self.formatVersion)
        options = try file.decode("configuration")
        do { try options.validate() } catch { throw DataError("\(error)", file: path) }
        guard let shape = file.tensor("core_points")?.shape, shape.count == 2, shape[1] > 0 else {
            throw DataError("the model has no core points", file: path)
        }
        corePoints = HostMatrix(rows: shape[0], columns: shape[1], storage: try file.floats("core_points"))
        coreLabels = try file.int32s("core_labels", shape: [shape[0]]).array
        sizes = try file.int64s("sizes").array.map { Int(clamping: $0) }
        let count = sizes.count
        guard coreLabels.allSatisfy({ $0 >= 0 && Int($0) < count }) else {
            throw DataError("`core_labels` of the file is damaged", file: path)
        }
        let names: [String] = try file.decode("features")
        features = names.isEmpty ? nil : names
        recipe = try file.metadata["recipe"].map { $0.isEmpty ? nil : try file.decode("recipe") } ?? nil
        provenance = try file.decode("provenance")
    }

    /// The cluster of each point: that of the lowest number with a core point within ε, −1 (noise) without one.
    ///
    /// - Throws: ``DataError`` when the points have another number of columns or a value that is not finite.
    public func assign(_ points: HostMatrix) throws -> [Int32] {
        let d = corePoints.columns
        guard points.columns == d else {
            throw DataError(
                "the points have \(points.columns) columns, the model has \(d)"
                    + (features.map { ": " + $0.joined(separator: ", ") } ?? ""))
        }
        try KMeansPoints.requireFinite(points)
        let cells = DensityCells(corePoints, radius: options.radius)
        let labels = HostBuffer<Int32>(uninitializedCount: corePoints.rows)
        for place in 0..<corePoints.rows { labels[place] = coreLabels[Int(cells.order[place])] }
        let result = HostBuffer<Int32>(repeating: -1, count: points.rows)
        let threads = options.threads > 0 ? options.threads : Workers.processorCount
        let block = 1024
        let scratch = (0..<threads).map { _ in HostBuffer<Int64>(uninitializedCount: cells.cellCount + 1) }
        let next = TaskCounter()
        Workers.run(threads) { worker in
            let point = HostBuffer<Double>(uninitializedCount: d)
            while let task = next.take(below: (points.rows + block - 1) / block) {
                for i in task * block..<min((task + 1) * block, points.rows) {
                    for p in 0..<d { point[p] = Double(points.storage[i * d + p]) }
                    result[i] = cells.lookup(
                        point.baseAddress, labels: labels.baseAddress, scratch: scratch[worker].baseAddress)
                }
            }
        }
        return result.array
    }
}
