import ArgumentParser
import Compute
import Core

/// `apus bench transfer`
struct TransferBenchmark: BenchmarkCase {
    static let name = "transfer"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Uploads, downloads and copies on the device.",
        discussion: "A copy on the device counts the bytes read and those written. The deviation must be 0.")

    @Option(help: "Sizes in KiB, as a list.")
    var sizes = NumberList([4, 1024, 65536, 262_144])
    @OptionGroup var flags: BenchmarkFlags

    static func arguments(quick: Bool) -> [String] { quick ? ["--sizes", "4,4096"] : [] }

    func validate() throws {
        guard sizes.numbers.allSatisfy({ $0 <= 1 << 23 }) else {
            throw ValidationError("--sizes goes up to 8388608 KiB")
        }
    }

    private static let secondsOfQueue = 0.005
    private static let bytesPastCaches = 64 << 20

    func measure(on devices: [BenchmarkDevice]) throws -> [BenchmarkRecord] {
        var records: [BenchmarkRecord] = []
        for kibibytes in sizes.numbers {
            let host = BenchmarkNumbers.uniform(rows: kibibytes, columns: 256, stream: 21)
            let tables = try prepare(devices, "transfer") { try Tables($0, host) }
            for direction in ["upload", "download", "copy"] {
                let samples = try BenchmarkTiming.takingTurns(
                    flags, tables.map { tables in { try tables.run(direction) } })
                for (tables, samples) in zip(tables, samples) {
                    let bytes = Double(kibibytes << 10) * (direction == "copy" ? 2 : 1)
                    let result = try tables.device.stream.download(tables.target)
                    records.append(
                        tables.device.record(
                            Self.name, subject: "\(direction) \(byteSize(kibibytes << 10))",
                            sizes: ["bytes": kibibytes << 10], settings: ["direction": direction], samples: samples,
                            operations: 0, bytes: bytes, compileSeconds: tables.compileSeconds,
                            transferSeconds: direction == "copy" ? 0 : samples.median,
                            deviation: (
                                BenchmarkNumbers.deviation(result.storage.elements, from: host.storage.elements),
                                "source"
                            ), percentOfLimit: .some(tables.percent(direction, bytes / samples.median))))
                }
            }
        }
        return records
    }

    /// A table on the host and two on one device.
    private final class Tables {
        let device: BenchmarkDevice
        let target: Matrix
        let compileSeconds: Double
        private let source: Matrix
        private let host: [Float]

        init(_ device: BenchmarkDevice, _ host: HostMatrix) throws {
            self.device = device
            self.host = host.storage.array
            source = try device.stream.upload(host)
            target = try device.stream.allocate(rows: host.rows, columns: host.columns)
            let compiled = device.device.compileSeconds
            try device.stream.copy(source, to: target)
            try device.stream.finish()
            compileSeconds = device.device.compileSeconds - compiled
        }

        /// Per cent of the rate that large tables reach; nil for those that stay in the caches.
        func percent(_ direction: String, _ bytesPerSecond: Double) -> Double? {
            guard host.count * 4 >= TransferBenchmark.bytesPastCaches else { return nil }
            let limits = device.limits
            let limit =
                direction == "upload"
                ? limits.uploadGigabytesPerSecond
                : direction == "download" ? limits.downloadGigabytesPerSecond : limits.memoryGigabytesPerSecond
            return 100 * bytesPerSecond * 1e-9 / limit
        }

        /// Seconds of one transfer, waited for; the mean of several where one is short.
        func run(_ direction: String) throws -> Double {
            var (count, total) = (0, 0.0)
            while total < TransferBenchmark.secondsOfQueue {
                total += try BenchmarkTiming.seconds {
                    switch direction {
                    case "upload":
                        try device.stream.upload(host, to: source)
                        try device.stream.finish()
                    case "download":
                        _ = try device.stream.download(source)
                    default:
                        try device.stream.copy(source, to: target)
                        try device.stream.finish()
                    }
                }
                count += 1
            }
            return total / Double(count)
        }
    }
}
