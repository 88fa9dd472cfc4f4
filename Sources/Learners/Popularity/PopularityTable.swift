import Compute
import Core
import Tables

/// Which items everybody is offered.
public enum PopularityRule: String, Codable, Sendable, CaseIterable {
    /// Those with the most interactions.
    case all
    /// Those with the most interactions of late.
    case recent
    /// Any that have interactions, at random: the floor that a model must leave behind.
    case random
}

/// Parameters of popularity.
public struct PopularityOptions: Codable, Sendable, Equatable {
    public var rule = PopularityRule.all
    /// For ``PopularityRule/recent``: days before the latest interaction that count. Above 0.
    public var windowDays = 30.0
    /// For ``PopularityRule/random``.
    public var seed: UInt64 = 42

    public init() {}

    /// Throws ``ParameterError`` for the first value outside its range.
    public func validate() throws(ParameterError) {
        guard windowDays > 0, windowDays.isFinite else {
            throw ParameterError("windowDays", "\(windowDays) is not a number above 0")
        }
    }
}

/// The same items for everybody, also for those of whom nothing is known.
public struct PopularityTable: LearnedRecommender {
    public static let kind = "popular"

    public let options: PopularityOptions
    /// What the items are ranked by.
    public let counts: [Float]

    /// Learns from interactions.
    ///
    /// - Parameter times: seconds since 1970 of every entry of `byUser`; needed for ``PopularityRule/recent``.
    /// - Throws: ``ParameterError``; ``DataError`` without times where they are needed.
    public init(byUser: HostSparseMatrix, times: HostBuffer<Int64>?, options: PopularityOptions) throws {
        try options.validate()
        guard byUser.entryCount > 0 else { throw DataError("there are no interactions to learn from") }
        self.options = options
        var counts = [Float](repeating: 0, count: byUser.columns)
        if options.rule == .recent {
            guard let times else {
                throw DataError("recent popularity needs a time column, and there is none; use --rule all")
            }
            precondition(times.count == byUser.entryCount)
            let latest = times.elements.max() ?? 0
            let (earliest, underflow) = latest.subtractingReportingOverflow(
                Int64(min(options.windowDays * 86_400, 9e17)))
            for entry in 0..<byUser.entryCount where underflow || times[entry] > earliest {
                counts[Int(byUser.columnIndices[entry])] += 1
            }
            // Items without recent interactions come after those with, by all of their interactions.
            var total = [Float](repeating: 0, count: counts.count)
            for entry in 0..<byUser.entryCount { total[Int(byUser.columnIndices[entry])] += 1 }
            let most = (total.max() ?? 0) + 1
            for item in counts.indices { counts[item] += total[item] / most }
        } else {
            for entry in 0..<byUser.entryCount { counts[Int(byUser.columnIndices[entry])] += 1 }
        }
        self.counts = counts
    }

    /// People are known by what they have.
    public func withHistories(_ histories: HostSparseMatrix) -> (any LearnedRecommender)? { self }

    public func configuration() throws -> String { try Self.json(options) }

    public func add(to writer: inout SafetensorsWriter, prefix: String) {
        writer.add(prefix + "popularity", shape: [counts.count], HostBuffer(counts))
    }

    public init(_ section: ModelSection) throws {
        options = try section.decode()
        let options = options
        try section.checked { try options.validate() }
        counts = try section.file.floats(section.prefix + "popularity", shape: [section.items]).array
    }

    public func open(_ context: RecommenderContext) throws -> any Recommender {
        options.rule == .random
            ? RandomItems(counts: counts, seed: options.seed) : PopularItems(counts: counts)
    }

    public var facts: [(name: String, value: ModelFact)] {
        [("rule", .text(options.rule.rawValue))]
            + (options.rule == .recent ? [("window_days", .number(options.windowDays))] : [])
            + (options.rule == .random ? [("seed", .integer(Int(truncatingIfNeeded: options.seed)))] : [])
    }
}
