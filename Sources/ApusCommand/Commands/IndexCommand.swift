import ArgumentParser
import Core
import Learners
import Tables

/// `apus index`
struct IndexCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "index", abstract: "Make an index of vectors, and change its rows.",
        discussion: """
            The index opens by memory map; searches are exact. With --approximate it also has a graph (HNSW), by which \
            `apus similar` finds nearly all neighbors in a small part of the time; the share that it finds is measured and \
            reported. Without --index a new one is made of --vectors. With it, --vectors are added (a name that is there is \
            replaced) and --remove takes rows out; the result goes to --output, or replaces the index.
            """)

    @Option(help: "Vectors: a NumPy file (.npy) of rows × columns.")
    var vectors: String?
    @Option(help: "A file with the name of each vector, one to a line.")
    var ids: String?
    @Option(help: "An index to change.")
    var index: String?
    @Option(help: "Names of rows to take out, separated by commas, or @FILE.")
    var remove: String?
    @Option(help: "How vectors are compared: cosine (default), dot, euclidean or pearson.")
    var similarity: VectorSimilarity?
    @Flag(help: "Link near rows in a graph, for approximate searches.")
    var approximate = false
    @Option(help: "Links of a row in the graph, 2 to 128 (twice as many on the lowest layer).")
    var links = GraphOptions().links
    @Option(name: .customLong("build-width"), help: "Rows in view while the links of a row are searched.")
    var buildWidth = GraphOptions().buildWidth
    @Option(name: .customLong("search-width"), help: "Rows in view during a search, unless it says otherwise.")
    var searchWidth = GraphOptions().searchWidth
    @Option(help: "Seed of the graph.")
    var seed: UInt64 = 42
    @Option(help: "The index file to write.")
    var output: String?
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard index != nil || (vectors != nil && output != nil) else {
            throw ValidationError("give --vectors and --output for a new index, or --index to change one")
        }
        guard index == nil || similarity == nil else {
            throw ValidationError("--similarity belongs to a new index; this one has its own")
        }
        guard index == nil || vectors != nil || remove != nil || approximate else {
            throw ValidationError("give --vectors to add, --remove or --approximate")
        }
        do { try graphOptions.validate() } catch { throw ValidationError(error.description) }
    }

    private var graphOptions: GraphOptions {
        var options = GraphOptions()
        (options.links, options.buildWidth, options.searchWidth, options.seed) = (links, buildWidth, searchWidth, seed)
        return options
    }

    func run() throws {
        let target = output ?? index ?? ""
        try OutputFolder.check(target)
        let threads = global.threads ?? Workers.processorCount
        let began = monotonicSeconds()
        let more = try vectors.map { path in try SimilarVectorFlags.about(path) { try NumPyFile(path: path).matrix() } }
        let names = try ids.map(SimilarVectorFlags.names)
        var (replaced, removed) = (0, 0)
        var result: VectorIndex
        if let index {
            result = try VectorIndex(path: index)
            if let remove {
                let list = try ModelSession.identifiers(remove, names: SmallTable.itemNames, role: "rows")
                try SimilarVectorFlags.about(index) { try result.remove(list) }
                removed = list.count
            }
            if let more {
                replaced = try SimilarVectorFlags.about(vectors ?? index) {
                    try result.add(more, identifiers: names, threads: threads)
                }
            }
        } else {
            result = try SimilarVectorFlags.about(vectors ?? "") {
                try VectorIndex(more!, similarity: similarity ?? .cosine, identifiers: names)
            }
        }
        if result.rounded == nil { result.round() }
        if approximate {
            try SimilarVectorFlags.about(vectors ?? index ?? "") {
                try result.buildGraph(
                    options: graphOptions, threads: threads, progress: ProgressDisplay(quiet: global.quiet).handler)
            }
            ProgressDisplay.clearLine()
        }
        try result.save(to: target, threads: threads)
        let rows = result.count - result.removed.count
        if global.json {
            Output.json(
                .object([
                    ("index", .string(target)), ("rows", .integer(rows)), ("dimensions", .integer(result.dimensions)),
                    ("similarity", .string(result.similarity.rawValue)), ("replaced", .integer(replaced)),
                    ("removed", .integer(removed)), ("graph", .bool(result.graph != nil)),
                    ("graph_compares", .optional(result.graph.map { $0.comparesCodes ? "codes" : "vectors" })),
                    ("recall", result.graph?.recall.map { .number($0) } ?? .null),
                    ("seconds", .object([("total", .number(monotonicSeconds() - began))])),
                ]))
        } else {
            Output.line(
                "\(target): \(rows) vectors of \(result.dimensions) elements, \(result.similarity.rawValue)"
                    + (replaced > 0 ? ", \(replaced) replaced" : "") + (removed > 0 ? ", \(removed) removed" : "")
                    + (result.graph == nil
                        ? ""
                        : ", with a graph"
                            + (result.graph?.recall.map { " (finds \(fixed(100 * $0, 1)) % of the ten nearest)" } ?? ""))
            )
        }
    }
}
