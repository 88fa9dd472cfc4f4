import ArgumentParser
import Core
import Tables

/// `apus synth`: data for trials.
struct SynthCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "synth", abstract: "Generate data for trials, tests and measurements.",
        subcommands: [SynthInteractionsCommand.self, SynthShopCommand.self])
}

/// `apus synth interactions`: a shop that does not exist.
struct SynthInteractionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "interactions",
        abstract: "Generate the interactions of a shop that does not exist, but could.",
        discussion: """
            Customers have tastes that drift, items have a popularity tail, trends and seasons. The same seed gives the \
            same file, for any number of threads. The columns are user,item,rating,time, or with --events \
            user,item,event,time with the events view, cart and purchase.
            """)

    @Option(help: "Number of users.")
    var users = 10_000

    @Option(help: "Number of items.")
    var items = 2_000

    @Option(help: "Number of rows.")
    var interactions = 500_000

    @Option(help: "Seed of all that is random.")
    var seed: UInt64 = 42

    @Option(help: "Number of tastes, 0 for one that suits the items.")
    var tastes = 0

    @Flag(help: "The third column is a rating (default), or a kind of event.")
    var values = ValuesFlag.ratings

    @Option(help: ArgumentHelp("File to write, CSV.", valueName: "file"))
    var output: String

    @Option(help: ArgumentHelp("File for the titles of the items, CSV.", valueName: "file"))
    var titles: String?

    @Option(help: ArgumentHelp("Folder for the truth behind the data.", valueName: "folder"))
    var truth: String?

    @OptionGroup var global: GlobalOptions

    enum ValuesFlag: String, EnumerableFlag {
        case ratings, events
    }

    func run() throws {
        var options = SyntheticInteractions.Options()
        options.users = users
        options.items = items
        options.interactions = interactions
        options.seed = seed
        options.tastes = tastes
        options.values = values == .ratings ? .ratings : .events
        options.threads = global.threads ?? 0
        MemoryMeter.start()
        let began = monotonicSeconds()
        let shop: SyntheticInteractions
        do {
            shop = try SyntheticInteractions(options)
        } catch let error as ParameterError {
            throw ParameterError("--" + error.parameter, error.reason)
        }
        let progress = ProgressDisplay(quiet: global.quiet)
        let complete = try shop.write(to: output, progress: progress.handler)
        ProgressDisplay.clearLine()
        guard complete else { throw Failure.Interrupted(message: "interrupted; \(output) was not written") }
        if let titles { try shop.writeTitles(to: titles) }
        if let truth { try shop.writeTruth(to: truth) }
        let seconds = monotonicSeconds() - began
        if global.json {
            Output.json(
                .object([
                    ("users", .integer(users)), ("items", .integer(items)), ("interactions", .integer(interactions)),
                    ("tastes", .integer(shop.options.tastes)), ("seed", .integer(Int(truncatingIfNeeded: seed))),
                    ("output", .string(output)), ("titles", .optional(titles)), ("truth", .optional(truth)),
                    ("seconds", .object([("generate", .number(seconds))])),
                    ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
                ]))
        } else {
            global.remark("wrote \(interactions) rows of \(users) users and \(items) items in \(duration(seconds))")
        }
    }
}
