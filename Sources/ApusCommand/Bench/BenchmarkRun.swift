import ArgumentParser
import Compute
import Core
import Devices
import FoundationEssentials
import Learners

#if canImport(Glibc)
    import Glibc
#endif

/// One run of benchmarks: opens the devices, measures their limits, runs the cases, and hands the records out.
struct BenchmarkRun {
    let flags: BenchmarkFlags
    let cases: [any BenchmarkCase]

    func run() throws {
        for path in [flags.output, flags.plot].compactMap({ $0 }) { try OutputFolder.check(path) }
        let earlier = try flags.compare.map { try BenchmarkFile.read($0) }
        let devices = try open()
        var records: [BenchmarkRecord] = []
        for benchmark in cases {
            flags.global.remark("\(type(of: benchmark).name) …")
            for device in devices { _ = device.device.takeKernelTimes() }
            records += try benchmark.measure(on: devices)
            for device in devices { sayKernelTimes(of: device) }
        }
        let file = BenchmarkFile(records: records)
        if let output = flags.output { try file.write(to: output) }
        if let plot = flags.plot { try BenchmarkPlot(records: records).write(to: plot) }
        if flags.global.json {
            Output.line(file.text)
        } else {
            BenchmarkTable.print(records)
        }
        if let earlier, BenchmarkComparison(old: earlier.records, new: records).report(flags.global) {
            throw ExitCode(1)
        }
    }

    private func sayKernelTimes(of device: BenchmarkDevice) {
        let times = device.device.takeKernelTimes()
        let all = times.reduce(0) { $0 + $1.seconds }
        for time in times {
            let each = time.seconds / Double(time.launches) * 1e6
            flags.global.remark(
                "\(device.name): \(time.name): \(fixed(100 * time.seconds / all, 1)) %, \(time.launches) × "
                    + "\(fixed(each, 1)) µs")
        }
    }

    private func open() throws -> [BenchmarkDevice] {
        var options = flags.global.deviceOptions
        options.timesKernels = flags.kernels
        let listings = Devices.list(options)
        let processor = listings.first { $0.name == "cpu" }?.identity.model ?? "unknown"
        let names = flags.device.isEmpty ? listings.filter { $0.unusableReason == nil }.map(\.name) : flags.device
        let host = flags.label ?? Self.hostName
        let (date, commit) = (Self.now, Self.commit)
        var devices: [BenchmarkDevice] = []
        for name in names {
            let device = try Devices.open(name, options: options).device
            guard !devices.contains(where: { $0.name == device.identity.name }) else { continue }
            let stream = try device.makeStream()
            flags.global.remark("limits of \(device.identity.name) …")
            let limits = try BenchmarkLimits.measure(device, stream)
            let identity = device.identity
            devices.append(
                BenchmarkDevice(
                    device: device, stream: stream,
                    origin: BenchmarkOrigin(
                        host: host, processor: processor, device: identity.name, deviceModel: identity.model,
                        vendor: identity.vendor, driver: identity.driver, backend: identity.backend,
                        deviceClass: identity.deviceClass.rawValue, computeUnits: device.limits.computeUnits,
                        versions: ["apus": ApusVersion.current, "system": Self.system], commit: commit, date: date,
                        command: Self.command, limits: limits)))
        }
        return devices
    }

    /// The command without the folder of the program.
    private static var command: String {
        (["apus"] + CommandLine.arguments.dropFirst()).joined(separator: " ")
    }

    private static var hostName: String {
        var buffer = [UInt8](repeating: 0, count: 256)
        let code = buffer.withUnsafeMutableBytes {
            gethostname($0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count - 1)
        }
        return code == 0 ? String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self) : "unknown"
    }

    private static var system: String {
        var names = utsname()
        guard uname(&names) == 0 else { return "unknown" }
        func text<T>(_ field: T) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return "\(text(names.sysname)) \(text(names.release)) \(text(names.machine))"
    }

    static var now: String {
        var seconds = time(nil)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        var buffer = [UInt8](repeating: 0, count: 32)
        let count = buffer.withUnsafeMutableBytes {
            strftime($0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
        }
        return String(decoding: buffer[0..<count], as: UTF8.self)
    }

    /// The commit of the working directory; nil where that is no repository.
    private static var commit: String? {
        guard access(".git", F_OK) == 0, let pipe = popen("git rev-parse HEAD 2>/dev/null", "r") else { return nil }
        defer { pclose(pipe) }
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = fread(&buffer, 1, buffer.count, pipe)
        let text = String(decoding: buffer[0..<count].prefix { $0 != 0x0A }, as: UTF8.self)
        return text.isEmpty ? nil : text
    }
}

/// A file of records.
struct BenchmarkFile: Decodable {
    let records: [BenchmarkRecord]

    enum CodingKeys: String, CodingKey {
        case records = "cases"
    }

    init(records: [BenchmarkRecord]) { self.records = records }

    /// Throws ``DataError`` for what is no such file, ``SystemError`` for one that can't be read.
    static func read(_ path: String) throws -> BenchmarkFile {
        guard let source = fopen(path, "rb") else {
            throw SystemError(operation: "open", object: path, reason: String(cString: strerror(errno)))
        }
        defer { fclose(source) }
        var bytes = Data()
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&piece, 1, piece.count, source), count > 0 {
            bytes.append(contentsOf: piece[0..<count])
        }
        do {
            return try JSONDecoder().decode(BenchmarkFile.self, from: bytes)
        } catch {
            throw DataError("this is no file of `apus bench --output`", file: path)
        }
    }

    /// One JSON object: `cases`, and `untested`, the vendors of which no record is there.
    var text: String {
        JSONValue.object([
            ("cases", .array(records.map(\.json))),
            ("untested", .array(BenchmarkTable.untested(records).map { .string($0) })),
        ]).text
    }

    func write(to path: String) throws {
        let file = try AtomicFile(path: path)
        try file.write(text + "\n")
        try file.commit()
    }
}
