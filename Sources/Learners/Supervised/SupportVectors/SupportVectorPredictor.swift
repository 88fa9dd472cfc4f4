import CVectorLoops
import Compute
import Core
import Tables

/// A support vector machine: linear, linear in random features, or by its support vectors.
public struct SupportVectorPredictor: SupervisedPredictor {
    public struct Settings: Codable, Sendable {
        var linear: LinearPredictor.Settings?
        var kernel: KernelPredictor.Settings?
        var map: RandomFourierFeatures.Settings?
    }

    private let linear: LinearPredictor?
    private let kernel: KernelPredictor?
    private let map: RandomFourierFeatures?

    init(linear: LinearPredictor, map: RandomFourierFeatures? = nil) {
        self.linear = linear
        self.map = map
        kernel = nil
    }

    init(kernel: KernelPredictor) {
        self.kernel = kernel
        linear = nil
        map = nil
    }

    public var settings: Settings {
        Settings(linear: linear?.settings, kernel: kernel?.settings, map: map?.settings)
    }

    public init(
        settings: Settings, file: SafetensorsFile, task: SupervisedTask, columns: [FeatureDescription]
    ) throws {
        map = try settings.map.map { try RandomFourierFeatures(settings: $0, file: file, columns: columns.count) }
        kernel = try settings.kernel.map {
            try KernelPredictor(settings: $0, file: file, task: task, columns: columns.count)
        }
        let inner = settings.map.map { RandomFourierFeatures.descriptions(count: $0.count) } ?? columns
        linear = try settings.linear.map { try LinearPredictor(settings: $0, file: file, task: task, columns: inner) }
        guard linear != nil || kernel != nil else { throw DataError("the predictor of the file is damaged") }
    }

    public func write(to writer: inout SafetensorsWriter) {
        linear?.write(to: &writer)
        kernel?.write(to: &writer)
        map?.write(to: &writer)
    }

    public func predict(_ features: Features, context: LearningContext) throws -> HostMatrix {
        if let kernel { return try kernel.predict(features, context: context) }
        guard let linear else { preconditionFailure("a predictor is linear or has a kernel") }
        return try linear.predict(try map?.apply(features, context: context) ?? features, context: context)
    }

    public var coefficients: [Coefficient]? { map == nil ? linear?.coefficients : nil }
    public var importances: FeatureImportances? { map == nil ? linear?.importances : nil }
    public var facts: [(name: String, value: Double)] { linear?.facts ?? kernel?.facts ?? [] }

    public func contributions(
        of features: Features, output: Int, context: LearningContext
    ) throws -> FeatureContributions? {
        guard map == nil, let linear,
            let found = try linear.contributions(of: features, output: output, context: context)
        else { return nil }
        return FeatureContributions(base: found.base, values: found.values, columns: found.columns, scale: "margin")
    }
}

/// Support vectors with their coefficients.
///
/// Tensors: `predictor.support_vectors` (F32, vectors × columns), `predictor.coefficients` (F64, scores × vectors),
/// `predictor.intercepts` (F64).
struct KernelPredictor: Sendable {
    struct Settings: Codable, Sendable {
        var kernel: KernelFunction
        var iterations: Int
        var converged: Bool
    }

    let settings: Settings
    private let vectors: HostMatrix
    private let coefficients: [Double]
    private let intercepts: [Double]
    private let task: SupervisedTask

    init(
        points: HostMatrix, coefficients: [[Double]], intercepts: [Double], kernel: KernelFunction,
        task: SupervisedTask, iterations: Int, converged: Bool
    ) {
        settings = Settings(kernel: kernel, iterations: iterations, converged: converged)
        self.task = task
        self.intercepts = intercepts
        // Rows that support no class's margin are not needed any more.
        let kept = (0..<points.rows).filter { row in coefficients.contains { $0[row] != 0 } }
        let vectors = HostMatrix(rows: kept.count, columns: points.columns)
        for (place, row) in kept.enumerated() { _ = vectors.row(place).update(fromContentsOf: points.row(row)) }
        self.vectors = vectors
        self.coefficients = coefficients.flatMap { own in kept.map { own[$0] } }
    }

