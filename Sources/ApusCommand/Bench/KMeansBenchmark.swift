import ArgumentParser
import Compute
import Core
import Learners
import Tables

/// `apus bench kmeans`
struct KMeansBenchmark: BenchmarkCase {
    static let name = "kmeans"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "K-means (Lloyd): a whole fit from given centres.",
        discussion: """
            A run is a fit of --iterations iterations, points on the device beforehand; its time is that of one \
            iteration. The deviation is that of the inertia from the first device's.
            """)

    @Option(help: "A NumPy file of points (default: uniform numbers).")
    var data: String?
    @Option(
        name: .customLong("initial-centers"), help: "A NumPy file of the first centres (default: the first points).")
    var initialCenters: String?
    @Option(help: "Points to draw.")
    var points = 1_000_000
    @Option(help: "Length of the points.")
    var dimensions = 128
    @Option(help: "Clusters, as a list; one for each is tried.")
    var clusters = NumberList([1024])
    @Option(help: "Iterations of a run.")
    var iterations = 5
    @OptionGroup var flags: BenchmarkFlags

    static func arguments(quick: Bool) -> [String] {
        quick ? ["--points", "50000", "--dimensions", "32", "--clusters", "64"] : []
    }

    func validate() throws {
        for (name, value) in [("points", points), ("dimensions", dimensions), ("iterations", iterations)]
        where !(1...1 << 30).contains(value) {
            throw ValidationError("--\(name) must be from 1 to 2^30, not \(value)")
        }
    }

    func measure(on devices: [BenchmarkDevice]) throws -> [BenchmarkRecord] {
        let table =
            try data.map { try NumPyFile(path: $0).matrix() }
            ?? BenchmarkNumbers.uniform(rows: points, columns: dimensions, stream: 41)
        let given = try initialCenters.map { try NumPyFile(path: $0).matrix() }
        let (n, d) = (table.rows, table.columns)
        var records: [BenchmarkRecord] = []
        for k in given.map({ [$0.rows] }) ?? clusters.numbers {
            guard k <= n else { throw ValidationError("\(n) points can't form \(k) clusters") }
            let start =
                given ?? HostMatrix(rows: k, columns: d, elements: Array(table.storage.elements.prefix(k * d)))
            let fits = try prepare(devices, "kmeans") { try Fit($0, table, start, iterations: iterations) }
            let samples = try BenchmarkTiming.takingTurns(flags, fits.map { fit in fit.run })
            for (fit, samples) in zip(fits, samples) {
                let reference = fits[0].result?.inertia ?? 0
                let inertia = fit.result?.inertia ?? 0
                records.append(
                    fit.device.record(
                        Self.name, subject: "\(n) × \(d), k = \(k)",
                        sizes: ["points": n, "dimensions": d, "clusters": k, "iterations": iterations],
                        samples: samples, operations: 2 * Double(n) * Double(k) * Double(d),
                        bytes: 4 * Double(d) * Double(n + 2 * k), compileSeconds: fit.compileSeconds,
                        transferSeconds: 0,
                        deviation: (abs(inertia - reference) / max(abs(reference), 1e-300), fits[0].device.name),
                        counters: fit.perRun, loss: inertia))
            }
        }
        return records
    }

    /// The points on one device.
    private final class Fit {
        let device: BenchmarkDevice
        private(set) var compileSeconds = 0.0
        private(set) var perRun = StreamCounters()
        private(set) var result: KMeansResult?
        private let means: KMeans
        private let points: KMeansPoints
        private let start: HostMatrix

        init(_ device: BenchmarkDevice, _ points: HostMatrix, _ start: HostMatrix, iterations: Int) throws {
            self.device = device
            self.start = start
            var options = KMeansOptions()
            options.clusters = start.rows
            options.iterations = 1
            let compiled = device.device.compileSeconds
            let first = try KMeans(options: options, stream: device.stream)
            self.points = try first.prepare(points)
            _ = try first.fit(self.points, initialCenters: start)
            compileSeconds = device.device.compileSeconds - compiled
            options.iterations = iterations
            means = try KMeans(options: options, stream: device.stream)
        }

        /// Seconds of an iteration, the first centres' upload and the last labels shared out among them.
        func run() throws -> Double {
            let before = device.stream.counters
            let seconds = try BenchmarkTiming.seconds { result = try means.fit(points, initialCenters: start) }
            perRun = device.stream.counters - before
            return seconds / Double(max(result?.iterations ?? 1, 1))
        }
    }
}
