import ArgumentParser
import Core
import Learners

/// `apus similar`
struct SimilarCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "similar", abstract: "Find the items or users most similar to one, or the nearest vectors.",
        discussion: """
            Of a model: --item or --user, by the cosine of the factors. Among vectors: --vectors or --index, exact, with \
            --queries or for every row.
            """)

    @Option(help: "The model file.")
    var model: String?
    @Option(help: "An item.")
    var item: String?
    @Option(help: "A user.")
    var user: String?
    @Option(help: "How many.")
    var count = 10
    @OptionGroup var vectors: SimilarVectorFlags
    @Option(help: "Write a file instead of printing: CSV, or the rows found as NumPy (.npy) with vectors.")
    var output: String?
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard count >= 1 else { throw ValidationError("--count must be 1 or more, not \(count)") }
        guard [model, vectors.vectors, vectors.index].compactMap({ $0 }).count == 1 else {
            throw ValidationError("give one of --model, --vectors and --index")
        }
        guard model == nil || (item != nil) != (user != nil) else { throw ValidationError("give --item or --user") }
        guard model != nil || (item == nil && user == nil) else {
            throw ValidationError("--item and --user go with --model")
        }
        guard model == nil || output == nil else { throw ValidationError("--output goes with vectors") }
    }

    func run() throws {
        guard let model else {
            return try VectorSimilarityRun(
                flags: vectors, count: count, output: output, device: deviceOption, global: global
            ).run()
        }
        let session = try ModelSession(path: model, device: deviceOption, global: global)
        let side: FactorizationRecommender.Side = item != nil ? .items : .users
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
                ["rank", side == .items ? "item" : "user", "title", "similarity"],
                found.enumerated().map { rank, entry in
                    [
                        String(rank + 1), name(entry.item),
                        side == .items ? session.model.itemTitles?[Int(entry.item)] ?? "" : "",
                        fixed(Double(entry.score), 4),
                    ]
                })
        }
    }
}
