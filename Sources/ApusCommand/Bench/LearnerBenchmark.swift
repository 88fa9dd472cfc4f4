import ArgumentParser
import Core
import Learners
import Tables

/// `apus bench learner`
struct LearnerBenchmark: BenchmarkCase {
    static let name = "learner"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Fitting a learner of tables to features, or predicting with it.",
        discussion: """
            The features are those of a safetensors file: `x` (F32, rows × columns), or `row_pointers` (I64), `columns` \
            (I32) and `values` (F32) with `column_count` (I64); `target` (F64: numbers, or indices of classes). Without \
            a file, two classes by a linear rule.
            """)

    @Option(help: "The learner, with parameters in parentheses: logistic, \"svm(c=10)\".")
    var learner = "logistic"
    @Option(help: "File with features and target (default: generated).")
    var training: String?
    @Option(help: "Rows of generated features.")
    var rows = 100_000
    @Option(help: "Columns of generated features.")
    var columns = 30
    @Flag(name: .customLong("predict"), help: "Time the predictions for all rows, fitted once, in place of the fit.")
    var predicts = false
    @OptionGroup var flags: BenchmarkFlags

    static func arguments(quick: Bool) -> [String] { quick ? ["--rows", "5000"] : [] }

    func validate() throws {
        for (name, value) in [("rows", rows), ("columns", columns)] where !(1...1 << 24).contains(value) {
            throw ValidationError("--\(name) must be from 1 to 2^24, not \(value)")
        }
    }

    func measure(on devices: [BenchmarkDevice]) throws -> [BenchmarkRecord] {
        let learner = try LearnerRegistry.parse(learner)
        let data = try training.map { try Self.read($0, learner) } ?? generated()
        let fits = devices.map { Fit($0, learner, data, threads: flags.global.threads) }
        for fit in fits { _ = try fit.run() }
        let samples = try BenchmarkTiming.takingTurns(flags, fits.map { fit in predicts ? fit.predict : fit.run })
        var entries = data.rows * data.features.columns.count
        if case .sparse(let matrix) = data.features.values { entries = matrix.entryCount }
        return zip(fits, samples).map { fit, samples in
            fit.device.record(
                Self.name,
                subject: "\(self.learner)\(predicts ? " predicts" : ""), \(data.rows) × \(data.features.columns.count)",
                sizes: ["rows": data.rows, "columns": data.features.columns.count, "entries": entries],
                samples: samples, operations: 0, bytes: Double(4 * entries), compileSeconds: 0, transferSeconds: 0,
                deviation: nil, loss: fit.objective, percentOfLimit: .some(nil))
        }
    }

    private static func read(_ path: String, _ learner: any SupervisedLearner) throws -> TrainingSet {
        let file = try SafetensorsFile(path: path)
        let target = try file.doubles("target").array
        let features: Features
        if let tensor = file.tensor("x") {
            let columns = tensor.shape.last ?? 0
            features = Features(
                HostMatrix(
                    rows: target.count, columns: columns, storage: try file.floats("x", shape: [target.count, columns]))
            )
        } else {
            let columns = Int(try file.int64s("column_count")[0])
            let matrix = HostSparseMatrix(
                rows: target.count, columns: columns,
                rowPointers: try file.int64s("row_pointers", shape: [target.count + 1]),
                columnIndices: try file.int32s("columns"), values: try file.floats("values"))
            features = Features(
                columns: (0..<columns).map { FeatureDescription(name: "x\($0)") }, values: .sparse(matrix))
        }
        let classes = Set(target).count
        let isClassification = classes <= 100 && target.allSatisfy { $0 == $0.rounded() && $0 >= 0 }
        let task =
            isClassification && type(of: learner).tasks.contains(.binary)
            ? try SupervisedTask.classification((0..<classes).map { "\($0)" }) : .regression
        return TrainingSet(features: features, task: task, target: target)
    }

    private func generated() -> TrainingSet {
        let matrix = BenchmarkNumbers.uniform(rows: rows, columns: columns, stream: 21)
        let noise = BenchmarkNumbers.uniform(rows: rows, columns: 1, stream: 22)
        let target = (0..<rows).map { row -> Double in
            matrix[row, 0] - 2 * matrix[row, columns / 2] + noise[row, 0] > 0 ? 1 : 0
        }
        return TrainingSet(
            features: Features(matrix), task: .binary(negative: "0", positive: "1"), target: target)
    }

    /// A learner on one device.
    private final class Fit {
        let device: BenchmarkDevice
        private(set) var objective: Double?
        private var predictor: (any SupervisedPredictor)?
        private let learner: any SupervisedLearner
        private let data: TrainingSet
        private let threads: Int?

        init(_ device: BenchmarkDevice, _ learner: any SupervisedLearner, _ data: TrainingSet, threads: Int?) {
            self.device = device
            self.learner = learner
            self.data = data
            self.threads = threads
        }

        func run() throws -> Double { try timed(learner) }

        private func timed<Learner: SupervisedLearner>(_ learner: Learner) throws -> Double {
            let context = LearningContext(stream: device.stream, threads: threads)
            let started = monotonicSeconds()
            let predictor = try learner.fit(data, context: context)
            let seconds = monotonicSeconds() - started
            objective = predictor.facts.first { $0.name == "objective" }?.value
            self.predictor = predictor
            return seconds
        }

        /// Seconds of predicting every row with what was fitted last.
        func predict() throws -> Double {
            let context = LearningContext(stream: device.stream, threads: threads)
            let started = monotonicSeconds()
            _ = try predictor?.predict(data.features, context: context)
            return monotonicSeconds() - started
        }
    }
}
