import ArgumentParser
import Core
import Tables

#if canImport(Glibc)
    import Glibc
#endif

/// `apus bench read`
struct ReadBenchmark: BenchmarkCase {
    static let name = "read"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Reading a file of interactions, in all and by phase.",
        discussion: """
            Parsing includes reading the file and each thread's own numbering of the identifiers; numbering makes one of \
            those; ordering builds the two sparse matrices. It is work of the host: only the first device is named. \
            Without a file, one is generated in the folder for temporary files, and removed.
            """)

    @Option(help: "A file of interactions, or how many rows to generate.")
    var interactions = "2000000"
    @Option(help: ArgumentHelp("A table to read into typed columns, instead of interactions.", valueName: "file"))
    var data: String?
    @OptionGroup var reading: ReadingFlags
    @OptionGroup var flags: BenchmarkFlags

    static let readsInteractions = true

    static func arguments(quick: Bool) -> [String] { quick ? ["--interactions", "100000"] : [] }

    func validate() throws {
        if let rows = Int(interactions), !(1...1 << 31).contains(rows) {
            throw ValidationError("--interactions must be a file or from 1 to 2^31 rows, not \(rows)")
        }
    }

    func measure(on devices: [BenchmarkDevice]) throws -> [BenchmarkRecord] {
        guard let device = devices.first else { return [] }
        if let data { return [try measureTable(data, device)] }
        guard let rows = Int(interactions) else { return try measure(interactions, device) }
        let file = try GeneratedRatings(rows: rows)
        defer { file.remove() }
        return try measure(file.path, device)
    }

    private func measureTable(_ path: String, _ device: BenchmarkDevice) throws -> BenchmarkRecord {
        var options = TableReadOptions()
        options.delimiter = reading.delimiter
        options.encoding = reading.encoding
        options.threads = flags.global.threads ?? 0
        var report = try TableReader.readWithReport(path, options: options).report
        let samples = try BenchmarkTiming.takingTurns(
            flags,
            [
                {
                    try BenchmarkTiming.seconds {
                        report = try TableReader.readWithReport(path, options: options).report
                    }
                }
            ])
        return device.record(
            Self.name, subject: "\(report.rowsRead) rows, \(byteSize(report.bytesOfText)): typed columns",
            sizes: ["rows": report.rowsRead, "bytes": report.bytesOfText], settings: ["phase": "typed columns"],
            samples: samples[0], operations: 0, bytes: Double(report.bytesOfText), compileSeconds: 0,
            transferSeconds: 0, deviation: nil, percentOfLimit: .some(nil))
    }

    private func measure(_ path: String, _ device: BenchmarkDevice) throws -> [BenchmarkRecord] {
        let options = try reading.options(needsTimes: false, threads: flags.global.threads)
        // Once beforehand: the file comes into the system's cache, and columns that are wrong are reported.
        var report = try InteractionReader.read(path, options: options).report
        var phases: [(name: String, seconds: (ReadReport) -> Double, samples: [Double])] = [
            ("parse", \.secondsToParse, []), ("number", \.secondsToIndex, []), ("order", \.secondsToOrder, []),
        ]
        let whole = try BenchmarkTiming.takingTurns(
            flags,
            [
                {
                    let seconds = try BenchmarkTiming.seconds {
                        report = try InteractionReader.read(path, options: options).report
                    }
                    for place in phases.indices { phases[place].samples.append(phases[place].seconds(report)) }
                    return seconds
                }
            ])
        let timings = [("all", whole[0])] + phases.map { ($0.name, Samples($0.samples)) }
        return timings.map { phase, samples in
            device.record(
                Self.name, subject: "\(report.rowsRead) rows, \(byteSize(report.bytesOfText)): \(phase)",
                sizes: ["rows": report.rowsRead, "bytes": report.bytesOfText], settings: ["phase": phase],
                samples: samples, operations: 0, bytes: Double(report.bytesOfText), compileSeconds: 0,
                transferSeconds: 0, deviation: nil, percentOfLimit: .some(nil))
        }
    }
}

/// A file of user, item, rating and time: 200,000 users in order, 60,000 items, half-star ratings.
private struct GeneratedRatings {
    let path: String

    init(rows: Int) throws {
        let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        path = "\(folder)/apus-bench-\(getpid()).csv"
        let file = try AtomicFile(path: path)
        try file.write("user,item,rating,time\n")
        let random = Philox(seed: 42, stream: 0xB_0101)
        var text = ""
        for row in 0..<rows {
            let four = random.block(UInt64(row))
            let user = 1 + row * 200_000 / rows
            let item = 1 + Int(four[0] % 60_000)
            text += "\(user),\(item),\(Double(1 + four[1] % 10) / 2),\(1_000_000_000 + Int(four[2] % 500_000_000))\n"
            if row % 65536 == 65535 || row == rows - 1 {
                try Interruption.check()
                try file.write(text)
                text.removeAll(keepingCapacity: true)
            }
        }
        try file.commit()
    }

    func remove() { unlink(path) }
}
