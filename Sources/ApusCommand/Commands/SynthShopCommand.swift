import ArgumentParser
import Core
import Tables

/// `apus synth shop`: a whole small company.
struct SynthShopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shop",
        abstract: "Generate a small company: customers, products, orders, events, feedback, campaigns, and the truth.",
        discussion: """
            customers.csv has the labels churn and purchase, drawn from the effects in truth/effects.csv; the best that a \
            model can do is known from the probabilities in truth/customers.csv. Campaigns are randomized, and what they \
            change for whom is in truth/campaigns.csv. Feedback is in English and Chinese, its topics in truth/feedback.csv. \
            The same seed gives the same files.
            """)

    @Option(help: "Number of customers.")
    var customers = 2_000

    @Option(help: "Number of products.")
    var products = 200

    @Option(name: .customLong("events-per-customer"), help: "Views, carts and purchases of a customer, on average.")
    var events = 40

    @Option(help: "Number of campaigns.")
    var campaigns = 3

    @Option(help: "Days that the data spans.")
    var days = 730

    @Option(name: .customLong("chinese-share"), help: "Share of the feedback that is Chinese, 0 to 1.")
    var chineseShare = 0.25

    @Option(help: "Seed of all that is random.")
    var seed: UInt64 = 42

    @Option(help: ArgumentHelp("Folder to write to.", valueName: "folder"))
    var output: String

    @OptionGroup var global: GlobalOptions

    func run() throws {
        var options = SyntheticCompany.Options()
        options.customers = customers
        options.products = products
        options.eventsPerCustomer = events
        options.campaigns = campaigns
        options.days = days
        options.chineseShare = chineseShare
        options.seed = seed
        let began = monotonicSeconds()
        let company: SyntheticCompany
        do {
            company = try SyntheticCompany(options)
        } catch let error as ParameterError {
            let flags = ["eventsPerCustomer": "events-per-customer", "chineseShare": "chinese-share"]
            throw ParameterError("--" + (flags[error.parameter] ?? error.parameter), error.reason)
        }
        let written = try company.write(to: output, progress: ProgressDisplay(quiet: global.quiet).handler)
        ProgressDisplay.clearLine()
        if global.json {
            Output.json(
                .object([
                    ("output", .string(output)), ("seed", .integer(Int(truncatingIfNeeded: seed))),
                    ("rows", .object(written.rows.map { ($0.file, .integer($0.rows)) })),
                    ("seconds", .object([("generate", .number(monotonicSeconds() - began))])),
                ]))
        } else {
            let files = written.rows.map { "\($0.file) \($0.rows)" }.joined(separator: ", ")
            global.remark("wrote \(output) in \(duration(monotonicSeconds() - began)): \(files) rows")
        }
    }
}
