import ArgumentParser
import Compute
import Core

/// `apus bench gemm`
struct GemmBenchmark: BenchmarkCase {
    static let name = "gemm"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Dense products C = A · B, float32.",
        discussion: """
            Small products are queued several at a time, as in a pipeline. The deviation is that of eight rows of the \
            result from sums in double precision, relative to the largest of these.
            """)

    @Option(help: "Sizes of square products, as a list.")
    var sizes = NumberList([256, 512, 1024, 2048, 4096])
    @Option(help: "Further products as MxKxN, several separated by commas: 100000x64x256.")
    var shapes: String?
    @Flag(name: .customLong("bias-relu"), help: "Add a bias and apply ReLU in the product's epilogue.")
    var biasReLU = false
    @OptionGroup var flags: BenchmarkFlags

    static func arguments(quick: Bool) -> [String] { quick ? ["--sizes", "256,512,1024"] : [] }

    /// A queue of small products lasts at least this long.
    private static let secondsOfQueue = 0.02
    private static let checkedRows = 8

    func validate() throws { _ = try products() }

    private func products() throws -> [(m: Int, k: Int, n: Int)] {
        var products = sizes.numbers.map { (m: $0, k: $0, n: $0) }
        for shape in shapes?.split(separator: ",") ?? [] {
            let parts = shape.split(separator: "x", omittingEmptySubsequences: false).compactMap { Int($0) }
            guard parts.count == 3, parts.allSatisfy({ $0 > 0 && $0 <= 1 << 24 }) else {
                throw ValidationError("--shapes expects MxKxN, such as 100000x64x256, not `\(shape)`")
            }
            products.append((parts[0], parts[1], parts[2]))
        }
        return products
    }

    func measure(on devices: [BenchmarkDevice]) throws -> [BenchmarkRecord] {
        var records: [BenchmarkRecord] = []
        for (m, k, n) in try products() { records += try measure(m, k, n, on: devices) }
        return records
    }

    private func measure(_ m: Int, _ k: Int, _ n: Int, on devices: [BenchmarkDevice]) throws -> [BenchmarkRecord] {
        let a = BenchmarkNumbers.uniform(rows: m, columns: k, stream: 1)
        let b = BenchmarkNumbers.uniform(rows: k, columns: n, stream: 2)
        let bias = biasReLU ? BenchmarkNumbers.uniform(rows: 1, columns: n, stream: 3) : nil
        let expected = oracle(a, b, bias)
        let operands = try prepare(devices, "gemm \(m) × \(k) × \(n)") { try Operands($0, a, b, bias) }
        let samples = try BenchmarkTiming.takingTurns(
            flags, operands.map { operands in { try operands.run(atLeast: Self.secondsOfQueue) } })
        let operations = 2 * Double(m) * Double(k) * Double(n)
        let bytes = 4 * (Double(m) * Double(k) + Double(k) * Double(n) + Double(m) * Double(n))
        return try zip(operands, samples).map { operands, samples in
            let before = operands.device.stream.counters
            try operands.multiply()
            let launches = operands.device.stream.counters - before
            var result = HostMatrix(rows: 0, columns: n)
            let download = try BenchmarkTiming.seconds {
                result = try operands.device.stream.download(operands.c)
            }
            let rows = checked(m).flatMap { Array(result.row($0)) }
            return operands.device.record(
                Self.name, subject: "\(m) × \(k) × \(n)" + (biasReLU ? ", bias, ReLU" : ""),
                sizes: ["m": m, "k": k, "n": n], settings: ["epilogue": biasReLU ? "bias-relu" : "none"],
                samples: samples, operations: operations, bytes: bytes, compileSeconds: operands.compileSeconds,
                transferSeconds: operands.uploadSeconds + download,
                deviation: (BenchmarkNumbers.deviation(rows, from: expected), "oracle"), counters: launches)
        }
    }

    /// Operands on one device, warmed up.
    private final class Operands {
        let device: BenchmarkDevice
        let a, b, c: Matrix
        let bias: Matrix?
        let uploadSeconds: Double
        private(set) var compileSeconds = 0.0
        private var repetitions = 1

        init(_ device: BenchmarkDevice, _ a: HostMatrix, _ b: HostMatrix, _ bias: HostMatrix?) throws {
            self.device = device
            let stream = device.stream
            let compiled = device.device.compileSeconds
            let start = monotonicSeconds()
            self.a = try stream.upload(a)
            self.b = try stream.upload(b)
            self.bias = try bias.map { try stream.upload($0) }
            try stream.finish()
            uploadSeconds = monotonicSeconds() - start
            c = try stream.allocate(rows: a.rows, columns: b.columns)
            try multiply()
            try stream.finish()
            compileSeconds = device.device.compileSeconds - compiled
        }

        func multiply() throws {
            try device.stream.gemm(a, b, bias: bias, activation: bias == nil ? .identity : .relu, into: c)
        }

        /// Seconds of one product.
        func run(atLeast minimum: Double) throws -> Double {
            while true {
                let seconds = try BenchmarkTiming.seconds {
                    for _ in 0..<repetitions { try multiply() }
                    try device.stream.finish()
                }
                if seconds >= minimum { return seconds / Double(repetitions) }
                repetitions = max(repetitions + 1, Int(1.2 * minimum / seconds * Double(repetitions)))
            }
        }
    }

    private func checked(_ rows: Int) -> [Int] {
        let count = min(rows, Self.checkedRows)
        return (0..<count).map { $0 * (rows - 1) / max(count - 1, 1) }
    }

    /// The checked rows in double precision.
    private func oracle(_ a: HostMatrix, _ b: HostMatrix, _ bias: HostMatrix?) -> [Float] {
        checked(a.rows).flatMap { row -> [Float] in
            var sums = [Double](repeating: 0, count: b.columns)
            sums.withUnsafeMutableBufferPointer { sums in
                for k in 0..<a.columns {
                    let factor = Double(a[row, k])
                    let source = b.row(k)
                    for column in 0..<sums.count { sums[column] += factor * Double(source[column]) }
                }
            }
            guard let bias else { return sums.map { Float($0) } }
            return sums.indices.map { Float(max(sums[$0] + Double(bias[0, $0]), 0)) }
        }
    }
}
