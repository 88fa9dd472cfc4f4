import ArgumentParser
import Compute
import Core

/// The operands of a product on one device.
final class GemmProduct {
    let device: BenchmarkDevice
    /// Whether the operands stay on the host and pass through the device; a run then has its transfers in it.
    let isTiled: Bool
    private(set) var uploadSeconds = 0.0
    private(set) var compileSeconds = 0.0
    private let count: Int
    private let precision: ProductPrecision
    private var operands: (a: Matrix, b: Matrix, c: Matrix, bias: Matrix?)?
    private let host: (a: HostMatrix, b: HostMatrix)
    private var result: HostMatrix?
    private var repetitions = 1

    init(
        _ device: BenchmarkDevice, _ a: HostMatrix, _ b: HostMatrix, _ bias: HostMatrix?, count: Int,
        precision: ProductPrecision, isTiled: Bool
    ) throws {
        self.device = device
        self.isTiled = isTiled
        self.count = count
        self.precision = precision
        host = (a, b)
        let stream = device.stream
        let compiled = device.device.compileSeconds
        if !isTiled {
            let start = monotonicSeconds()
            let (left, right) = (try stream.upload(a), try stream.upload(b))
            let biases = try bias.map { try stream.upload($0) }
            try stream.finish()
            uploadSeconds = monotonicSeconds() - start
            operands = (left, right, try stream.allocate(rows: a.rows, columns: b.columns), biases)
        }
        try multiply()
        try stream.finish()
        compileSeconds = device.device.compileSeconds - compiled
    }

    func multiply() throws {
        let stream = device.stream
        guard let (a, b, c, bias) = operands else {
            result = try stream.hostGemm(host.a, host.b)
            return
        }
        if count > 1 {
            try stream.batchedGemm(count: count, a, b, into: c)
        } else {
            try stream.gemm(
                a, b, bias: bias, activation: bias == nil ? .identity : .relu, precision: precision, into: c)
        }
    }

    func download() throws -> HostMatrix {
        guard let operands else { return result ?? HostMatrix(rows: 0, columns: host.b.columns) }
        return try device.stream.download(operands.c)
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

extension ProductPrecision: ExpressibleByArgument {}
