import ArgumentParser
import Compute
import Core
import Devices

/// All benchmarks, in the order in which `apus bench all` runs them. A new one is registered here and nowhere else.
enum BenchmarkCases {
    static let all: [any BenchmarkCase.Type] = [
        GemmBenchmark.self, ALSBenchmark.self, KMeansBenchmark.self, TopKBenchmark.self, NeighborsBenchmark.self,
        ReadBenchmark.self,
        RecommendBenchmark.self, LearnerBenchmark.self, NetBenchmark.self, SequenceBenchmark.self,
        TransferBenchmark.self,
    ]
}

/// A benchmark: a subcommand of `apus bench` with flags of its own.
protocol BenchmarkCase: ParsableCommand {
    /// Name of the subcommand and of the records.
    static var name: String { get }
    /// Flags with which `apus bench all` runs it; with `quick`, so that it takes seconds.
    static func arguments(quick: Bool) -> [String]
    /// Whether it has `--interactions`, which may name a user's own file.
    static var readsInteractions: Bool { get }
    var flags: BenchmarkFlags { get }
    /// Measures on all devices, which take turns.
    func measure(on devices: [BenchmarkDevice]) throws -> [BenchmarkRecord]
}

extension BenchmarkCase {
    static var readsInteractions: Bool { false }

    func run() throws {
        try BenchmarkRun(flags: flags, cases: [self]).run()
    }

    /// Prepares a case on each device; one that can't do it is left out, with a remark.
    func prepare<State>(
        _ devices: [BenchmarkDevice], _ subject: String, _ body: (BenchmarkDevice) throws -> State
    ) throws -> [State] {
        try devices.compactMap { device in
            do {
                return try body(device)
            } catch let error as ComputeError {
                switch error {
                case .unsupported, .outOfMemory:
                    flags.global.remark("\(subject) left out: \(error)")
                    return nil
                default: throw error
                }
            }
        }
    }
}

/// Flags that all benchmarks share.
struct BenchmarkFlags: ParsableArguments {
    @Option(help: "A device to measure; repeat for several (default: all).")
    var device: [String] = []
    @Option(help: "Timed runs of each case; a case whose runs take more than 5 s is run 3 times.")
    var runs = 7
    @Option(help: "Name of this machine in the records (default: its host name).")
    var label: String?
    @Option(help: "Write the records to this file, as JSON.")
    var output: String?
    @Option(help: "Draw a roofline and bars per device into this SVG file.")
    var plot: String?
    @Flag(
        help: """
            Take turns with another program: say `ready` on standard output before each run, begin it on a line of \
            standard input, and answer with its seconds.
            """)
    var paced = false
    @Flag(help: "Say on standard error how long each kernel of OpenCL devices took; makes launches slower.")
    var kernels = false
    @Option(help: "Records of an earlier run; exits with 1 when a figure is worse by more than noise.")
    var compare: String?
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard (1...1000).contains(runs) else { throw ValidationError("--runs must be from 1 to 1000, not \(runs)") }
    }
}

/// A device under measurement: open, with its limits known.
struct BenchmarkDevice {
    let device: any Device
    let stream: Compute.Stream
    let origin: BenchmarkOrigin

    var name: String { device.identity.name }
    var limits: MeasuredLimits { origin.limits }

    /// A record of what was measured here.
    ///
    /// - Parameters:
    ///   - operations: floating-point operations of a run; 0 for a case that only moves bytes.
    ///   - bytes: bytes that a run moves between memory and processor at least.
    ///   - counters: what a run did on the stream.
    ///   - percentOfLimit: where the roofline is not the limit; nil inside for no limit known.
    func record(
        _ benchmark: String, subject: String, sizes: [String: Int], settings: [String: String] = [:],
        samples: Samples, operations: Double, bytes: Double, compileSeconds: Double, transferSeconds: Double,
        deviation: (value: Double, from: String)?, counters: StreamCounters? = nil, loss: Double? = nil,
        percentOfLimit: Double?? = nil
    ) -> BenchmarkRecord {
        let gflops = operations / samples.median * 1e-9
        let rate = bytes / samples.median * 1e-9
        let intensity = operations / bytes
        return BenchmarkRecord(
            benchmark: benchmark, subject: subject, origin: origin, sizes: sizes, settings: settings,
            runs: samples.count, samples: samples.all, medianSeconds: samples.median, quartiles: samples.quartiles,
            gflops: operations > 0 ? gflops : nil, gigabytesPerSecond: rate,
            operationsPerByte: operations > 0 ? intensity : nil,
            percentOfLimit: percentOfLimit ?? (100 * gflops / limits.roof(operationsPerByte: intensity)),
            compileSeconds: compileSeconds, transferSeconds: transferSeconds, maxDeviation: deviation?.value,
            deviationFrom: deviation?.from, launches: counters?.launches, bytesUploaded: counters?.bytesUploaded,
            bytesDownloaded: counters?.bytesDownloaded, loss: loss)
    }
}

/// A list of numbers on the command line: 1024,2048.
struct NumberList: ExpressibleByArgument {
    let numbers: [Int]

    init(_ numbers: [Int]) { self.numbers = numbers }

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard !parts.isEmpty, parts.allSatisfy({ $0 > 0 && $0 <= 1 << 31 }) else { return nil }
        numbers = parts
    }

    var defaultValueDescription: String { numbers.map(String.init).joined(separator: ",") }
}

/// Tables of numbers for benchmarks, the same wherever they are drawn.
enum BenchmarkNumbers {
    /// Uniform numbers in [−½, ½).
    static func uniform(rows: Int, columns: Int, stream: UInt64) -> HostMatrix {
        let count = rows * columns
        let buffer = HostBuffer<Float>(uninitializedCount: count)
        let random = Philox(seed: 42, stream: stream)
        for start in stride(from: 0, to: count, by: 4) {
            let four = random.block(UInt64(start) >> 2)
            for lane in 0..<min(4, count - start) {
                buffer[start + lane] = Float(four[lane] >> 8) * 0x1p-24 - 0.5
            }
        }
        return HostMatrix(rows: rows, columns: columns, storage: buffer)
    }

    /// The largest difference of two tables, relative to the largest magnitude of the second.
    static func deviation(_ values: some Collection<Float>, from reference: some Collection<Float>) -> Double {
        var (difference, magnitude) = (0.0, 0.0)
        for (value, expected) in zip(values, reference) {
            // Places that stay empty hold −∞ on both sides.
            if value == expected && !value.isFinite { continue }
            guard value.isFinite, expected.isFinite else { return .infinity }
            difference = max(difference, abs(Double(value) - Double(expected)))
            magnitude = max(magnitude, abs(Double(expected)))
        }
        return difference / max(magnitude, .leastNormalMagnitude)
    }
}
