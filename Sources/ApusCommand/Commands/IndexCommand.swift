import ArgumentParser
import Core
import Learners
import Tables

/// `apus index`
struct IndexCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "index", abstract: "Make an index of vectors, and change its rows.",
        discussion: """
            The index is exact; it opens by memory map. Without --index a new one is made of --vectors. With it, \
            --vectors are added (a name that is there is replaced) and --remove takes rows out; the result goes to \
            --output, or replaces the index.
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
    var metric: VectorSimilarity?
    @Option(help: "The index file to write.")
    var output: String?
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard index != nil || (vectors != nil && output != nil) else {
            throw ValidationError("give --vectors and --output for a new index, or --index to change one")
        }
        guard index == nil || metric == nil else {
            throw ValidationError("--metric belongs to a new index; this one has its own")
        }
        guard index == nil || vectors != nil || remove != nil else {
            throw ValidationError("give --vectors to add or --remove")
        }
    }

    func run() throws {
        let target = output ?? index ?? ""
        try OutputFolder.check(target)
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
                replaced = try SimilarVectorFlags.about(vectors ?? index) { try result.add(more, identifiers: names) }
            }
        } else {
            result = try SimilarVectorFlags.about(vectors ?? "") {
                try VectorIndex(more!, similarity: metric ?? .cosine, identifiers: names)
            }
        }
        try result.save(to: target)
        let rows = result.count - result.removed.count
        if global.json {
            Output.json(
                .object([
                    ("index", .string(target)), ("rows", .integer(rows)), ("dimensions", .integer(result.dimensions)),
                    ("similarity", .string(result.similarity.rawValue)), ("replaced", .integer(replaced)),
                    ("removed", .integer(removed)),
                ]))
        } else {
            Output.line(
                "\(target): \(rows) vectors of \(result.dimensions) elements, \(result.similarity.rawValue)"
                    + (replaced > 0 ? ", \(replaced) replaced" : "") + (removed > 0 ? ", \(removed) removed" : ""))
        }
    }
}
