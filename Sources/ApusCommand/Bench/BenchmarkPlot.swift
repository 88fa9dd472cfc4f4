import Charts
import Core

#if canImport(Glibc)
    import Glibc
#endif

/// Records as a picture: the roofline of every device, and bars beside each other.
struct BenchmarkPlot {
    private let records: [BenchmarkRecord]
    private let devices: [String]
    private let benchmarks: [String]

    /// Colours that stay apart for colour-blind readers and in grey (Okabe and Ito), and dashes for print.
    private static let colors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]
    private static let dashes = ["", "7 3", "2 3", "9 3 2 3"]
    private static let width = 900.0
    private static let left = 80.0
    private static let right = 30.0

    init(records: [BenchmarkRecord]) {
        self.records = records
        var (devices, benchmarks): ([String], [String]) = ([], [])
        for record in records {
            let name = Self.deviceName(record)
            if !devices.contains(name) { devices.append(name) }
            if !benchmarks.contains(record.benchmark) { benchmarks.append(record.benchmark) }
        }
        self.devices = devices
        self.benchmarks = benchmarks
    }

    func write(to path: String) throws {
        let file = try AtomicFile(path: path)
        try file.write(drawing())
        try file.commit()
    }

    private func drawing() -> String {
        var picture = SVGDocument(width: Self.width)
        var y = 30.0
        picture.text("apus bench", x: Self.left, y: y, size: 17, bold: true)
        for (place, device) in devices.enumerated() {
            y += 19
            picture.rectangle(x: Self.left, y: y - 9, width: 18, height: 10, fill: color(place))
            let origin = records.first { Self.deviceName($0) == device }?.origin
            picture.text(
                "\(device): \(origin?.deviceModel ?? ""), \(origin?.computeUnits ?? 0) units; \(origin?.date.prefix(10) ?? "")",
                x: Self.left + 26, y: y)
        }
        y += 40
        if records.contains(where: { $0.operationsPerByte != nil }) { y = roofline(&picture, from: y) + 50 }
        for benchmark in benchmarks { y = bars(&picture, benchmark, from: y) + 40 }
        return picture.rendered(height: y)
    }

    private static func deviceName(_ record: BenchmarkRecord) -> String {
        "\(record.origin.host) \(record.origin.device)"
    }

    private func color(_ place: Int) -> String { Self.colors[place % Self.colors.count] }

    // MARK: Roofline

    /// A logarithmic axis over whole decades.
    private struct LogAxis {
        let (low, high): (Int, Int)
        let (start, end): (Double, Double)

        init(_ values: [Double], start: Double, end: Double) {
            let usable = values.filter { $0 > 0 && $0.isFinite }
            let smallest = Int(floor(log10(usable.min() ?? 1)))
            low = smallest
            high = max(Int(ceil(log10(usable.max() ?? 10))), smallest + 1)
            (self.start, self.end) = (start, end)
        }

        func place(_ value: Double) -> Double {
            start + (end - start) * (log10(value) - Double(low)) / Double(high - low)
        }
    }

    private func roofline(_ picture: inout SVGDocument, from top: Double) -> Double {
        let points = records.filter { $0.operationsPerByte != nil && $0.gflops != nil }
        let limits = devices.compactMap { device in records.first { Self.deviceName($0) == device }?.origin.limits }
        let ridges = limits.map { $0.multiplyAddGflops / $0.memoryGigabytesPerSecond }
        let height = 340.0
        let (first, last) = (Self.left, Self.width - Self.right)
        let x = LogAxis(points.compactMap(\.operationsPerByte) + ridges + [1], start: first, end: last)
        let y = LogAxis(
            points.compactMap(\.gflops) + limits.map(\.multiplyAddGflops), start: top + height, end: top)
        picture.text("Rate against what the machine allows (roofline)", x: Self.left, y: top - 12, size: 14, bold: true)
        for decade in x.low...x.high {
            let place = x.place(pow(10, Double(decade)))
            picture.line([(place, top), (place, top + height)], color: "#dddddd")
            picture.text(tick(decade), x: place, y: top + height + 16, anchor: .middle)
        }
        for decade in y.low...y.high {
            let place = y.place(pow(10, Double(decade)))
            picture.line([(first, place), (last, place)], color: "#dddddd")
            picture.text(tick(decade), x: first - 6, y: place + 4, anchor: .end)
        }
        picture.text(
            "operations per byte of memory traffic (at least)", x: (first + last) / 2, y: top + height + 34,
            anchor: .middle)
        picture.text("GFLOP/s", x: 22, y: top + height / 2, anchor: .middle, rotated: true)
        for (place, (limit, ridge)) in zip(limits, ridges).enumerated() {
            let (floorRate, ends) = (pow(10, Double(y.low)), pow(10, Double(x.high)))
            let begin = max(pow(10, Double(x.low)), floorRate / limit.memoryGigabytesPerSecond)
            picture.line(
                [
                    (x.place(begin), y.place(limit.roof(operationsPerByte: begin))),
                    (x.place(ridge), y.place(limit.multiplyAddGflops)),
                    (x.place(ends), y.place(limit.multiplyAddGflops)),
                ], color: color(place), width: 2, dashes: Self.dashes[place % Self.dashes.count])
        }
        for record in points {
            guard let intensity = record.operationsPerByte, let rate = record.gflops else { continue }
            picture.mark(
                benchmarks.firstIndex(of: record.benchmark) ?? 0, x: x.place(intensity), y: y.place(rate),
                color: color(devices.firstIndex(of: Self.deviceName(record)) ?? 0))
        }
        var key = first + 10
        for (shape, benchmark) in benchmarks.enumerated() where points.contains(where: { $0.benchmark == benchmark }) {
            picture.mark(shape, x: key, y: top + height + 52, color: "#444444")
            picture.text(benchmark, x: key + 11, y: top + height + 56)
            key += 40 + 8 * Double(benchmark.count)
        }
        picture.line(
            [(first, top), (first, top + height), (last, top + height)], color: "#111111", width: 1.2)
        return top + height + 60
    }

    private func tick(_ decade: Int) -> String {
        decade >= 0 ? String(Int(pow(10, Double(decade)))) : fixed(pow(10, Double(decade)), -decade)
    }

    // MARK: Bars

    private func bars(_ picture: inout SVGDocument, _ benchmark: String, from top: Double) -> Double {
        let own = records.filter { $0.benchmark == benchmark }
        let moves = own.allSatisfy { $0.gflops == nil }
        func rate(_ record: BenchmarkRecord) -> Double { (moves ? record.gigabytesPerSecond : record.gflops) ?? 0 }
        let unit = moves ? "GB/s" : "GFLOP/s"
        var subjects: [String] = []
        for record in own where !subjects.contains(record.subject) { subjects.append(record.subject) }
        // Room on the right for the figures beside the bars.
        let (first, last) = (Self.left, Self.width - 250)
        let scale = Self.niceStep((own.map(rate).max() ?? 1) / 5)
        let longest = max(own.map(rate).max() ?? 1, scale)
        func place(_ value: Double) -> Double { first + (last - first) * value / longest }

        picture.text("\(benchmark), \(unit)", x: first, y: top, size: 14, bold: true)
        var y = top + 12
        let start = y
        var shapes: [(y: Double, record: BenchmarkRecord)] = []
        var titles: [(y: Double, text: String)] = []
        for subject in subjects {
            y += 15
            titles.append((y, subject))
            y += 5
            for record in own where record.subject == subject {
                shapes.append((y, record))
                y += 16
            }
            y += 3
        }
        for value in stride(from: 0, through: longest * 1.0001, by: scale) {
            picture.line([(place(value), start), (place(value), y)], color: "#dddddd")
            picture.text(fixed(value, scale < 1 ? 2 : 0), x: place(value), y: y + 15, size: 11, anchor: .middle)
        }
        for title in titles { picture.text(title.text, x: first + 4, y: title.y, size: 11.5) }
        for (y, record) in shapes {
            let device = devices.firstIndex(of: Self.deviceName(record)) ?? 0
            picture.rectangle(
                x: first, y: y, width: max(place(rate(record)) - first, 1), height: 12, fill: color(device))
            let range = record.quartiles.map { place(rate(record) * record.medianSeconds / max($0, 1e-12)) }
            picture.line([(min(range[0], last), y + 6), (min(range[1], last), y + 6)], color: "#111111", width: 1.5)
            let percent = record.percentOfLimit.map { ", \(fixed($0, 0)) % of limit" } ?? ""
            picture.text(
                "\(fixed(rate(record), rate(record) < 10 ? 2 : 0)) (\(Self.time(record.medianSeconds))\(percent))",
                x: max(place(rate(record)), min(max(range[0], range[1]), last)) + 6, y: y + 10, size: 11)
        }
        picture.line([(first, start), (first, y), (last, y)], color: "#111111", width: 1.2)
        return y + 18
    }

    private static func time(_ seconds: Double) -> String {
        if seconds < 1e-3 { return "\(fixed(seconds * 1e6, 1)) µs" }
        return seconds < 1 ? "\(fixed(seconds * 1e3, 1)) ms" : "\(fixed(seconds, 2)) s"
    }

    /// 1, 2 or 5 times a power of ten, at least `value`.
    private static func niceStep(_ value: Double) -> Double {
        guard value > 0, value.isFinite else { return 1 }
        let power = pow(10, floor(log10(value)))
        return power * ([1, 2, 5].first { $0 * power >= value } ?? 10)
    }
}
