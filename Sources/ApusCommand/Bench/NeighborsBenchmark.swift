import ArgumentParser
import Compute
import Core
import Learners
import Tables

/// `apus bench neighbors`
struct NeighborsBenchmark: BenchmarkCase {
    static let name = "neighbors"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Cosine neighbours among vectors, as `apus similar` finds them.",
        discussion: """
            From queries on the host to rows and similarities on the host; the index is on the device beforehand. With \
            --single a run is so many queries, one after another. Exact, unless --width asks for a walk in the graph of \
            an --index.
            """)

    @Option(help: "An index made by `apus index`, instead of vectors.")
    var index: String?
    @Option(help: "Rows in view on a walk in the index's graph (default: an exact search).")
    var width: Int?

    @Option(name: .customLong("vectors-file"), help: "A NumPy file of vectors (default: uniform numbers).")
    var vectorsFile: String?
    @Option(name: .customLong("queries-file"), help: "A NumPy file of queries.")
    var queriesFile: String?
    @Option(help: "Vectors to draw.")
    var vectors = 500_000
    @Option(help: "Length of the vectors.")
    var dimensions = 128
    @Option(help: "Queries to draw.")
    var queries = 1000
    @Option(help: "Places per query.")
    var count = 100
    @Option(help: "Queries one at a time, this many a run; 0 for all at once.")
    var single = 0
    @OptionGroup var flags: BenchmarkFlags

    static func arguments(quick: Bool) -> [String] {
        quick ? ["--vectors", "20000", "--queries", "100", "--count", "10"] : []
    }

    func validate() throws {
        for (name, value) in [("vectors", vectors), ("dimensions", dimensions), ("queries", queries), ("count", count)]
        where !(1...1 << 30).contains(value) {
            throw ValidationError("--\(name) must be from 1 to 2^30, not \(value)")
        }
        if let width {
            guard width >= 1, index != nil else {
                throw ValidationError("--width, 1 or more, is for an --index with a graph")
            }
        }
        guard single >= 0 else { throw ValidationError("--single must be 0 or more, not \(single)") }
    }

    func measure(on devices: [BenchmarkDevice]) throws -> [BenchmarkRecord] {
        let index =
            try index.map { try VectorIndex(path: $0) }
            ?? VectorIndex(
                vectorsFile.map { try NumPyFile(path: $0).matrix() }
                    ?? BenchmarkNumbers.uniform(rows: vectors, columns: dimensions, stream: 51), similarity: .cosine)
        if width != nil && index.graph == nil {
            throw DataError("the index has no graph; make one with apus index --approximate", file: self.index)
        }
        let wanted =
            try queriesFile.map { try NumPyFile(path: $0).matrix() }
            ?? BenchmarkNumbers.uniform(rows: queries, columns: index.dimensions, stream: 52)
        let (n, d) = (index.count, index.dimensions)
        let m = single > 0 ? min(single, wanted.rows) : wanted.rows
        let parts = single > 0 ? (0..<m).map { $0..<$0 + 1 } : [0..<m]
        let batches = parts.map { part in
            HostMatrix(
                rows: part.count, columns: d,
                elements: Array(wanted.storage.elements[part.lowerBound * d..<part.upperBound * d]))
        }
        let searches = try prepare(devices, "neighbors") {
            try Search($0, index, batches, count: count, mode: width.map { .graph(width: $0) } ?? .exact)
        }
        let samples = try BenchmarkTiming.takingTurns(flags, searches.map { search in search.run })
        return zip(searches, samples).map { search, samples in
            search.device.record(
                Self.name,
                subject: "\(m) of \(n) × \(d), k = \(count)\(single > 0 ? ", one at a time" : "")"
                    + (width.map { ", graph, width \($0)" } ?? ""),
                sizes: ["queries": m, "vectors": n, "dimensions": d, "count": count], samples: samples,
                operations: 2 * Double(m) * Double(n) * Double(d),
                bytes: 4 * (Double(n) * Double(d) * Double(batches.count) + Double(m) * Double(d + 2 * count)),
                compileSeconds: search.compileSeconds, transferSeconds: 0,
                deviation: (BenchmarkNumbers.deviation(search.found, from: searches[0].found), searches[0].device.name),
                counters: search.perRun)
        }
    }

    /// The index on one device, warmed up.
    private final class Search {
        let device: BenchmarkDevice
        private(set) var compileSeconds = 0.0
        private(set) var perRun = StreamCounters()
        private(set) var found: [Float] = []
        private let search: VectorSearch
        private let batches: [HostMatrix]
        private let count: Int
        private let mode: VectorSearchMode

        init(
            _ device: BenchmarkDevice, _ index: VectorIndex, _ batches: [HostMatrix], count: Int,
            mode: VectorSearchMode
        ) throws {
            (self.device, self.batches, self.count, self.mode) = (device, batches, count, mode)
            search = try VectorSearch(index, stream: device.stream)
            let compiled = device.device.compileSeconds
            _ = try run()
            compileSeconds = device.device.compileSeconds - compiled
        }

        func run() throws -> Double {
            let before = device.stream.counters
            var results: [VectorMatches] = []
            let seconds = try BenchmarkTiming.seconds {
                for batch in batches { results.append(try search.search(batch, count: count, mode: mode)) }
            }
            perRun = device.stream.counters - before
            found = results.flatMap(\.similarities)
            return seconds
        }
    }
}
