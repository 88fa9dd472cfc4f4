import ArgumentParser
import Core
import Learners
import Tables

/// `apus recommend`
struct RecommendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recommend", abstract: "Recommend items to users of a model, or to a new user by a list of items.",
        discussion: """
            What a user has is left out unless --include-seen. A user that the model does not know gets popular items, \
            and the answer says so. Lists are a,b,c or @FILE.
            """)

    @Option(help: "The model file.")
    var model: String
    @Option(help: "One user, or several: a,b,c or @FILE.")
    var user: String?
    @Flag(name: .customLong("all-users"), help: "Everyone in the model.")
    var allUsers = false
    @Option(help: "A new user, by the items that they have: a,b,c or @FILE.")
    var items: String?
    @Option(help: "Recommendations for each user.")
    var count = 10
    @Option(help: "Items never to recommend: a,b,c or @FILE.")
    var exclude: String?
    @Option(help: "The only items to recommend: a,b,c or @FILE.")
    var only: String?
    @Flag(name: .customLong("include-seen"), help: "Do not leave out what the user has.")
    var includeSeen = false
    @OptionGroup var names: ItemNameFlags
    @Flag(help: "Name the user's own items that carried each recommendation, with their shares.")
    var explain = false
    @Option(help: "Write a CSV file (user,rank,item,score,reason) instead of printing.")
    var output: String?
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard count >= 1 else { throw ValidationError("--count must be 1 or more, not \(count)") }
        guard [user != nil, allUsers, items != nil].count(where: { $0 }) == 1 else {
            throw ValidationError("give one of --user, --all-users and --items")
        }
    }

    func run() throws {
        if let output { try OutputFolder.check(output) }
        let session = try ModelSession(path: model, names: names, device: deviceOption, global: global)
        let filter = ItemFilter(
            excluded: Set(try exclude.map(session.items) ?? []), allowed: try only.map { Set(try session.items($0)) })
        let answers = try answers(session, filter)
        if let output {
            try write(answers, session, to: output)
        } else if global.json {
            Output.json(.object([("model", .string(model)), ("users", .array(answers.map { json($0, session) }))]))
        } else {
            for answer in answers { try show(answer, session) }
        }
    }

    /// The recommendations of one person.
    private struct Answer {
        let user: String
        /// Why popular items were given; nil for an answer of the model's own.
        let remark: String?
        let items: [(item: Int32, score: Float)]
        let history: [(item: Int32, value: Float)]
    }

    private func answers(_ session: ModelSession, _ filter: ItemFilter) throws -> [Answer] {
        if let items {
            let history = try Set(session.items(items)).sorted()
            let matrix = HostSparseMatrix(
                rows: 1, columns: session.model.items.count, entries: history.map { (0, Int($0), 1) })
            let top = try session.recommender.topItems(
                for: .histories(matrix), count: count, exclusions: includeSeen ? nil : matrix, filter: filter)
            return [
                answer("new user", top.row(0), history: history.map { ($0, 1) }, try popular(session, filter, history))
            ]
        }
        let names =
            allUsers
            ? session.model.users.strings
            : try ModelSession.identifiers(user ?? "", names: SmallTable.userNames, role: "users")
        let known = names.compactMap { session.model.users.index(of: $0).map { Int32($0) } }
        let top = try session.recommender.topItems(
            for: .users(known), count: count,
            exclusions: includeSeen
                ? nil
                : known.count == session.model.users.count && allUsers
                    ? session.model.seen : session.model.seen.selectingRows(known), filter: filter)
        let popular = try popular(session, filter, [])
        var answers: [Answer] = []
        var place = 0
        for name in names {
            try Interruption.check()
            guard let index = session.model.users.index(of: name) else {
                answers.append(
                    Answer(user: name, remark: "unknown user: popular items", items: popular, history: []))
                continue
            }
            let row = top.row(place)
            place += 1
            if row.isEmpty {
                let history = session.model.history(of: index).map(\.item)
                answers.append(answer(name, row, history: [], try self.popular(session, filter, history)))
            } else {
                answers.append(answer(name, row, history: explain ? session.model.history(of: index) : [], []))
            }
        }
        return answers
    }

    /// What the model says, or popular items when nothing that it learned speaks for any.
    private func answer(
        _ user: String, _ items: [(item: Int32, score: Float)], history: [(item: Int32, value: Float)],
        _ popular: [(item: Int32, score: Float)]
    ) -> Answer {
        items.isEmpty
            ? Answer(user: user, remark: "nothing to go by: popular items", items: popular, history: [])
            : Answer(user: user, remark: nil, items: items, history: history)
    }

    private func popular(
        _ session: ModelSession, _ filter: ItemFilter, _ history: [Int32]
    ) throws -> [(item: Int32, score: Float)] {
        let exclusions = HostSparseMatrix(
            rows: 1, columns: session.model.items.count, entries: history.map { (0, Int($0), 1) })
        return try PopularItems(counts: session.itemCounts).topItems(
            for: .histories(exclusions), count: count, exclusions: includeSeen ? nil : exclusions, filter: filter
        ).row(0)
    }

    private func show(_ answer: Answer, _ session: ModelSession) throws {
        Output.line("\(answer.user)\(answer.remark.map { " (\($0))" } ?? "")")
        var rows: [[String]] = []
        for (rank, entry) in answer.items.enumerated() {
            rows.append(
                [String(rank + 1)] + session.fields(.items, entry.item) + [fixed(Double(entry.score), 4)])
        }
        Output.table(["rank"] + session.header(.items) + ["score"], rows)
        guard explain else { return }
        for entry in answer.items where !answer.history.isEmpty {
            let parts = try session.recommender.explain(item: entry.item, history: answer.history).prefix(3)
            let reasons = parts.map { "\(session.model.title(of: Int($0.item))) \(fixed(100 * $0.share, 0)) %" }
            Output.line("\(session.model.title(of: Int(entry.item))): because of \(reasons.joined(separator: ", "))")
        }
    }

    private func json(_ answer: Answer, _ session: ModelSession) -> JSONValue {
        .object([
            ("user", .string(answer.user)),
            ("known", .bool(answer.remark == nil)),
            ("remark", .optional(answer.remark)),
            (
                "recommendations",
                .array(
                    answer.items.map { entry in
                        var members = session.members(item: entry.item)
                        members.append(("score", .number(Double(entry.score))))
                        if explain, !answer.history.isEmpty,
                            let parts = try? session.recommender.explain(item: entry.item, history: answer.history)
                        {
                            members.append(
                                (
                                    "because",
                                    .array(
                                        parts.prefix(5).map {
                                            .object(
                                                session.members(item: $0.item) + [
                                                    ("contribution", .number($0.contribution)),
                                                    ("share", .number($0.share)),
                                                ])
                                        })
                                ))
                        }
                        return .object(members)
                    })
            ),
        ])
    }

    private func write(_ answers: [Answer], _ session: ModelSession, to path: String) throws {
        let file = try AtomicFile(path: path)
        let titled = session.model.itemTitles != nil
        try file.write(CSV.row(["user", "rank", "item"] + (titled ? ["title"] : []) + ["score", "reason"]))
        for answer in answers {
            try Interruption.check()
            var text = ""
            let name = CSV.field(answer.user)
            for (rank, entry) in answer.items.enumerated() {
                text += "\(name),\(rank + 1),\(CSV.field(session.model.items[Int(entry.item)])),"
                if titled { text += CSV.field(session.model.itemTitles?[Int(entry.item)] ?? "") + "," }
                text += "\(entry.score),\(answer.remark ?? "model")\n"
            }
            try file.write(text)
        }
        try file.commit()
        global.remark("\(path): recommendations for \(answers.count) users")
        if global.json {
            Output.json(
                .object([("output", .string(path)), ("users", .integer(answers.count)), ("count", .integer(count))]))
        }
    }
}
