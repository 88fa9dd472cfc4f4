import ArgumentParser

/// `apus compare`
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Judge learners of a table, or recommenders, against each other.",
        discussion: """
            `apus compare --data FILE --target COLUMN` compares learners on the same folds, `apus compare --interactions \
            FILE` recommenders on the same split; the subcommand may be left out.
            """,
        subcommands: [CompareLearnersCommand.self, CompareRecommendersCommand.self],
        defaultSubcommand: CompareLearnersCommand.self)

    /// Names the subcommand that the flags speak for, where it was left out.
    static func route(_ arguments: [String]) -> [String] {
        guard arguments.first == "compare", arguments.count > 1, arguments[1].hasPrefix("-"),
            !["-h", "--help", "--help-hidden"].contains(arguments[1])
        else { return arguments }
        let asksForItems = arguments.contains { $0 == "--interactions" || $0.hasPrefix("--interactions=") }
        return [arguments[0], asksForItems ? "recommenders" : "learners"] + arguments.dropFirst()
    }
}
