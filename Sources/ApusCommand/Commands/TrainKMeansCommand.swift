import ArgumentParser
import Compute
import Core
import Devices
import Learners
import Tables

/// `apus train kmeans`
struct TrainKMeansCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kmeans",
        abstract: "Find clusters of points by K-means.",
        discussion: """
            The points are shifted to their mean while they are worked on. An empty cluster gets the point that is \
            farthest from its centre. With a tolerance of 0 it ends when no centre moves, or after --iterations.
            """)

    @OptionGroup var points: PointsFlags
    @Option(help: "Number of clusters.")
    var clusters = 8
    @Option(help: "Most passes over the points.")
    var iterations = 100
    @Option(help: "End when the centres' squared movement falls to this share of the mean variance of the columns.")
    var tolerance = 0.0
    @Option(help: "Starts, of which the best is kept.")
    var restarts = 1
    @Option(help: "How the first centres are chosen: auto, k-means++, k-means|| or random.")
    var start = KMeansStart.auto
    @Option(name: .customLong("mini-batch"), help: "Rows of a batch drawn for each iteration; 0 for all rows.")
    var miniBatch = 0
    @Flag(help: "Read a NumPy file block by block in every pass (done anyway when it exceeds --memory-limit).")
    var streamed = false
    @Option(name: .customLong("initial-centers"), help: "The first centres: a NumPy file of clusters × columns.")
    var initialCenters: String?
    @Option(help: "A NumPy file with a weight for each point.")
    var weights: String?
    @Option(help: "euclidean, or cosine for directions (spherical K-means).")
    var distance = ClusterDistance.euclidean
    @Option(help: "Seed of everything random.")
    var seed: UInt64 = 42
    @Option(help: "Write the cluster of every row to this file: CSV, or NumPy (.npy).")
    var labels: String?
    @Option(help: "The model file to write.")
    var output: String
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard points.data != nil else { throw ValidationError("give --data") }
    }

    private var options: KMeansOptions {
        var options = KMeansOptions()
        options.clusters = clusters
        options.iterations = iterations
        options.tolerance = tolerance
        options.restarts = restarts
        options.start = start
        options.distance = distance
        options.miniBatch = miniBatch
        options.seed = seed
        return options
    }

    func run() throws {
        try options.validate()
        for path in [output, labels].compactMap({ $0 }) { try OutputFolder.check(path) }
        MemoryMeter.start()
        let began = monotonicSeconds()
        let device = try deviceOption.open(global)
        let stream = try device.makeStream()
        let data = points.data ?? ""
        let centers = try initialCenters.map { try NumPyFile(path: $0).matrix() }
        if try streams(data) {
            return try trainStreamed(data, centers, device, stream, began)
        }
        let input = try points.read(data, global)
        let points = input.matrix
        if let remark = input.remark { global.remark(remark) }
        let pointWeights = try weights.map { path -> [Float] in
            let matrix = try NumPyFile(path: path).matrix()
            guard matrix.rows == points.rows, matrix.columns == 1 else {
                throw DataError(
                    "there are \(points.rows) points; \(matrix.rows) × \(matrix.columns) weights", file: path)
            }
            return matrix.storage.array
        }
        let loaded = monotonicSeconds()
        let progress = ProgressDisplay(quiet: global.quiet)
        let result: KMeansResult
        do {
            result = try KMeans(options: options, stream: stream).fit(
                points, weights: pointWeights, initialCenters: centers, overwrites: true, progress: progress.handler)
        } catch let error as DataError where error.file == nil {
            throw DataError(error.reason, file: data)
        }
        ProgressDisplay.clearLine()
        let trained = monotonicSeconds()
        var provenance = ModelProvenance()
        provenance.describe(device, arguments: Array(CommandLine.arguments.dropFirst()))
        provenance.iterations = result.iterations
        try SegmentModel(
            result: result, options: options, features: input.names, recipe: input.recipe, provenance: provenance
        ).save(to: output)
        if let labels { try LabelFile.write(result.labels, input: input, to: labels) }
        let report = ClusteringReport(
            result: result, options: options, rows: points.rows, device: device, output: output,
            loadSeconds: loaded - began, trainSeconds: trained - loaded, saveSeconds: monotonicSeconds() - trained)
        if global.json { Output.json(report.json) } else { report.print() }
        if result.emptyClusters > 0 {
            global.remark(
                "warning: \(result.emptyClusters) clusters are empty: there are fewer different points than clusters")
        }
    }
}

extension TrainKMeansCommand {
    /// Whether the file is read in every pass: when asked for, or when it would not fit. Working memory is a copy on the
    /// device at most, and some bytes a row.
    private func streams(_ data: String) throws -> Bool {
        guard data.hasSuffix(".npy") else {
            if streamed { throw ValidationError("--streamed needs a NumPy file") }
            return false
        }
        let file = try NumPyFile(path: data)
        let needed = 4 * file.rows * file.columns + 32 * file.rows
        let limit = global.memoryLimit?.bytes ?? .max
        return streamed || needed > limit
    }

