import CVectorLoops
import Compute
import Core
import Tables

/// √(2/D) · cos(xW + phase): features whose products are, on average, the RBF kernel (Rahimi and Recht 2007).
///
/// The product is the device's. Tensors: `predictor.directions` (F32, columns × D), `predictor.phases` (F32).
struct RandomFourierFeatures: Sendable {
    struct Settings: Codable, Sendable {
        var count: Int
    }

    let settings: Settings
    private let directions: HostMatrix
    private let phases: [Float]

    init(columns: Int, count: Int, gamma: Double, seed: UInt64) {
        settings = Settings(count: count)
        let normal = Philox(seed: seed, stream: 0x5246_4600)
        let uniform = Philox(seed: seed, stream: 0x5246_4601)
        let scale = (2 * gamma).squareRoot()
        directions = HostMatrix(
            rows: columns, columns: count,
            elements: (0..<columns * count).map { Float(scale * normal.normal(UInt64($0))) })
        phases = (0..<count).map { Float(2 * Double.pi * uniform.uniform64(UInt64($0))) }
    }

    init(settings: Settings, file: SafetensorsFile, columns: Int) throws {
        self.settings = settings
        directions = HostMatrix(
            rows: columns, columns: settings.count,
            storage: try file.floats("predictor.directions", shape: [columns, settings.count]))
        phases = try file.floats("predictor.phases", shape: [settings.count]).array
    }

    func write(to writer: inout SafetensorsWriter) {
        writer.add("predictor.directions", shape: [directions.rows, directions.columns], directions.storage)
        writer.add("predictor.phases", shape: [phases.count], HostBuffer(phases))
    }

    static func descriptions(count: Int) -> [FeatureDescription] {
        (0..<count).map { FeatureDescription(name: "random feature \($0)") }
    }

    func apply(_ features: Features, context: LearningContext) throws -> Features {
        let stream = context.stream
        let output = try stream.allocate(rows: features.rows, columns: settings.count)
        switch features.values {
        case .dense(let matrix):
            try stream.gemm(try stream.wrap(matrix), try stream.wrap(directions), into: output)
        case .sparse(let matrix):
            try stream.multiply(try stream.wrap(matrix), try stream.wrap(directions), into: output)
        }
        let values = try stream.download(output)
        let scale = Float((2 / Double(settings.count)).squareRoot())
        let chunk = 256
        Workers.share(tasks: (values.rows + chunk - 1) / chunk, threads: context.threads) { number in
            let first = number * chunk
            apus_cosines(
                values.storage.baseAddress + first * settings.count, Int64(min(chunk, values.rows - first)),
                Int64(settings.count), phases, scale)
        }
        return Features(columns: Self.descriptions(count: settings.count), values: .dense(values))
    }
}
