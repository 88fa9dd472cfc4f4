import ArgumentParser
import Charts
import Compute
import Core
import Devices
import Learners
import Tables

/// `apus segment`
struct SegmentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "segment", abstract: "Divide customers into segments, and say what sets each apart.",
        discussion: """
            A table in, labels and descriptions out: K-means on standardised numbers and columns of 0 and 1 for \
            categories. With a range of --clusters the number of the highest silhouette is taken. Segments are numbered \
            by size; with --like they keep the numbers of an earlier model's. Effects are Cohen's d (numbers) and h \
            (shares) against everybody else, with 95 % intervals.
            """)

    @OptionGroup var data: SegmentDataFlags
    @OptionGroup var division: DivisionFlags
    @Option(help: "Starts of each, of which the best is kept.")
    var restarts = 10
    @Option(help: "Column whose sum is the revenue, for shares (with --rfm: spending).")
    var revenue: String?
    @Option(help: "A model of segments whose numbers are to be kept.")
    var like: String?
    @Option(help: "Write the segment of every row to this file: CSV, or NumPy (.npy).")
    var output: String?
    @Option(help: "Write descriptions and pictures to this HTML file.")
    var report: String?
    @Option(help: "Draw the segments along two principal components into this SVG file.")
    var plot: String?
    @Option(help: "Write the model, for `apus predict`.")
    var model: String?
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard restarts >= 1 else { throw ValidationError("--restarts must be 1 or more, not \(restarts)") }
    }

    func run() throws {
        for path in [output, report, plot, model].compactMap({ $0 }) { try OutputFolder.check(path) }
        MemoryMeter.start()
        let began = monotonicSeconds()
        let earlier = try like.map { try SegmentModel(path: $0) }
        let (input, money, path) = try data.read(global)
        if let remark = data.rfm ? "recency, frequency and spending are logarithms, standardised" : input.remark {
            global.remark(remark)
        }
        let loaded = monotonicSeconds()
        let device = try deviceOption.open(global)
        let stream = try device.makeStream()
        var options = KMeansOptions()
        options.distance = division.distance
        options.seed = division.seed
        options.restarts = restarts
        let (result, choice) = try SimilarVectorFlags.about(path) { try cluster(input, &options, stream) }
        ProgressDisplay.clearLine()
        let trained = monotonicSeconds()
        let ordered = try numbered(result, like: earlier)
        let described = try input.describedTable()
        var describer = SegmentDescriber(described, labels: ordered.labels, count: options.clusters)
        if data.rfm { describer.words = PurchaseSummary.words }
        let descriptions = describer.describe(
            distances: ordered.distances, identifiers: (0..<input.matrix.rows).map(input.name),
            revenue: revenue ?? money)
        if let revenue, described[revenue]?.numbers == nil {
            throw DataError("there is no column of numbers `\(revenue)`", file: path)
        }
        let picture = SegmentPicture(
            points: input.matrix, labels: ordered.labels, descriptions: descriptions, table: described, choice: choice)
        let components = try PrincipalComponents(input.matrix, count: 2, stream: stream)
        if let plot { try Self.write(picture.components(components).svg(), to: plot) }
        if let report { try Self.write(picture.page(components, path: path).rendered(), to: report) }
        if let output { try LabelFile.write(ordered.labels, input: input, to: output) }
        if let model {
            var provenance = ModelProvenance()
            provenance.describe(device, arguments: Array(CommandLine.arguments.dropFirst()))
            provenance.iterations = ordered.iterations
            try SegmentModel(
                result: ordered, options: options, features: input.names, recipe: input.recipe, provenance: provenance,
                segmentNames: descriptions.map(\.name)
            ).save(to: model)
        }
        let seconds: [(String, JSONValue)] = [
            ("load", .number(loaded - began)), ("train", .number(trained - loaded)),
            ("describe", .number(monotonicSeconds() - trained)), ("compile", .number(device.compileSeconds)),
        ]
        if global.json {
            Output.json(json(input, ordered, descriptions, choice, device, seconds))
        } else {
            print(input, ordered, descriptions, choice)
        }
    }

    private func cluster(
        _ input: PointsInput, _ options: inout KMeansOptions, _ stream: Compute.Stream
    ) throws -> (KMeansResult, ClusterChoice?) {
        let progress = ProgressDisplay(quiet: global.quiet).handler
        if division.clusters.range.count == 1 {
            options.clusters = division.clusters.range.lowerBound
            return (try KMeans(options: options, stream: stream).fit(input.matrix, progress: progress), nil)
        }
        var chooser = ClusterChooser()
        chooser.means = options
        let (choice, results) = try chooser.choose(
            input.matrix, range: division.clusters.range, stream: stream, progress: progress)
        options.clusters = choice.best
        return (results[choice.best - division.clusters.range.lowerBound], choice)
    }

    /// Numbered by size, or as an earlier model's segments.
    private func numbered(_ result: KMeansResult, like earlier: SegmentModel?) throws -> KMeansResult {
        if let earlier {
            guard earlier.centers.columns == result.centers.columns else {
                throw DataError(
                    "the model has \(earlier.centers.columns) features, the rows have \(result.centers.columns)",
                    file: like)
            }
            let numbers = SegmentMatching.numbers(of: result.centers, like: earlier.centers)
            guard numbers.sorted() == Array(numbers.indices) else {
                throw DataError(
                    "the model has \(earlier.centers.rows) segments; give --clusters \(earlier.centers.rows) to keep its numbers",
                    file: like)
            }
            return SegmentMatching.renumbered(result, numbers)
        }
        let order = result.sizes.indices.sorted { (-result.sizes[$0], $0) < (-result.sizes[$1], $1) }
        var numbers = [Int](repeating: 0, count: order.count)
        for (place, cluster) in order.enumerated() { numbers[cluster] = place }
        return SegmentMatching.renumbered(result, numbers)
    }

    static func write(_ text: String, to path: String) throws {
        let file = try AtomicFile(path: path)
        try file.write(text)
        try file.commit()
    }

    private func print(
        _ input: PointsInput, _ result: KMeansResult, _ all: [SegmentDescription], _ choice: ClusterChoice?
    ) {
        Output.line(
            "\(input.matrix.rows) rows, \(all.count) segments"
                + (choice.map {
                    " (silhouette \(fixed($0.candidates.first { $0.clusters == all.count }?.silhouette ?? .nan, 3)))"
                } ?? "")
                + ", \(fixed(100 * (1 - result.inertia / max(result.totalInertia, 1e-300)), 1)) % of the variance explained"
        )
        let withMoney = all.contains { $0.revenueShare != nil }
        Output.table(
            ["segment", "size", "share"] + (withMoney ? ["revenue"] : []) + ["name", "rule", "covers", "right"],
            all.map { one in
                [String(one.segment), String(one.size), fixed(100 * one.share, 1) + "%"]
                    + (withMoney ? [fixed(100 * (one.revenueShare ?? .nan), 1) + "%"] : [])
                    + [
                        one.name, one.rule, fixed(100 * one.ruleRecall, 0) + "%",
                        fixed(100 * one.rulePrecision, 0) + "%",
                    ]
            })
        for one in all {
            Output.line("")
            Output.line("\(one.segment) \(one.name): for example \(one.examples.joined(separator: ", "))")
            for difference in one.differences.prefix(4) { Output.line("  " + SegmentPicture.sentence(difference)) }
        }
        for path in [output, report, plot, model].compactMap({ $0 }) { global.remark("wrote \(path)") }
    }

    private func json(
        _ input: PointsInput, _ result: KMeansResult, _ all: [SegmentDescription], _ choice: ClusterChoice?,
        _ device: any Device, _ seconds: [(String, JSONValue)]
    ) -> JSONValue {
        .object([
            ("device", .string(device.identity.name)), ("rows", .integer(input.matrix.rows)),
            ("features", .array((input.names ?? []).map { .string($0) })), ("clusters", .integer(all.count)),
            ("inertia", .number(result.inertia)), ("iterations", .integer(result.iterations)),
            (
                "metrics",
                .object([("explained_variance", .number(1 - result.inertia / max(result.totalInertia, 1e-300)))])
            ),
            ("baselines", .object([("one_cluster", .object([("explained_variance", .number(0))]))])),
            ("choice", choice.map(ChooseClustersCommand.json) ?? .null),
            ("segments", .array(all.map(SegmentPicture.json))),
            ("seconds", .object(seconds)),
            ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
        ])
    }
}
