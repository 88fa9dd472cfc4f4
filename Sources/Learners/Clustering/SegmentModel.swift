import Compute
import Core
import FoundationEssentials
import Tables

/// Clusters as they are saved: centres, sizes and where they came from.
///
/// Tensors: `centers` (F32, k × d), `sizes` (I64), `weights` (F64). Metadata: `apus_kind` "segments",
/// `apus_format_version`, `configuration`, `features`, `provenance` and `inertia`.
public struct SegmentModel: Sendable {
    public static let kind = "segments"
    public static let formatVersion = 1

    /// k × d.
    public let centers: HostMatrix
    /// Points of every cluster.
    public let sizes: [Int]
    /// Weight of every cluster.
    public let weights: [Double]
    /// Of the training.
    public let inertia: Double
    public let options: KMeansOptions
    /// Names of the columns; nil where they have none.
    public let features: [String]?
    /// How a table becomes points; nil for models of points.
    public let recipe: FittedRecipe?
    /// What the segments were called; empty where they have no names.
    public let segmentNames: [String]
    public var provenance: ModelProvenance

    public init(
        result: KMeansResult, options: KMeansOptions, features: [String]?, recipe: FittedRecipe? = nil,
        provenance: ModelProvenance, segmentNames: [String] = []
    ) {
        centers = result.centers
        sizes = result.sizes
        weights = result.weights
        inertia = result.inertia
        self.options = options
        self.features = features
        self.recipe = recipe
        self.segmentNames = segmentNames
        self.provenance = provenance
    }

    /// Writes the model: to a temporary file beside `path`, synced, renamed. Throws ``SystemError``.
    public func save(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        func json(_ value: some Encodable) throws -> String {
            String(decoding: try encoder.encode(value), as: UTF8.self)
        }
        var writer = SafetensorsWriter(metadata: [
            "apus_kind": Self.kind,
            "apus_format_version": String(Self.formatVersion),
            "configuration": try json(options),
            "features": try json(features ?? []),
            "provenance": try json(provenance),
            "recipe": try recipe.map(json) ?? "",
            "segment_names": try json(segmentNames),
            "inertia": "\(inertia)",
        ])
        writer.add("centers", shape: [centers.rows, centers.columns], centers.storage)
        writer.add("sizes", shape: [sizes.count], HostBuffer(sizes.map(Int64.init)))
        writer.add("weights", shape: [weights.count], HostBuffer(weights))
        try writer.write(to: path)
    }

    /// Reads a model. Throws ``SystemError`` and ``DataError``.
    public init(path: String) throws {
        let file = try SafetensorsFile(path: path)
        try file.require(kind: Self.kind, newestVersion: Self.formatVersion)
        options = try file.decode("configuration")
        guard let shape = file.tensor("centers")?.shape, shape.count == 2, shape[0] > 0, shape[1] > 0 else {
            throw DataError("the model has no centres", file: path)
        }
        centers = HostMatrix(rows: shape[0], columns: shape[1], storage: try file.floats("centers"))
        sizes = try file.int64s("sizes", shape: [shape[0]]).array.map { Int(clamping: $0) }
        weights = try file.doubles("weights", shape: [shape[0]]).array
        let names: [String] = try file.decode("features")
        guard names.isEmpty || names.count == shape[1] else {
            throw DataError("the model has \(shape[1]) columns and \(names.count) names", file: path)
        }
        features = names.isEmpty ? nil : names
        recipe = try file.metadata["recipe"].map { $0.isEmpty ? nil : try file.decode("recipe") } ?? nil
        segmentNames = file.metadata["segment_names"] == nil ? [] : try file.decode("segment_names")
        provenance = try file.decode("provenance")
        inertia = file.metadata["inertia"].flatMap { Double($0) } ?? .nan
    }

    /// The nearest cluster of each point, and the distance to its centre (squared Euclidean, or 1 − cosine).
    ///
    /// - Throws: ``DataError`` when the points have another number of columns or a value that is not finite.
    public func assign(_ points: HostMatrix, stream: Compute.Stream) throws -> (labels: [Int32], distances: [Float]) {
        guard points.columns == centers.columns else {
            throw DataError(
                "the points have \(points.columns) columns, the model has \(centers.columns)"
                    + (features.map { ": " + $0.joined(separator: ", ") } ?? ""))
        }
        try KMeansPoints.requireFinite(points)
        // As in the training: shifted to where the centres are, so that float32 decides well.
        var shift = [Double](repeating: 0, count: centers.columns)
        if options.distance == .euclidean {
            for j in 0..<centers.rows {
                for p in shift.indices { shift[p] += Double(centers[j, p]) / Double(centers.rows) }
            }
        }
        func moved(_ matrix: HostMatrix) -> HostMatrix {
            let result = HostMatrix(
                rows: matrix.rows, columns: matrix.columns,
                storage: HostBuffer(uninitializedCount: matrix.storage.count))
            for i in 0..<matrix.rows {
                if options.distance == .cosine {
                    KMeansPoints.normalize(matrix.row(i).baseAddress!, to: result.row(i).baseAddress!, matrix.columns)
                } else {
                    for p in shift.indices { result[i, p] = Float(Double(matrix[i, p]) - shift[p]) }
                }
            }
            return result
        }
        let labels = try stream.allocate(rows: 1, columns: points.rows, .int32)
        let distanceVector = try stream.allocate(rows: 1, columns: points.rows)
        let prepared = moved(points)
        try stream.assignNearest(
            points: stream.wrap(prepared), centers: stream.wrap(moved(centers)), labels: labels,
            distances: distanceVector)
        var distances = try stream.download(distanceVector, as: Float.self)
        if options.distance == .cosine {
            for i in distances.indices {
                distances[i] = KMeansPoints.cosineDistance(distances[i], prepared.row(i))
            }
        }
        return (try stream.download(labels, as: Int32.self), distances)
    }
}

extension ModelProvenance {
    /// Notes the device and the command.
    public mutating func describe(_ device: any Device, arguments: [String]) {
        createdAt = secondsSince1970()
        self.device = "\(device.identity.name) (\(device.identity.model), \(device.identity.driver))"
        threads = device.limits.computeUnits
        configuration["arguments"] = arguments.joined(separator: "\u{1F}")
    }
}