    private func trainStreamed(
        _ data: String, _ centers: HostMatrix?, _ device: any Device, _ stream: Compute.Stream, _ began: Double
    ) throws {
        if weights != nil || miniBatch > 0 {
            throw ValidationError("--weights and --mini-batch need the points in memory; this file is streamed")
        }
        let file = try NumPyFile(path: data)
        global.remark("\(byteSize(file.byteCount)) are read in every pass, block by block")
        let progress = ProgressDisplay(quiet: global.quiet)
        let blocks = min(32 << 20, (global.memoryLimit?.bytes ?? .max) / 8)
        let result = try SimilarVectorFlags.about(data) {
            try StreamedKMeans(options: options, stream: stream, blockBytes: blocks)
                .fit(file, initialCenters: centers, labels: labels != nil, progress: progress.handler)
        }
        ProgressDisplay.clearLine()
        let trained = monotonicSeconds()
        var provenance = ModelProvenance()
        provenance.describe(device, arguments: Array(CommandLine.arguments.dropFirst()))
        provenance.iterations = result.iterations
        try SegmentModel(result: result, options: options, features: nil, provenance: provenance).save(to: output)
        if let labels {
            let input = PointsInput(
                matrix: HostMatrix(rows: 0, columns: file.columns), identifiers: nil, table: nil, recipe: nil,
                names: nil)
            try LabelFile.write(result.labels, input: input, to: labels)
        }
        let report = ClusteringReport(
            result: result, options: options, rows: file.rows, device: device, output: output, loadSeconds: 0,
            trainSeconds: trained - began, saveSeconds: monotonicSeconds() - trained)
        if global.json { Output.json(report.json) } else { report.print() }
    }
}

extension KMeansStart: ExpressibleByArgument {}
extension ClusterDistance: ExpressibleByArgument {}

/// What `train kmeans` prints.
struct ClusteringReport {
    let result: KMeansResult
    let options: KMeansOptions
    let rows: Int
    let device: any Device
    let output: String
    let loadSeconds: Double
    let trainSeconds: Double
    let saveSeconds: Double

    private var prepareSeconds: Double { trainSeconds - result.iterationSeconds.reduce(0, +) }

    func print() {
        Output.line("\(output): \(options.clusters) clusters of \(rows) points × \(result.centers.columns)")
        Output.line(
            "inertia \(result.inertia) after \(result.iterations) iterations"
                + (result.converged ? ", converged" : "") + "; sizes \(result.sizes.min() ?? 0) to "
                + "\(result.sizes.max() ?? 0)" + (result.refilled > 0 ? "; \(result.refilled) refilled" : ""))
        let seconds = result.iterationSeconds
        let total = seconds.reduce(0, +)
        Output.line(
            "device \(device.identity.name) (\(device.identity.model)); seconds: load \(fixed(loadSeconds, 2)), prepare "
                + "\(fixed(prepareSeconds, 2)), compile \(fixed(device.compileSeconds, 2)), iterations "
                + "\(fixed(total, 2)) (\(duration(total / Double(max(seconds.count, 1)))) each); peak memory "
                + byteSize(MemoryMeter.peakAnonymousBytes()))
    }

    var json: JSONValue {
        .object([
            ("model", .string(output)),
            ("device", .string(device.identity.name)),
            ("device_model", .string(device.identity.model)),
            ("driver", .string(device.identity.driver)),
            ("threads", .integer(device.limits.computeUnits)),
            ("seed", .integer(Int(truncatingIfNeeded: options.seed))),
            ("clusters", .integer(options.clusters)),
            ("rows", .integer(rows)),
            ("columns", .integer(result.centers.columns)),
            ("distance", .string(options.distance.rawValue)),
            ("inertia", .number(result.inertia)),
            ("iterations", .integer(result.iterations)),
            ("converged", .bool(result.converged)),
            ("refilled", .integer(result.refilled)), ("spared", .integer(result.spared)),
            ("empty_clusters", .integer(result.emptyClusters)),
            ("sizes", .array(result.sizes.map { .integer($0) })),
            ("metrics", .object([("inertia", .number(result.inertia))])),
            // One cluster, its centre the mean: the total sum of squares.
            ("baselines", .object([("one_cluster", .object([("inertia", .number(result.totalInertia))]))])),
            ("inertia_history", .array(result.history.map { .number($0) })),
            (
                "seconds",
                .object([
                    ("load", .number(loadSeconds)), ("prepare", .number(prepareSeconds)),
                    ("start", .number(result.startSeconds)), ("compile", .number(device.compileSeconds)),
                    ("train", .number(trainSeconds)), ("save", .number(saveSeconds)),
                    ("per_iteration", .array(result.iterationSeconds.map { .number($0) })),
                ])
            ),
            ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
        ])
    }
}
