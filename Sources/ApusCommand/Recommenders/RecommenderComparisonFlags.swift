import ArgumentParser
import Compute
import Core
import Devices
import Learners
import Tables

/// The comparison of recommenders, for `apus compare --interactions`.
struct RecommenderComparisonFlags: ParsableArguments {
    @Option(help: "The recommenders, separated by commas.")
    var recommenders = "popular,neighbors,ease,als,bpr"
    @Option(
        name: .customLong("trials"), help: "Forms of each recommender that are tried at most; 1 takes the defaults.")
    var trials = 4
    @Option(name: .customLong("order-by"), help: "Figure to choose and order by, such as ndcg@100 or recall@20.")
    var metric = "ndcg@100"
    @Option(help: "k of the metrics, separated by commas.")
    var cutoffs = "10,20,50,100"

    func validate() throws {
        guard trials >= 1 else { throw ValidationError("--trials must be 1 or more, not \(trials)") }
        guard !parsedCutoffs.isEmpty, parsedCutoffs.allSatisfy({ $0 >= 1 }) else {
            throw ValidationError("--cutoffs expects numbers from 1 up, such as 10,20")
        }
        for name in names where !RecommenderTrials.names.contains(name) {
            throw ValidationError(
                "--recommenders: `\(name)` is not one of \(RecommenderTrials.names.joined(separator: ", "))")
        }
        guard !names.isEmpty, Set(names).count == names.count else {
            throw ValidationError("--recommenders expects different names, such as popular,als")
        }
        do { _ = try RecommenderEvaluator.parse(metric) } catch { throw ValidationError("--order-by: \(error.reason)") }
    }

    private var parsedCutoffs: [Int] { cutoffs.split(separator: ",").map { Int($0) ?? 0 } }
    private var names: [String] { recommenders.split(separator: ",").map(String.init) }

    func run(
        _ path: String, reading: ReadingFlags, splitting: SplitFlags, attributes: AttributeFlags, seed: UInt64,
        deviceOption: DeviceOption, global: GlobalOptions
    ) throws {
        MemoryMeter.start()
        let started = monotonicSeconds()
        let table = try attributes.read(global)
        let device = try deviceOption.open(global)
        let stream = try device.makeStream()
        let progress = ProgressDisplay(quiet: global.quiet)
        let data = try reading.read(
            path, needsTimes: splitting.needsTimes || names.contains { ["recent", "sasrec", "gru"].contains($0) },
            global,
            progress)
        let loaded = monotonicSeconds()
        let candidates = try names.map {
            try RecommenderTrials.candidate(
                $0, seed: seed, confidence: reading.confidence(data.report), attributes: table,
                memoryLimitBytes: global.memoryLimit?.bytes)
        }
        let split = splitting.options(data.report, seed: seed)
        var comparison = RecommenderComparison(candidates, split: split)
        comparison.trials = trials
        comparison.metric = metric
        comparison.cutoffs = parsedCutoffs
        let newItems = (table?.items ?? []).filter { data.items.index(of: $0) == nil }
        let items = newItems.isEmpty ? nil : IdentifierIndex(data.items.strings + newItems)
        let entries = try comparison.run(data, items: items, stream: stream, progress: progress.handler) { name in
            ProgressDisplay.clearLine()
            global.remark("\(name) …")
        }
        ProgressDisplay.clearLine()
        let finished = monotonicSeconds()
        let warning =
            split.kind == .leaveLastOut
            ? "leave-last-out learns from what other users did after the interaction to be found" : nil
        if let warning { global.remark("warning: \(warning)") }
        if global.json {
            Output.json(
                .object([
                    ("device", .string(device.identity.name)), ("device_model", .string(device.identity.model)),
                    ("threads", .integer(device.limits.computeUnits)),
                    ("seed", .integer(Int(truncatingIfNeeded: seed))), ("split", .string(split.kind.rawValue)),
                    ("trials", .integer(trials)), ("order_by", .string(metric)),
                    ("users", .integer(data.users.count)), ("items", .integer(items?.count ?? data.items.count)),
                    ("interactions", .integer(data.count)),
                    ("recommenders", .array(entries.map(json))), ("warning", .optional(warning)),
                    (
                        "seconds",
                        .object([
                            ("load", .number(loaded - started)), ("prepare", 0),
                            ("compile", .number(device.compileSeconds)),
                            ("train", .number(entries.reduce(0) { $0 + $1.seconds.tune + $1.seconds.train })),
                            ("evaluate", .number(entries.reduce(0) { $0 + $1.seconds.evaluate })),
                            ("per_iteration", .array([])), ("total", .number(finished - started)),
                        ])
                    ), ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
                ]))
        } else {
            show(entries)
        }
    }

    private func show(_ entries: [RecommenderComparison.Entry]) {
        let shown = [metric] + ["ndcg@100", "recall@20", "coverage@20"].filter { $0 != metric }
        let present = shown.filter { name in entries.contains { $0[name] != nil } }
        func figure(_ value: MetricValue?) -> [String] {
            value.map { [fixed($0.value, 4), "\(fixed($0.low, 4)) – \(fixed($0.high, 4))"] } ?? ["", ""]
        }
        Output.table(
            ["rank", "recommender"] + present.flatMap { [$0, "95 % interval"] } + ["tune s", "train s", "evaluate s"],
            entries.enumerated().map { place, entry in
                [entry.failure == nil ? String(place + 1) : "", entry.name] + present.flatMap { figure(entry[$0]) } + [
                    fixed(entry.seconds.tune, 2), fixed(entry.seconds.train, 2), fixed(entry.seconds.evaluate, 2),
                ]
            })
        Output.line("")
        for entry in entries {
            Output.line("\(entry.name): " + (entry.failure.map { "no figures: \($0)" } ?? entry.label))
        }
        Output.line("\(entries.map(\.evaluated).max() ?? 0) people held out, \(trials) trials each at most")
    }

    private func json(_ entry: RecommenderComparison.Entry) -> JSONValue {
        .object([
            ("name", .string(entry.name)), ("kind", .string(entry.kind)),
            ("configuration", .object(entry.facts.map { ($0.name, JSONValue($0.value)) })),
            ("label", .string(entry.label)),
            ("metrics", .object(entry.metrics.map { ($0.name, .number($0.value.value)) })),
            (
                "intervals",
                .object(entry.metrics.map { ($0.name, .array([.number($0.value.low), .number($0.value.high)])) })
            ),
            ("evaluated", .integer(entry.evaluated)), ("failure", .optional(entry.failure)),
            (
                "trials",
                .array(
                    entry.trials.map {
                        .object([
                            ("label", .string($0.label)), ("figure", $0.figure.map { .number($0) } ?? .null),
                            ("seconds", .number($0.seconds)),
                        ])
                    })
            ),
            (
                "seconds",
                .object([
                    ("tune", .number(entry.seconds.tune)), ("train", .number(entry.seconds.train)),
                    ("evaluate", .number(entry.seconds.evaluate)),
                ])
            ),
        ])
    }
}
