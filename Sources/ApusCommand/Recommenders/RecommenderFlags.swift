import ArgumentParser
import Core
import Learners
import Tables

/// What every training of a recommender is asked, but for the kind's own parameters.
struct RecommenderFlags: ParsableArguments {
    @OptionGroup var data: InteractionFlags
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    @Option(help: "Seed of everything random.")
    var seed: UInt64 = 42
    @OptionGroup var splitting: SplitFlags
    @Flag(help: "Train once more on everything after the evaluation.")
    var refit = false
    @OptionGroup var names: TrainingItemNameFlags
    @Option(help: "The model file to write.")
    var output: String
}

/// What is held out.
struct SplitFlags: ParsableArguments {
    @Option(help: "What is held out: time (default where there are times), random, users, leave-last-out, none.")
    var split: SplitKind?
    @Option(name: .customLong("test-fraction"), help: "Share that is held out (users: of each held-out history).")
    var testFraction = 0.2
    @Option(name: .customLong("held-out-users"), help: "Share of the users held out by --split users.")
    var heldOutUsers = 0.1

    var needsTimes: Bool { split == nil || split == .time || split == .leaveLastOut }

    func options(_ report: ReadReport, seed: UInt64) -> SplitOptions {
        SplitOptions(
            kind: split ?? (report.hasTimeColumn ? .time : .random), seed: seed, testFraction: testFraction,
            heldOutUserFraction: heldOutUsers)
    }
}

extension ReadingFlags {
    /// How values become weights where nobody says: as evidence that was weighted already, as a mark of what is
    /// positive, or as a count.
    func confidence(_ report: ReadReport) -> ConfidenceRule {
        if !eventWeights.isEmpty { return .linear }
        return minimumValue != nil || report.columnsByRole["value"] == nil ? .constant : .log
    }
}

extension RecommenderFlags {
    /// Reads, trains, evaluates, saves and reports.
    func run(
        _ learner: (ReadReport) throws -> any RecommenderLearner, needsTimes: Bool = false,
        configure: (inout RecommenderFitting, Interactions) throws -> Void = { _, _ in }
    ) throws {
        try OutputFolder.check(output)
        MemoryMeter.start()
        let progress = ProgressDisplay(quiet: global.quiet)
        let started = monotonicSeconds()
        let device = try deviceOption.open(global)
        let stream = try device.makeStream()
        let interactions = try data.read(needsTimes: needsTimes || splitting.needsTimes, global, progress)
        var fitting = RecommenderFitting(try learner(interactions.report))
        fitting.split = splitting.options(interactions.report, seed: seed)
        fitting.refit = refit
        fitting.request = ["arguments": CommandLine.arguments.dropFirst().joined(separator: "\u{1F}")]
        try configure(&fitting, interactions)
        let items =
            fitting.newItems.isEmpty
            ? interactions.items : IdentifierIndex(interactions.items.strings + fitting.newItems)
        fitting.itemTitles = try names.titles(
            for: items, interactions: data.interactions, reading: data.reading, report: interactions.report,
            global: global)
        let loaded = monotonicSeconds()
        let result = try fitting.run(interactions, stream: stream, progress: progress.handler)
        ProgressDisplay.clearLine()
        let saveStarted = monotonicSeconds()
        try result.model.save(to: output)
        let finished = monotonicSeconds()
        if let warning = result.warning { global.remark("warning: \(warning)") }
        RecommenderReport(
            flags: self, result: result, device: device, interactions: interactions.count,
            loadSeconds: loaded - started, saveSeconds: finished - saveStarted, totalSeconds: finished - started
        ).print()
    }
}
