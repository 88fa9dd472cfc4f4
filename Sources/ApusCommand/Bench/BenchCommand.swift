import ArgumentParser
import Core

/// `apus bench`
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure devices, and compare them honestly.",
        discussion: """
            First the limits of each device are measured: multiply-adds, memory, launches, transfers. Then each case, \
            with compiling, transfers and computing apart; devices take turns. Nothing is tuned on the way.
            """,
        subcommands: BenchmarkCases.all.map { $0 as any ParsableCommand.Type }
            + [BenchAllCommand.self, BenchMergeCommand.self])
}

/// `apus bench all`
struct BenchAllCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "all", abstract: "All benchmarks, one after the other.")

    @Flag(help: "Small sizes: some seconds in all.")
    var quick = false
    @Option(help: "A file of interactions of your own, for the learners.")
    var interactions: String?
    @OptionGroup var flags: BenchmarkFlags

    func run() throws {
        let cases = try BenchmarkCases.all.map { benchmark -> any BenchmarkCase in
            var arguments = benchmark.arguments(quick: quick) + ["--runs", String(flags.runs)]
            if let interactions, benchmark.readsInteractions { arguments += ["--interactions", interactions] }
            if flags.global.quiet { arguments.append("--quiet") }
            return try benchmark.parse(arguments)
        }
        try BenchmarkRun(flags: flags, cases: cases).run()
    }
}

/// `apus bench merge`
struct BenchMergeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge", abstract: "Join records of several runs or machines into one table and plot.")

    @Argument(help: "Files written by `apus bench --output`.")
    var files: [String]
    @Option(help: "Write all records to this file, as JSON.")
    var output: String?
    @Option(help: "Draw a roofline and bars per device into this SVG file.")
    var plot: String?
    @Flag(help: "Standard output is one JSON object.")
    var json = false

    func run() throws {
        for path in [output, plot].compactMap({ $0 }) { try OutputFolder.check(path) }
        let merged = BenchmarkFile(records: try files.flatMap { try BenchmarkFile.read($0).records })
        if let output { try merged.write(to: output) }
        if let plot { try BenchmarkPlot(records: merged.records).write(to: plot) }
        if json {
            Output.line(merged.text)
        } else {
            BenchmarkTable.print(merged.records)
        }
    }
}
