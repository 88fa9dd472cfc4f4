import ArgumentParser
import Charts
import Compute
import Core
import Devices
import Learners
import Tables

/// `apus train dbscan`
struct TrainDensityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dbscan", abstract: "Find clusters by density, and what belongs to none (DBSCAN).",
        discussion: """
            A row with at least --minimum-points rows within --radius, itself counted, is a core point; core points within \
            the radius of each other share a cluster. A row that is not core joins the cluster of the lowest number that \
            has a core point within the radius; the rest is noise, cluster -1. --k-distances draws the distance from each \
            row to its --minimum-points-th nearest: the radius belongs where the curve bends.
            """)

    @OptionGroup var points: PointsFlags
    @Option(help: "ε: the largest distance of neighbours.")
    var radius: Double?
    @Option(name: .customLong("minimum-points"), help: "Neighbours of a core point, itself counted.")
    var minimumPoints = 5
    @Option(name: .customLong("k-distances"), help: "Draw the curve by which a radius is chosen into this SVG file.")
    var kDistances: String?
    @Option(help: "Write the cluster of every row to this file: CSV, or NumPy (.npy).")
    var labels: String?
    @Option(help: "The model file to write.")
    var output: String?
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard points.data != nil else { throw ValidationError("give --data") }
        guard minimumPoints >= 1 else {
            throw ValidationError("--minimum-points must be 1 or more, not \(minimumPoints)")
        }
        guard radius != nil || kDistances != nil else {
            throw ValidationError("give --radius, or --k-distances to choose one")
        }
        if let radius, !(radius > 0 && radius.isFinite) {
            throw ValidationError("--radius must be a number above 0, not \(radius)")
        }
        guard output != nil || radius == nil else { throw ValidationError("give --output") }
    }

    func run() throws {
        for path in [output, labels, kDistances].compactMap({ $0 }) { try OutputFolder.check(path) }
        MemoryMeter.start()
        let began = monotonicSeconds()
        let path = points.data ?? ""
        let input = try points.read(path, global)
        if let remark = input.remark { global.remark(remark) }
        let loaded = monotonicSeconds()
        var suggested: Double?
        if let kDistances {
            suggested = try SimilarVectorFlags.about(path) { try drawDistances(input, to: kDistances) }
        }
        guard let radius, let output else {
            if global.json {
                Output.json(
                    .object([("k_distances", .optional(kDistances)), ("suggested_radius", .number(suggested ?? .nan))]))
            } else {
                Output.line("\(kDistances ?? ""): the curve bends near a radius of \(fixed(suggested ?? .nan, 4))")
            }
            return
        }
        var options = DensityOptions()
        options.radius = radius
        options.minimumPoints = minimumPoints
        options.threads = global.threads ?? 0
        let started = monotonicSeconds()
        let progress = ProgressDisplay(quiet: global.quiet)
        let result = try SimilarVectorFlags.about(path) {
            try DensityClustering(options: options).fit(input.matrix, progress: progress.handler)
        }
        ProgressDisplay.clearLine()
        let trained = monotonicSeconds()
        var provenance = ModelProvenance()
        provenance.configuration["arguments"] = CommandLine.arguments.dropFirst().joined(separator: "\u{1F}")
        try DensityModel(
            input.matrix, result: result, options: options, features: input.names, recipe: input.recipe,
            provenance: provenance
        ).save(to: output)
        if let labels { try LabelFile.write(result.labels, input: input, to: labels) }
        let core = result.isCore.count { $0 }
        if global.json {
            Output.json(
                .object([
                    ("model", .string(output)), ("device", "host"), ("rows", .integer(input.matrix.rows)),
                    ("columns", .integer(input.matrix.columns)), ("radius", .number(radius)),
                    ("minimum_points", .integer(minimumPoints)), ("clusters", .integer(result.clusters)),
                    ("noise", .integer(result.noise)), ("core_points", .integer(core)),
                    ("sizes", .array(result.sizes.map { .integer($0) })),
                    ("suggested_radius", suggested.map { .number($0) } ?? .null),
                    (
                        "seconds",
                        .object([
                            ("load", .number(loaded - began)), ("sort", .number(result.seconds.sort)),
                            ("cores", .number(result.seconds.cores)), ("join", .number(result.seconds.join)),
                            ("borders", .number(result.seconds.borders)), ("train", .number(trained - started)),
                            ("save", .number(monotonicSeconds() - trained)),
                        ])
                    ),
                    ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
                ]))
        } else {
            Output.line(
                "\(output): \(result.clusters) clusters of \(input.matrix.rows) rows, \(result.noise) noise, \(core) core points"
            )
            let sizes = result.sizes.sorted(by: >)
            Output.line(
                "largest: " + sizes.prefix(8).map(String.init).joined(separator: ", ") + (sizes.count > 8 ? ", …" : ""))
            Output.line(
                "seconds: load \(fixed(loaded - began, 2)), train \(fixed(trained - started, 3)); peak memory "
                    + byteSize(MemoryMeter.peakAnonymousBytes()))
        }
    }

    /// Draws the curve; answers where it bends most: the point farthest from the line between its ends.
    private func drawDistances(_ input: PointsInput, to path: String) throws -> Double {
        let stream = try deviceOption.open(global).makeStream()
        let search = try VectorSearch(VectorIndex(input.matrix, similarity: .euclidean), stream: stream)
        let n = input.matrix.rows
        let rows = n <= 4000 ? Array(0..<n) : (0..<4000).map { $0 * n / 4000 }
        let queries = HostMatrix(rows: rows.count, columns: input.matrix.columns)
        for (place, row) in rows.enumerated() {
            queries.row(place).baseAddress?.update(from: input.matrix.row(row).baseAddress!, count: queries.columns)
        }
        let count = min(minimumPoints, n)
        let found = try search.search(queries, count: count)
        let curve = rows.indices.map { Double(found.similarities[$0 * count + count - 1]) }.sorted()
        let (first, last) = (curve.first ?? 0, curve.last ?? 0)
        var (bend, farthest) = (0, -Double.infinity)
        for (place, value) in curve.enumerated() {
            let x = Double(place) / Double(max(curve.count - 1, 1))
            let y = last > first ? (value - first) / (last - first) : 0
            if x - y > farthest { (bend, farthest) = (place, x - y) }
        }
        let scale = Double(n) / Double(max(curve.count, 1))
        var series = [ChartSeries("distance", .line(curve.enumerated().map { (Double($0) * scale, $1) }))]
        series.append(
            ChartSeries("bend", .line([(0, curve[bend]), (Double(n), curve[bend])]), dashed: true))
        let chart = Chart(
            "Distance to the \(minimumPoints)-th nearest row", x: Axis("rows, nearest first"),
            y: Axis("distance", includesZero: true), series: series)
        let file = try AtomicFile(path: path)
        try file.write(chart.svg())
        try file.commit()
        return curve[bend]
    }
}

/// Clusters of rows in a file.
enum LabelFile {
    static func write(_ labels: [Int32], input: PointsInput, to path: String) throws {
        if path.hasSuffix(".npy") { return try NumPyFile.write(labels, to: path) }
        let file = try AtomicFile(path: path)
        try file.write(CSV.row([input.identifiers == nil ? "row" : "id", "cluster"]))
        for (row, label) in labels.enumerated() { try file.write(CSV.row([input.name(row), String(label)])) }
        try file.commit()
    }
}
