import ArgumentParser
import Compute
import Core
import Learners
import Tables

/// The flags of `apus similar` that concern vectors, and what it does with them.
struct SimilarVectorFlags: ParsableArguments {
    @Option(help: "Vectors to search among: a NumPy file (.npy).")
    var vectors: String?
    @Option(help: "An index file made by `apus index`.")
    var index: String?
    @Option(help: "Vectors to search for: a NumPy file (default: every row of the vectors, itself left out).")
    var queries: String?
    @Option(help: "A file with the name of each vector, one to a line (default: their numbers, from 0).")
    var ids: String?
    @Option(help: "Names of vectors never to be found, separated by commas, or @FILE.")
    var exclude: String?
    @Option(help: "Names of the only vectors to be found, separated by commas, or @FILE.")
    var only: String?
    @Flag(help: "All rows by their 8-bit codes, though a few of the best may be missed (vectors without a graph).")
    var approximate = false
    @Flag(help: "All rows exactly, though the index has a graph.")
    var exact = false
    @Option(
        name: .customLong("width"), help: "Rows in view on a walk in the graph: more find more (default: the index's).")
    var width: Int?
    @Option(
        name: .customLong("recall-queries"),
        help: "Queries of an approximate search that are also searched exactly, to measure what is missed; 0 for none.")
    var recallQueries = 32

    func validate() throws {
        guard !(approximate && exact) else { throw ValidationError("--approximate and --exact exclude each other") }
        guard recallQueries >= 0 else {
            throw ValidationError("--recall-queries must be 0 or more, not \(recallQueries)")
        }
        if let width {
            guard width >= 1 else { throw ValidationError("--width must be 1 or more, not \(width)") }
            guard index != nil, !exact else { throw ValidationError("--width is for an index with a graph") }
        }
    }

    /// How the index is searched.
    func mode(_ opened: VectorIndex) throws -> VectorSearchMode {
        if exact { return .exact }
        if opened.graph != nil { return .graph(width: width) }
        guard width == nil else {
            throw DataError("the index has no graph for --width; make one with apus index --approximate", file: index)
        }
        return approximate ? .rounded : .exact
    }

    /// The index, as it was made or made now.
    func open(_ similarity: VectorSimilarity?) throws -> VectorIndex {
        if let index {
            let opened = try VectorIndex(path: index)
            if let similarity, similarity != opened.similarity {
                throw DataError("the index was made for \(opened.similarity.rawValue)", file: index)
            }
            return opened
        }
        let path = vectors ?? ""
        return try Self.about(path) {
            var made = try VectorIndex(
                NumPyFile(path: path).matrix(), similarity: similarity ?? .cosine, identifiers: ids.map(Self.names))
            if approximate { made.round() }
            return made
        }
    }

    /// Names from a file, one to a line.
    static func names(_ path: String) throws -> IdentifierIndex {
        let table = try SmallTable(path: path)
        // A file without a header has its first name where the header would be.
        let isName = (try? table.column("ids", among: ["id", "ids", "name", "item", "user", "customer"])) == nil
        return IdentifierIndex((isName ? [table.columns[0]] : []) + table.rows.map { $0[0] })
    }

    /// Names the file in errors that don't.
    static func about<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as DataError where error.file == nil {
            throw DataError(error.reason, file: path, line: error.line, column: error.column)
        }
    }

    func filter(_ index: VectorIndex) throws -> VectorFilter {
        func rows(_ list: String) throws -> Set<Int> {
            Set(
                try ModelSession.identifiers(list, names: SmallTable.itemNames, role: "items").map { name in
                    guard let row = index.row(name) else { throw DataError("there is no vector `\(name)`") }
                    return row
                })
        }
        var filter = VectorFilter()
        filter.excluded = try exclude.map(rows) ?? []
        filter.allowed = try only.map(rows)
        return filter
    }
}

/// A search among vectors for `apus similar`.
struct VectorSimilarityRun {
    let flags: SimilarVectorFlags
    let similarity: VectorSimilarity?
    let count: Int
    let output: String?
    let device: DeviceOption
    let global: GlobalOptions

    /// Queries of one call: their results are written before the next.
    private static let batch = 8192

