import ArgumentParser
import Compute
import Core

/// `apus bench topk`
struct TopKBenchmark: BenchmarkCase {
    static let name = "topk"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Exact top-k by inner product, all queries at once.",
        discussion: "The deviation is that of the scores from the first device's, relative to the largest.")

    @Option(help: "Vectors to choose from.")
    var vectors = 500_000
    @Option(help: "Length of the vectors.")
    var dimensions = 128
    @Option(help: "Queries.")
    var queries = 1000
    @Option(help: "Places per query, as a list.")
    var count = NumberList([10, 100])
    @OptionGroup var flags: BenchmarkFlags

    static func arguments(quick: Bool) -> [String] {
        quick ? ["--vectors", "20000", "--queries", "100", "--count", "10"] : []
    }

    func validate() throws {
        for (name, value) in [("vectors", vectors), ("dimensions", dimensions), ("queries", queries)]
        where !(1...1 << 30).contains(value) {
            throw ValidationError("--\(name) must be from 1 to 2^30, not \(value)")
        }
    }

    func measure(on devices: [BenchmarkDevice]) throws -> [BenchmarkRecord] {
        let candidates = BenchmarkNumbers.uniform(rows: vectors, columns: dimensions, stream: 11)
        let wanted = BenchmarkNumbers.uniform(rows: queries, columns: dimensions, stream: 12)
        let searches = try prepare(devices, "topk") { try Search($0, candidates, wanted) }
        var records: [BenchmarkRecord] = []
        for k in count.numbers {
            for search in searches { try search.prepare(k) }
            let samples = try BenchmarkTiming.takingTurns(flags, searches.map { search in search.run })
            let (m, n, d) = (Double(queries), Double(vectors), Double(dimensions))
            var reference: [Float] = []
            for (search, samples) in zip(searches, samples) {
                var scores: [Float] = []
                let download = try BenchmarkTiming.seconds { scores = try search.download() }
                if reference.isEmpty { reference = scores }
                records.append(
                    search.device.record(
                        Self.name, subject: "\(queries) of \(vectors) × \(dimensions), k = \(k)",
                        sizes: ["queries": queries, "vectors": vectors, "dimensions": dimensions, "count": k],
                        samples: samples, operations: 2 * m * n * d, bytes: 4 * (m * d + n * d + 2 * m * Double(k)),
                        compileSeconds: search.compileSeconds, transferSeconds: search.uploadSeconds + download,
                        deviation: (BenchmarkNumbers.deviation(scores, from: reference), searches[0].device.name),
                        counters: search.perRun))
            }
        }
        return records
    }

    /// The vectors on one device.
    private final class Search {
        let device: BenchmarkDevice
        let uploadSeconds: Double
        private(set) var compileSeconds = 0.0
        private(set) var perRun = StreamCounters()
        private let candidates, queries: Matrix
        private var places: (indices: Matrix, scores: Matrix)?

        init(_ device: BenchmarkDevice, _ candidates: HostMatrix, _ queries: HostMatrix) throws {
            self.device = device
            let start = monotonicSeconds()
            self.candidates = try device.stream.wrap(candidates)
            self.queries = try device.stream.wrap(queries)
            try device.stream.finish()
            uploadSeconds = monotonicSeconds() - start
        }

        /// Makes room for k places and warms up.
        func prepare(_ k: Int) throws {
            places = (
                try device.stream.allocate(rows: queries.rows, columns: k, .int32),
                try device.stream.allocate(rows: queries.rows, columns: k)
            )
            let compiled = device.device.compileSeconds
            _ = try run()
            compileSeconds = device.device.compileSeconds - compiled
        }

        func run() throws -> Double {
            guard let places else { return 0 }
            let before = device.stream.counters
            let seconds = try BenchmarkTiming.seconds {
                try device.stream.topK(
                    queries: queries, candidates: candidates, indices: places.indices, scores: places.scores)
                try device.stream.finish()
            }
            perRun = device.stream.counters - before
            return seconds
        }

        /// Brings both results to the host; answers the scores.
        func download() throws -> [Float] {
            guard let places else { return [] }
            _ = try device.stream.download(places.indices, as: Int32.self)
            return try device.stream.download(places.scores, as: Float.self)
        }
    }
}
