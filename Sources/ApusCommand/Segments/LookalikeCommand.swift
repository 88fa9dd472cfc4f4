import ArgumentParser
import Core
import Learners

/// `apus lookalike`
struct LookalikeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lookalike", abstract: "Rank customers by how much they are like those of a list.",
        discussion: """
            --method neighbors scores a customer by the mean cosine to the most similar people of the list, so that \
            several kinds of people may be on it; centroid by the cosine to the mean of the list.
            """)

    @OptionGroup var data: SegmentDataFlags
    @Option(help: "Customers to be like: names separated by commas, or @FILE with one to a line.")
    var seeds: String
    @Option(help: "How many to find (default: everybody).")
    var count: Int?
    @Option(help: "neighbors or centroid.")
    var method = Lookalike.Method.neighbors
    @Option(help: "People of the list that count for a customer.")
    var neighbors = 10
    @Option(name: .customLong("on-unknown"), help: "Customers of the list that are not in the data: fail or skip.")
    var onUnknown = UnknownRule.fail
    @Option(help: "Write customers and scores to this CSV file.")
    var output: String?
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    enum UnknownRule: String, ExpressibleByArgument { case fail, skip }

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count must be 1 or more, not \(count)") }
        guard neighbors >= 1 else { throw ValidationError("--neighbors must be 1 or more, not \(neighbors)") }
    }

    func run() throws {
        if let output { try OutputFolder.check(output) }
        let (input, _, path) = try data.read(global)
        if let remark = input.remark { global.remark(remark) }
        let names = try ModelSession.identifiers(
            seeds, names: ["customer", "customer_id", "user", "id"], role: "customers")
        var rows: [String: Int] = [:]
        for row in 0..<input.matrix.rows { rows[input.name(row)] = row }
        let unknown = names.filter { rows[$0] == nil }
        guard unknown.isEmpty || onUnknown == .skip else {
            throw DataError(
                "\(unknown.count) of \(names.count) customers of the list are not in the data, \(unknown.prefix(3).joined(separator: ", ")) "
                    + "for example; --on-unknown skip leaves them out", file: path)
        }
        if !unknown.isEmpty {
            global.remark("\(unknown.count) of \(names.count) customers of the list are not in the data")
        }
        let known = names.compactMap { rows[$0] }
        guard !known.isEmpty else { throw DataError("no customer of the list is in the data", file: path) }
        let ranked = try Lookalike.rank(
            input.matrix, seeds: known, method: method, neighbors: neighbors,
            stream: deviceOption.open(global).makeStream()
        ).prefix(count ?? .max)
        if let output {
            let file = try AtomicFile(path: output)
            try file.write(CSV.row(["customer", "score"]))
            for one in ranked { try file.write(CSV.row([input.name(one.row), "\(one.score)"])) }
            try file.commit()
        }
        if global.json {
            Output.json(
                .object([
                    ("seeds", .integer(Set(known).count)), ("unknown", .integer(unknown.count)),
                    ("method", .string(method.rawValue)), ("found", .integer(ranked.count)),
                    ("output", .optional(output)),
                    (
                        "customers",
                        output != nil
                            ? .null
                            : .array(
                                ranked.map {
                                    .object([
                                        ("customer", .string(input.name($0.row))), ("score", .number(Double($0.score))),
                                    ])
                                })
                    ),
                ]))
        } else if output == nil {
            Output.table(
                ["rank", "customer", "score"],
                ranked.enumerated().map { [String($0 + 1), input.name($1.row), fixed(Double($1.score), 4)] })
        } else {
            Output.line("\(output ?? ""): \(ranked.count) customers")
        }
    }
}

extension Lookalike.Method: ExpressibleByArgument {}
