import ArgumentParser
import Charts
import Core
import Learners

/// `apus choose-clusters`
struct ChooseClustersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "choose-clusters", abstract: "Compare numbers of clusters: inertia, silhouette, gap, stability.",
        discussion: """
            Silhouettes (-1 to 1, higher is better) and gaps come with standard errors from a sample; stability is the \
            adjusted Rand index of clusterings of two random parts (1: the same clusters).
            """)

    @OptionGroup var data: SegmentDataFlags
    @OptionGroup var division: DivisionFlags
    @Option(help: "Rows of the sample for silhouettes, gaps and stability.")
    var sample = 2000
    @Option(help: "Draw the figures into this HTML file.")
    var report: String?
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard sample >= 10 else { throw ValidationError("--sample must be 10 or more, not \(sample)") }
    }

    func run() throws {
        if let report { try OutputFolder.check(report) }
        let (input, _, path) = try data.read(global)
        let device = try deviceOption.open(global)
        var chooser = ClusterChooser()
        chooser.sample = sample
        chooser.means.distance = division.distance
        chooser.means.seed = division.seed
        let choice = try SimilarVectorFlags.about(path) {
            try chooser.choose(
                input.matrix, range: division.clusters.range, stream: device.makeStream(),
                progress: ProgressDisplay(quiet: global.quiet).handler
            ).choice
        }
        ProgressDisplay.clearLine()
        if let report {
            var page = HTMLPage("Numbers of clusters for \(path)")
            for chart in Self.charts(choice) { page.picture(chart) }
            try SegmentCommand.write(page.rendered(), to: report)
        }
        if global.json {
            Output.json(Self.json(choice))
            return
        }
        Output.table(
            ["clusters", "inertia", "silhouette", "±", "gap", "±", "stability"],
            choice.candidates.map {
                [
                    String($0.clusters), fixed($0.inertia, 1), fixed($0.silhouette, 3), fixed($0.silhouetteError, 3),
                    fixed($0.gap, 3), fixed($0.gapError, 3), fixed($0.stability, 3),
                ]
            })
        Output.line(
            "highest silhouette: \(choice.best)" + (choice.bestByGap.map { "; by the gap: \($0)" } ?? ""))
    }

    static func charts(_ choice: ClusterChoice) -> [Chart] {
        func points(_ value: (ClusterChoice.Candidate) -> Double) -> [(x: Double, y: Double)] {
            choice.candidates.filter { value($0).isFinite }.map { (Double($0.clusters), value($0)) }
        }
        let axis = Axis("clusters")
        return [
            Chart(
                "Silhouette and stability", x: axis, y: Axis("", includesZero: true),
                series: [
                    ChartSeries("silhouette", .line(points { $0.silhouette })),
                    ChartSeries("stability", .line(points { $0.stability })),
                ]),
            Chart(
                "Inertia", x: axis, y: Axis("inertia", includesZero: true),
                series: [
                    ChartSeries("inertia", .line(points { $0.inertia }))
                ]),
            Chart(
                "Gap statistic", x: axis, y: Axis("gap"),
                series: [
                    ChartSeries("gap", .line(points { $0.gap })),
                    ChartSeries(
                        "one standard error",
                        .band(
                            choice.candidates.map { (Double($0.clusters), $0.gap - $0.gapError, $0.gap + $0.gapError) })
                    ),
                ]),
        ]
    }

    static func json(_ choice: ClusterChoice) -> JSONValue {
        .object([
            ("best", .integer(choice.best)), ("best_by_gap", choice.bestByGap.map { .integer($0) } ?? .null),
            (
                "candidates",
                .array(
                    choice.candidates.map {
                        .object([
                            ("clusters", .integer($0.clusters)), ("inertia", .number($0.inertia)),
                            ("silhouette", .number($0.silhouette)), ("silhouette_error", .number($0.silhouetteError)),
                            ("gap", .number($0.gap)), ("gap_error", .number($0.gapError)),
                            ("stability", .number($0.stability)),
                        ])
                    })
            ),
        ])
    }
}
