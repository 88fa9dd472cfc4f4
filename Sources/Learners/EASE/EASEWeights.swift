import Compute
import Core
import Tables

/// Parameters of EASE.
public struct EASEOptions: Codable, Sendable, Equatable {
    /// λ > 0: weight of the squared weights.
    public var regularization = 250.0
    /// How values become weights.
    public var confidence = ConfidenceRule.constant

    public init() {}

    /// Throws ``ParameterError`` for the first value outside its range.
    public func validate() throws(ParameterError) {
        guard regularization > 0, regularization.isFinite else {
            throw ParameterError("regularization", "\(regularization) is not a number above 0")
        }
    }
}

/// EASE: the linear model of items by items with a zero diagonal, in closed form (Steck, "Embarrassingly shallow
/// autoencoders for sparse data", WWW 2019).
///
/// min ‖X − XB‖² + λ‖B‖² with diag(B) = 0 has the solution B = I − P · diag(1 / P_jj), P = (XᵀX + λI)⁻¹. The Gram
/// matrix is the device's, in chunks of rows added up in double precision; the inverse is LAPACK's, in double precision.
public struct EASEWeights: LearnedRecommender {
    public static let kind = "ease"

    /// The parameters of the training.
    public let options: EASEOptions
    /// items × items: what having item i (row) adds to the score of item j (column).
    public let weights: HostMatrix

    /// Bytes that the training of so many items needs: a Gram matrix in double precision, and the weights.
    public static func memoryBytes(items: Int) -> Int { items * items * 20 + 2 * chunkBytes }

    private static let chunkBytes = 64 << 20

    /// Learns from interactions. O(users · items²) on the device and O(items³) on the host.
    ///
    /// - Parameters:
    ///   - byUser: users × items.
    ///   - memoryLimitBytes: refuses when the training would need more; nil for the memory of the machine.
    /// - Throws: ``ParameterError``; ``DataError`` for values that are no weights; ``ComputeError``.
    public init(
        byUser: HostSparseMatrix, options: EASEOptions, stream: Compute.Stream, memoryLimitBytes: Int? = nil,
        progress: ProgressHandler? = nil
    ) throws {
        try options.validate()
        guard byUser.entryCount > 0 else { throw DataError("there are no interactions to learn from") }
        let items = byUser.columns
        let limit = memoryLimitBytes ?? physicalMemoryBytes()
        guard Self.memoryBytes(items: items) <= limit else {
            throw DataError(
                "EASE of \(items) items needs \(Self.memoryBytes(items: items) >> 20) MiB of memory, "
                    + "\(limit >> 20) MiB are there; leave out rare items (--minimum-per-item) or train als or neighbors"
            )
        }
        self.options = options
        let start = monotonicSeconds()
        func report(_ done: Int) throws {
            let decision = progress?(
                ProgressReport(
                    phase: "train", completed: done, total: 3, unit: "steps",
                    elapsedSeconds: monotonicSeconds() - start))
            if decision == .stop && done < 3 { throw CancellationError() }
        }
        let gram = try Self.gram(byUser, options, stream: stream)
        for item in 0..<items { gram[item * items + item] += options.regularization }
        try report(1)
        try stream.device.denseSolver.invertPositiveDefinite(gram.baseAddress, n: items)
        try report(2)
        weights = HostMatrix(rows: items, columns: items, storage: HostBuffer(uninitializedCount: items * items))
        let inverseDiagonal = (0..<items).map { 1 / gram[$0 * items + $0] }
        for i in 0..<items {
            for j in 0..<items { weights.storage[i * items + j] = Float(-gram[i * items + j] * inverseDiagonal[j]) }
            weights.storage[i * items + i] = 0
        }
        try report(3)
    }

    /// XᵀX in double precision, from dense chunks of rows.
    private static func gram(
        _ byUser: HostSparseMatrix, _ options: EASEOptions, stream: Compute.Stream
    ) throws -> HostBuffer<Double> {
        let items = byUser.columns
        let sum = HostBuffer<Double>(repeating: 0, count: items * items)
        let occupied = (0..<byUser.rows).filter { !byUser.range(ofRow: $0).isEmpty }
        let chunk = max(1, min(occupied.count, chunkBytes / 4 / max(items, 1)))
        let rows = HostMatrix(rows: chunk, columns: items)
        let input = try stream.allocate(rows: chunk, columns: items)
        let output = try stream.allocate(rows: items, columns: items)
        for first in stride(from: 0, to: occupied.count, by: chunk) {
            rows.storage.baseAddress.update(repeating: 0, count: rows.storage.count)
            for (place, user) in occupied[first..<min(first + chunk, occupied.count)].enumerated() {
                for entry in byUser.range(ofRow: user) {
                    let weight = options.confidence.weight(byUser.values[entry])
                    guard weight.isFinite, weight >= 0 else {
                        throw DataError("a weight of \(weight): EASE needs finite values from 0 up")
                    }
                    rows[place, Int(byUser.columnIndices[entry])] = weight
                }
            }
            try stream.upload(rows.storage.array, to: input)
            try stream.gram(input, into: output)
            let part = try stream.download(output)
            for place in 0..<items * items { sum[place] += Double(part.storage[place]) }
        }
        return sum
    }

    private init(options: EASEOptions, weights: HostMatrix) {
        self.options = options
        self.weights = weights
    }

    /// People are known by what they have.
    public func withHistories(_ histories: HostSparseMatrix) -> (any LearnedRecommender)? { self }

    public func configuration() throws -> String { try Self.json(options) }

    public func add(to writer: inout SafetensorsWriter, prefix: String) {
        writer.add(prefix + "item_weights", shape: [weights.rows, weights.columns], weights.storage)
    }

    public init(_ section: ModelSection) throws {
        let options: EASEOptions = try section.decode()
        try section.checked { try options.validate() }
        self.init(
            options: options,
            weights: try section.table("item_weights", rows: section.items, columns: section.items))
    }

    public func open(_ context: RecommenderContext) throws -> any Recommender {
        try EASERecommender(learned: self, context: context)
    }

    public var facts: [(name: String, value: ModelFact)] {
        [
            ("regularization", .number(options.regularization)), ("confidence", .text(options.confidence.rawValue)),
        ]
    }
}