    init(settings: Settings, file: SafetensorsFile, task: SupervisedTask, columns: Int) throws {
        self.settings = settings
        self.task = task
        let scores = task.kind == .binary ? 1 : task.labels.count
        let count = file.tensor("predictor.support_vectors")?.shape.first ?? 0
        vectors = HostMatrix(
            rows: count, columns: columns,
            storage: try file.floats("predictor.support_vectors", shape: [count, columns]))
        coefficients = try file.doubles("predictor.coefficients", shape: [scores, count]).array
        intercepts = try file.doubles("predictor.intercepts", shape: [scores]).array
    }

    func write(to writer: inout SafetensorsWriter) {
        writer.add("predictor.support_vectors", shape: [vectors.rows, vectors.columns], vectors.storage)
        writer.add(
            "predictor.coefficients", shape: [intercepts.count, vectors.rows], HostBuffer(coefficients))
        writer.add("predictor.intercepts", shape: [intercepts.count], HostBuffer(intercepts))
    }

    var facts: [(name: String, value: Double)] {
        [
            ("support_vectors", Double(vectors.rows)), ("iterations", Double(settings.iterations)),
            ("converged", settings.converged ? 1 : 0),
        ]
    }

    /// Products on the device, block by block; kernels and sums from them in double precision.
    func scores(_ features: Features, context: LearningContext) throws -> [Double] {
        let outputs = intercepts.count
        var scores = (0..<features.rows).flatMap { _ in intercepts }
        guard vectors.rows > 0, features.rows > 0 else { return scores }
        let stream = context.stream
        let device = try stream.wrap(vectors)
        let norms = squaredNorms(vectors)
        let block = min(features.rows, max(1, (1 << 24) / vectors.rows))
        let products = try stream.allocate(rows: block, columns: vectors.rows)
        for first in stride(from: 0, to: features.rows, by: block) {
            try context.report("predict", completed: first, total: features.rows, unit: "rows")
            let rows = Array(first..<min(first + block, features.rows))
            let own = features.selecting(rows: rows).dense
            let part = products.rows(0..<rows.count)
            try stream.gemm(try stream.wrap(own), device, transposeB: true, into: part)
            let values = try stream.download(part)
            let ownNorms = squaredNorms(own)
            let kernel = settings.kernel
            let count = vectors.rows
            scores.withUnsafeMutableBufferPointer { scores in
                nonisolated(unsafe) let sums = scores.baseAddress! + first * outputs
                let chunk = 64
                Workers.share(tasks: (rows.count + chunk - 1) / chunk, threads: context.threads) { number in
                    apus_kernel_sums(
                        values.storage.baseAddress, Int64(count), ownNorms, norms, kernel.isRadial ? 0 : 1,
                        Float(kernel.gamma), Float(kernel.offset), Int32(kernel.degree), coefficients, Int64(outputs),
                        sums, Int64(number * chunk), Int64(min((number + 1) * chunk, rows.count)))
                }
            }
        }
        return scores
    }

    private func squaredNorms(_ matrix: HostMatrix) -> [Float] {
        (0..<matrix.rows).map { Float(matrix.row($0).reduce(0) { $0 + Double($1) * Double($1) }) }
    }

    func predict(_ features: Features, context: LearningContext) throws -> HostMatrix {
        let scores = try scores(features, context: context)
        let predictions = HostMatrix(rows: features.rows, columns: task.outputs)
        for row in 0..<features.rows {
            if task.kind == .binary {
                let likelihood = 1 / (1 + exponential(-scores[row]))
                (predictions[row, 0], predictions[row, 1]) = (Float(1 - likelihood), Float(likelihood))
                continue
            }
            let own = (0..<task.outputs).map { 1 / (1 + exponential(-scores[row * task.outputs + $0])) }
            let sum = max(own.reduce(0, +), 1e-300)
            for output in own.indices { predictions[row, output] = Float(own[output] / sum) }
        }
        return predictions
    }
}
