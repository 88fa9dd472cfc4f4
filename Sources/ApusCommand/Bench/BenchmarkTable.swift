/// Records for a terminal.
enum BenchmarkTable {
    /// Makers of OpenCL hardware that users will ask about, and how their vendors name themselves.
    private static let vendors: [(name: String, marks: [String])] = [
        ("NVIDIA GPU", ["nvidia"]), ("AMD GPU", ["advanced micro devices", "amd"]), ("Intel GPU", ["intel"]),
        ("ARM Mali GPU", ["arm"]), ("Qualcomm Adreno GPU", ["qualcomm"]), ("Apple GPU", ["apple"]),
    ]

    /// Vendors of whose GPUs no record is there.
    static func untested(_ records: [BenchmarkRecord]) -> [String] {
        let seen = records.filter { $0.origin.deviceClass == "gpu" }.map { $0.origin.vendor.lowercased() }
        return vendors.filter { vendor in !seen.contains { seen in vendor.marks.contains { seen.contains($0) } } }
            .map(\.name)
    }

    static func print(_ records: [BenchmarkRecord]) {
        var hosts: [String] = []
        for record in records where !hosts.contains(record.origin.host + record.origin.device) {
            let (origin, limits) = (record.origin, record.origin.limits)
            if hosts.isEmpty || !hosts.contains(where: { $0.hasPrefix(origin.host) }) {
                Output.line(
                    "\(origin.host): \(origin.processor), \(origin.versions["system"] ?? ""), apus "
                        + "\(origin.versions["apus"] ?? "?")\(origin.commit.map { " at \($0.prefix(10))" } ?? ""), \(origin.date)"
                )
            }
            hosts.append(origin.host + origin.device)
            Output.line(
                "\(origin.device): \(origin.deviceModel), \(origin.driver), \(origin.computeUnits) units; limits: "
                    + "\(fixed(limits.multiplyAddGflops, 0)) GFLOP/s (\(limits.multiplyAddMethod)), "
                    + "\(fixed(limits.memoryGigabytesPerSecond, 1)) GB/s; a launch "
                    + "\(fixed(limits.launchSecondsQueued * 1e6, 2)) µs queued, "
                    + "\(fixed(limits.launchSecondsWaited * 1e6, 2)) µs waited for; upload "
                    + "\(fixed(limits.uploadGigabytesPerSecond, 1)), download \(fixed(limits.downloadGigabytesPerSecond, 1)) GB/s"
            )
        }
        Output.line("")
        let manyHosts = Set(records.map(\.origin.host)).count > 1
        let header = [
            "case", "subject", "device", "runs", "median ms", "quartiles ms", "GFLOP/s", "GB/s", "% of limit",
            "compile s", "transfer s", "deviation", "from", "launches",
        ]
        Output.table(
            manyHosts ? ["host"] + header : header, records.map { manyHosts ? [$0.origin.host] + row($0) : row($0) })
        for record in records where record.loss != nil {
            Output.line("\(record.subject) on \(record.origin.device): loss \(record.loss ?? 0)")
        }
        let untested = untested(records)
        if !untested.isEmpty {
            Output.line("")
            Output.line("untested (no record from such a device): \(untested.joined(separator: ", "))")
        }
    }

    private static func row(_ record: BenchmarkRecord) -> [String] {
        func text(_ value: Double?, _ digits: Int) -> String { value.map { fixed($0, digits) } ?? "" }
        var cells = [record.benchmark, record.subject, record.origin.device, String(record.runs)]
        cells.append(milliseconds(record.medianSeconds))
        cells.append(record.quartiles.map(milliseconds).joined(separator: " – "))
        cells.append(text(record.gflops, 1))
        cells.append(text(record.gigabytesPerSecond, 2))
        cells.append(text(record.percentOfLimit, 1))
        cells.append(fixed(record.compileSeconds, 2))
        cells.append(fixed(record.transferSeconds, 4))
        cells.append(record.maxDeviation.map(scientific) ?? "")
        cells.append(record.deviationFrom ?? "")
        cells.append(record.launches.map(String.init) ?? "")
        return cells
    }

    private static func milliseconds(_ seconds: Double) -> String {
        let value = seconds * 1e3
        return fixed(value, value < 1 ? 4 : value < 100 ? 2 : 1)
    }

    /// 1.3e-07
    static func scientific(_ value: Double) -> String {
        guard value.isFinite, value != 0 else { return value == 0 ? "0" : "–" }
        var (mantissa, exponent) = (abs(value), 0)
        while mantissa >= 10 { (mantissa, exponent) = (mantissa / 10, exponent + 1) }
        while mantissa < 1 { (mantissa, exponent) = (mantissa * 10, exponent - 1) }
        return "\(value < 0 ? "-" : "")\(fixed(mantissa, 1))e\(exponent)"
    }
}
