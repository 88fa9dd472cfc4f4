import ArgumentParser
import Core
import Learners

/// `apus similar`
struct SimilarCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "similar",
        abstract: "Find the items or users most similar to one, the neighbors of all, or the nearest vectors.",
        discussion: """
            With --model, as the model sees them: by the cosine of factors or attributes, by neighbors, by weights. \
            With --interactions, straight from the data: the --count neighbors of every user or item, or of one. \
            Among vectors (--vectors, --index), with --queries or for every row: exact, unless --approximate is given or the \
            index has a graph; then the share of the true neighbors that was found is measured on some queries.

            """ + SimilarityFlags.discussion)

    @Option(help: "The model file.")
    var model: String?
    @Option(help: "An item.")
    var item: String?
    @Option(help: "A user.")
    var user: String?
    @Option(help: "How many.")
    var count = 10
    @Option(
        help: """
            How two are compared: cosine (default), adjusted-cosine, pearson, pearson-all, jaccard, tfidf or bm25 with \
            --interactions; cosine (default), dot, euclidean or pearson with vectors.
            """)
    var similarity: SimilarityName?
    @OptionGroup var names: ItemNameFlags
    @OptionGroup var vectors: SimilarVectorFlags
    @OptionGroup var rows: SimilarRowsFlags
    @Option(help: "Write a CSV file (user or item,rank,neighbor,similarity) instead of printing; not with --model.")
    var output: String?
    @OptionGroup var reading: ReadingFlags
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard count >= 1 else { throw ValidationError("--count must be 1 or more, not \(count)") }
        guard [model, rows.interactions, vectors.vectors, vectors.index].compactMap({ $0 }).count == 1 else {
            throw ValidationError("give one of --model, --interactions, --vectors and --index")
        }
        if model != nil {
            guard (item != nil) != (user != nil) else { throw ValidationError("give --item or --user") }
            guard similarity == nil else { throw ValidationError("--similarity is the model's; train another") }
            guard output == nil else { throw ValidationError("--output goes with --interactions and vectors") }
            return
        }
        guard names.itemNames == nil else { throw ValidationError("--item-names goes with --model") }
        if rows.interactions != nil {
            guard item == nil || rows.between == .items, user == nil || rows.between == .users else {
                throw ValidationError("--user goes with --between users, --item with --between items")
            }
            try similarity?.check(.rows, "--interactions")
        } else {
            guard item == nil, user == nil else { throw ValidationError("--item and --user are not for vectors") }
            try similarity?.check(.vectors, "vectors")
        }
    }

    func run() throws {
        guard let model else {
            guard rows.interactions != nil else {
                return try VectorSimilarityRun(
                    flags: vectors, similarity: similarity?.ofVectors, count: count, output: output,
                    device: deviceOption, global: global
                ).run()
            }
            return try rows.run(
                rows.interactions ?? "", by: similarity?.ofRows ?? .cosine, of: item ?? user, count: count,
                output: output, reading: reading,
                deviceOption: deviceOption, global: global)
        }
        let session = try ModelSession(path: model, names: names, device: deviceOption, global: global)
        let side: RecommenderSide = item != nil ? .items : .users
        let row = try item.map(session.item) ?? session.user(user ?? "")
        let found = try session.recommender.similar(side, to: [row], count: count).row(0)
        func name(_ row: Int32) -> String {
            side == .items ? session.model.items[Int(row)] : session.model.users[Int(row)]
        }
        if global.json {
            Output.json(
                .object([
                    (side == .items ? "item" : "user", .string(name(row))),
                    (
                        "similar",
                        .array(
                            found.map { entry in
                                .object(
                                    (side == .items
                                        ? session.members(item: entry.item) : [("user", .string(name(entry.item)))])
                                        + [("similarity", .number(Double(entry.score)))])
                            })
                    ),
                ]))
        } else {
            Output.line(side == .items ? session.model.title(of: Int(row)) : name(row))
            Output.table(
                ["rank"] + session.header(side) + ["similarity"],
                found.enumerated().map { rank, entry in
                    [String(rank + 1)] + session.fields(side, entry.item) + [fixed(Double(entry.score), 4)]
                })
        }
    }
}

/// The name of a similarity: of rows of interactions, of vectors, or of both.
struct SimilarityName: ExpressibleByArgument {
    enum Kind { case rows, vectors }

    let ofRows: Similarity?
    let ofVectors: VectorSimilarity?
    private let name: String

    init?(argument: String) {
        (name, ofRows, ofVectors) = (argument, Similarity(rawValue: argument), VectorSimilarity(rawValue: argument))
        if ofRows == nil && ofVectors == nil { return nil }
    }

    static var allValueStrings: [String] {
        Similarity.allCases.map(\.rawValue)
            + VectorSimilarity.allCases.map(\.rawValue).filter { Similarity(rawValue: $0) == nil }
    }

    func check(_ kind: Kind, _ what: String) throws {
        guard (kind == .rows ? ofRows != nil : ofVectors != nil) else {
            let names = kind == .rows ? Similarity.allCases.map(\.rawValue) : VectorSimilarity.allCases.map(\.rawValue)
            throw ValidationError("--similarity \(name) is not for \(what): \(names.joined(separator: ", "))")
        }
    }
}
