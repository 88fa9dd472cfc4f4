import ArgumentParser
import Compute
import Core

/// `apus bench gemm`
struct GemmBenchmark: BenchmarkCase {
    static let name = "gemm"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Dense products C = A · B, float32.",
        discussion: """
            Small products are queued several at a time, as in a pipeline. Products that do not fit on a device pass \
            through it in tiles, from the host's memory and back, and are timed with the transfers. The deviation is \
            that of eight rows of the result from sums in double precision, relative to the largest of these.
            """)

    @Option(help: "Sizes of square products, as a list.")
    var sizes = NumberList([256, 512, 1024, 2048, 4096])
    @Option(help: "Further products as MxKxN, several separated by commas: 100000x64x256.")
    var shapes: String?
    @Flag(name: .customLong("bias-relu"), help: "Add a bias and apply ReLU in the product's epilogue.")
    var biasReLU = false
    @Option(help: "Products in a batch, each of the sizes given; their rates are of the whole batch.")
    var batch: Int?
    @Option(help: "float32, or bfloat16 on devices that have it.")
    var precision = ProductPrecision.float32
    @OptionGroup var flags: BenchmarkFlags

    static func arguments(quick: Bool) -> [String] { quick ? ["--sizes", "256,512,1024"] : [] }

    /// A queue of small products lasts at least this long.
    private static let secondsOfQueue = 0.02
    private static let checkedRows = 8

    func validate() throws {
        let products = try products()
        if let batch {
            guard batch > 0, biasReLU == false, precision == .float32 else {
                throw ValidationError("--batch must be 1 or more, and goes with float32 and no epilogue")
            }
            let most = products.map { max($0.m, $0.k, $0.n) }.max() ?? 0
            guard most <= 4096, batch <= 1 << 20 else { throw ValidationError("--batch is for small products") }
        }
    }

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
        let count = batch ?? 1
        let a = BenchmarkNumbers.uniform(rows: count * m, columns: k, stream: 1)
        let b = BenchmarkNumbers.uniform(rows: count * k, columns: n, stream: 2)
        let bias = biasReLU ? BenchmarkNumbers.uniform(rows: 1, columns: n, stream: 3) : nil
        let expected = oracle(a, b, bias, m: m)
        let subject = (batch.map { "\($0) of " } ?? "") + "\(m) × \(k) × \(n)"
        let products = try prepare(devices, "gemm \(subject)") { try product($0, a, b, bias) }
        let samples = try BenchmarkTiming.takingTurns(
            flags, products.map { product in { try product.run(atLeast: Self.secondsOfQueue) } })
        let (operations, bytes) = (
            2 * Double(count) * Double(m) * Double(k) * Double(n),
            4 * Double(count) * (Double(m) * Double(k) + Double(k) * Double(n) + Double(m) * Double(n))
        )
        return try zip(products, samples).map { product, samples in
            let before = product.device.stream.counters
            try product.multiply()
            let launches = product.device.stream.counters - before
            var result = HostMatrix(rows: 0, columns: n)
            let download = try BenchmarkTiming.seconds { result = try product.download() }
            let rows = checked(a.rows).flatMap { Array(result.row($0)) }
            let epilogue = biasReLU ? ", bias, ReLU" : ""
            let taken = precision == .float32 ? "" : ", \(precision.rawValue)"
            return product.device.record(
                Self.name, subject: subject + epilogue + taken + (product.isTiled ? ", in tiles" : ""),
                sizes: ["m": m, "k": k, "n": n, "count": count],
                settings: ["epilogue": biasReLU ? "bias-relu" : "none", "precision": precision.rawValue],
                samples: samples, operations: operations, bytes: bytes, compileSeconds: product.compileSeconds,
                transferSeconds: product.uploadSeconds + download,
                deviation: (BenchmarkNumbers.deviation(rows, from: expected), "oracle"), counters: launches)
        }
    }

    /// The product on a device, warmed up; in tiles where its operands do not fit.
    private func product(
        _ device: BenchmarkDevice, _ a: HostMatrix, _ b: HostMatrix, _ bias: HostMatrix?
    ) throws -> GemmProduct {
        do {
            return try GemmProduct(device, a, b, bias, count: batch ?? 1, precision: precision, isTiled: false)
        } catch ComputeError.outOfMemory where bias == nil && batch == nil && precision == .float32 {
            return try GemmProduct(device, a, b, nil, count: 1, precision: precision, isTiled: true)
        }
    }

    private func checked(_ rows: Int) -> [Int] {
        let count = min(rows, Self.checkedRows)
        return (0..<count).map { $0 * (rows - 1) / max(count - 1, 1) }
    }

    /// The checked rows in double precision.
    private func oracle(_ a: HostMatrix, _ b: HostMatrix, _ bias: HostMatrix?, m: Int) -> [Float] {
        checked(a.rows).flatMap { row -> [Float] in
            var sums = [Double](repeating: 0, count: b.columns)
            // Of a batch, the right factor that belongs to the row.
            let first = row / m * a.columns
            sums.withUnsafeMutableBufferPointer { sums in
                for k in 0..<a.columns {
                    let factor = Double(a[row, k])
                    let source = b.row(first + k)
                    for column in 0..<sums.count { sums[column] += factor * Double(source[column]) }
                }
            }
            guard let bias else { return sums.map { Float($0) } }
            return sums.indices.map { Float(max(sums[$0] + Double(bias[0, $0]), 0)) }
        }
    }
}