    func run() throws {
        if let output { try OutputFolder.check(output) }
        MemoryMeter.start()
        let began = monotonicSeconds()
        let index = try flags.open(similarity)
        let mode = try flags.mode(index)
        let queries = try flags.queries.map { path in
            try SimilarVectorFlags.about(path) { try NumPyFile(path: path).matrix() }
        }
        let loaded = monotonicSeconds()
        let opened = try device.open(global)
        let search = try VectorSearch(index, stream: opened.makeStream())
        let filter = try flags.filter(index)
        let prepared = monotonicSeconds()
        let total = queries?.rows ?? index.count
        var sink = try MatchSink(output: output, index: index, queriesAreRows: queries == nil, json: global.json)
        var seconds = 0.0
        var firstFound: VectorMatches?
        let progress = ProgressDisplay(quiet: global.quiet)
        for first in stride(from: 0, to: total, by: Self.batch) {
            try Interruption.check()
            let range = first..<min(first + Self.batch, total)
            let started = monotonicSeconds()
            let found: VectorMatches
            if let queries {
                let part = HostMatrix(
                    rows: range.count, columns: queries.columns,
                    storage: HostBuffer(
                        viewing: queries.storage.baseAddress + first * queries.columns,
                        count: range.count * queries.columns, release: { withExtendedLifetime(queries.storage) {} }))
                found = try SimilarVectorFlags.about(flags.queries ?? "") {
                    try search.search(part, count: count, filter: filter, mode: mode)
                }
            } else {
                found = try search.neighbors(of: range, count: count, filter: filter, mode: mode)
            }
            if first == 0 { firstFound = found }
            seconds += monotonicSeconds() - started
            try sink.add(found, queries: range)
            _ = progress.handler(
                ProgressReport(
                    phase: "search", completed: range.upperBound, total: total, unit: "queries",
                    elapsedSeconds: monotonicSeconds() - prepared))
        }
        ProgressDisplay.clearLine()
        let recall = try recall(of: firstFound, search, queries, filter, mode)
        if let recall, recall.queries > 0 {
            global.remark(
                "found \(fixed(100 * recall.share, 1)) % of the true neighbors of \(recall.queries) "
                    + (recall.queries == 1 ? "query" : "queries") + "; --exact finds all")
        }
        try sink.finish(
            members: [
                ("search", .string(mode == .exact ? "exact" : mode == .rounded ? "rounded" : "graph")),
                ("recall", recall.map { .number($0.share) } ?? .null),
                ("recall_queries", .integer(recall?.queries ?? 0)),
                ("recall_of_index", index.graph?.recall.map { .number($0) } ?? .null),
                ("device", .string(opened.identity.name)), ("device_model", .string(opened.identity.model)),
                ("similarity", .string(index.similarity.rawValue)), ("vectors", .integer(index.count)),
                ("dimensions", .integer(index.dimensions)), ("queries", .integer(total)), ("count", .integer(count)),
                (
                    "seconds",
                    .object([
                        ("load", .number(loaded - began)), ("prepare", .number(prepared - loaded)),
                        ("compile", .number(opened.compileSeconds)), ("search", .number(seconds)),
                    ])
                ),
                ("queries_per_second", .number(Double(total) / max(seconds, 1e-9))),
                ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
            ])
    }
}

extension VectorSimilarityRun {
    /// The share of the true neighbors that the first queries found; nil for an exact search.
    private func recall(
        of found: VectorMatches?, _ search: VectorSearch, _ queries: HostMatrix?, _ filter: VectorFilter,
        _ mode: VectorSearchMode
    ) throws -> (share: Double, queries: Int)? {
        guard mode != .exact, flags.recallQueries > 0, let found else { return nil }
        let asked = min(flags.recallQueries, found.rows.count / found.count)
        let first = VectorMatches(found, first: asked)
        let exact: VectorMatches
        if let queries {
            let part = HostMatrix(
                rows: asked, columns: queries.columns,
                elements: Array(queries.storage.elements[0..<asked * queries.columns]))
            exact = try search.search(part, count: count, filter: filter)
        } else {
            exact = try search.neighbors(of: 0..<asked, count: count, filter: filter)
        }
        return (first.recall(against: exact, isDistance: search.index.similarity == .euclidean), asked)
    }
}

/// Where matches go: a CSV file, a NumPy file of rows, JSON, or a table.
private struct MatchSink {
    private let index: VectorIndex
    private let queriesAreRows: Bool
    private let json: Bool
    private let output: String?
    private var file: AtomicFile?
    private var rows: [Int32] = []
    private var objects: [JSONValue] = []
    private var places = 0
    private var column: String { index.similarity == .euclidean ? "distance" : "similarity" }

    init(output: String?, index: VectorIndex, queriesAreRows: Bool, json: Bool) throws {
        (self.output, self.index, self.queriesAreRows, self.json) = (output, index, queriesAreRows, json)
        if let output, !output.hasSuffix(".npy") {
            file = try AtomicFile(path: output)
            try file?.write(CSV.row(["query", "rank", "match", column]))
        } else if output == nil && !json {
            Output.line("query,rank,match,\(column)")
        }
    }

    mutating func add(_ found: VectorMatches, queries: Range<Int>) throws {
        places = found.count
        if output?.hasSuffix(".npy") == true { rows += found.rows }
        for (place, query) in queries.enumerated() {
            let name = queriesAreRows ? index.name(query) : String(query)
            let matches = found.matches(of: place)
            if let file {
                for (rank, match) in matches.enumerated() {
                    try file.write(
                        CSV.row([name, String(rank + 1), index.name(match.row), "\(match.similarity)"]))
                }
            } else if output == nil && json {
                objects.append(
                    .object([
                        ("query", queriesAreRows && index.identifiers != nil ? .string(name) : .integer(query)),
                        (
                            "matches",
                            .array(
                                matches.map { match in
                                    .object([
                                        (
                                            "match",
                                            index.identifiers == nil
                                                ? .integer(match.row) : .string(index.name(match.row))
                                        ),
                                        (column, .number(Double(match.similarity))),
                                    ])
                                })
                        ),
                    ]))
            } else if output == nil {
                for (rank, match) in matches.enumerated() {
                    Output.line(
                        "\(CSV.field(name)),\(rank + 1),\(CSV.field(index.name(match.row))),\(match.similarity)")
                }
            }
        }
    }

    mutating func finish(members: [(String, JSONValue)]) throws {
        if let output, output.hasSuffix(".npy") {
            try NumPyFile.write(rows, rows: rows.count / max(places, 1), columns: places, to: output)
        }
        try file?.commit()
        if json {
            Output.json(
                .object(members + (output == nil ? [("similar", .array(objects))] : [("output", .optional(output))])))
        }
    }
}

extension VectorSimilarity: ExpressibleByArgument {}
