import ArgumentParser
import Compute
import Core
import Learners
import Tables

/// `apus bench net`
struct NetBenchmark: BenchmarkCase {
    static let name = "net"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Training a dense network: an epoch of Adam, batches in the order of the rows.",
        discussion: """
            ReLU between the layers; logistic loss for one output, else softmax cross-entropy. The deviation is that of \
            the epochs' losses from the first device's. With --tables, a row has as many identifiers beside its numbers, \
            each with a vector in a table of its own. --predict times the predictions of all rows by fresh weights instead, \
            with --eight-bits those of the same network in 8 bits.
            """)

    @Option(help: "Units of the dense layers; the last is the output.")
    var layers = NumberList([64, 64, 1])
    @Option(help: "Columns of the rows.")
    var inputs = 20
    @Option(help: "Rows of an epoch.")
    var rows = 20_000
    @Option(help: "Rows of a step.")
    var batch = 32
    @Option(help: "Tables of vectors.")
    var tables = 0
    @Option(name: .customLong("table-rows"), help: "Vectors of a table.")
    var tableRows = 100_000
    @Option(help: "Numbers of a vector.")
    var units = 16
    @Option(help: "A folder with x.npy, y.npy and w0.npy, … (inputs × units), in place of numbers of its own.")
    var folder: String?
    @Flag(help: "Round the operands of products to bfloat16.")
    var bfloat16 = false
    @Flag(name: .customLong("predict"), help: "Time the predictions of all rows in place of epochs.")
    var predicts = false
    @Flag(name: .customLong("eight-bits"), help: "With --predict: in 8 bits.")
    var hasEightBits = false
    @OptionGroup var flags: BenchmarkFlags

    static func arguments(quick: Bool) -> [String] { quick ? ["--rows", "5000"] : [] }

    func validate() throws {
        for (name, value) in [
            ("inputs", inputs), ("rows", rows), ("batch", batch), ("table-rows", tableRows), ("units", units),
        ]
        where !(1...1 << 28).contains(value) {
            throw ValidationError("--\(name) must be from 1 to 2^28, not \(value)")
        }
        guard (0...4096).contains(tables) else { throw ValidationError("--tables must be from 0 to 4096") }
        guard predicts || !hasEightBits else { throw ValidationError("--eight-bits goes with --predict") }
    }

    func measure(on devices: [BenchmarkDevice]) throws -> [BenchmarkRecord] {
        let problem = try folder.map { try read($0) } ?? made()
        let sizes = layers.numbers.map(String.init).joined(separator: "-")
        let width = problem.data.features.columns + tables * units
        let subject =
            "\(width)-\(sizes), batch \(batch)" + (tables > 0 ? ", \(tables) tables of \(tableRows) × \(units)" : "")
            + (bfloat16 ? ", bfloat16" : "")
        if predicts { return try predictions(of: problem, on: devices, sizes) }
        let fits = try prepare(devices, subject) {
            try Fit($0, problem, batch: batch, bfloat16: bfloat16)
        }
        let samples = try BenchmarkTiming.takingTurns(flags, fits.map { fit in fit.run })
        let network = try problem.architecture.resolved()
        let n = problem.data.rows
        // Forward, and the gradients of the weights and of all inputs but the first.
        let forward = Double(network.layers.reduce(0) { $0 + $1.operations })
        let operations = Double(n) * (3 * forward - (tables > 0 ? 0 : Double(network.layers[0].operations)))
        let steps = (n + batch - 1) / batch
        let dense = network.parameters.reduce(0) { $0 + ($1.role == .trained ? $1.count : 0) }
        // A step reads and writes the vectors of its rows with two moments, and all other parameters.
        let bytes =
            4 * (Double(n) * Double(width + 6 * tables * units) + 7 * Double(steps) * Double(dense))
        return zip(fits, samples).map { fit, samples in
            let deviation = zip(fit.losses, fits[0].losses).map { abs($0 - $1) / abs($1) }.max() ?? 0
            return fit.device.record(
                Self.name, subject: subject,
                sizes: [
                    "rows": n, "batch": batch, "inputs": network.input.columns, "parameters": network.parameterCount,
                ],
                settings: ["layers": sizes], samples: samples, operations: operations, bytes: bytes,
                compileSeconds: fit.compileSeconds, transferSeconds: 0, deviation: (deviation, fits[0].device.name),
                counters: nil, loss: fit.losses.last)
        }
    }

    private func predictions(
        of problem: Problem, on devices: [BenchmarkDevice], _ sizes: String
    ) throws -> [BenchmarkRecord] {
        let network = try problem.architecture.resolved()
        let rows = problem.data.rows
        let subject = "predicts, \(network.input.columns)-\(sizes)" + (hasEightBits ? ", 8 bits" : "")
        let weights = problem.weights ?? NetworkWeights(network.parameters, seed: 42)
        let runs = try prepare(devices, subject) {
            try Predictions($0, problem, weights: weights, hasEightBits: hasEightBits)
        }
        let samples = try BenchmarkTiming.takingTurns(flags, runs.map { run in run.run })
        let operations = Double(rows) * Double(network.layers.reduce(0) { $0 + $1.operations })
        return zip(runs, samples).map { run, samples in
            run.device.record(
                Self.name, subject: subject, sizes: ["rows": rows, "parameters": network.parameterCount],
                settings: ["layers": sizes, "bits": hasEightBits ? "8" : "32"], samples: samples,
                operations: operations, bytes: 4 * Double(rows * network.input.columns), compileSeconds: 0,
                transferSeconds: 0,
                deviation: (
                    zip(run.outputs.storage.array, runs[0].outputs.storage.array).map { Double(abs($0 - $1)) }.max()
                        ?? 0,
                    runs[0].device.name
                ), counters: nil)
        }
    }

    /// A network that predicts on one device, warmed up.
    private final class Predictions {
        let device: BenchmarkDevice
        private(set) var outputs: HostMatrix
        private let runner: NetworkRunner
        private let data: NetworkData

        init(_ device: BenchmarkDevice, _ problem: Problem, weights: NetworkWeights, hasEightBits: Bool) throws {
            self.device = device
            data = problem.data
            let codes =
                try hasEightBits
                ? NetworkQuantizer.quantize(
                    problem.architecture, weights: weights, features: data.features, identifiers: data.identifiers,
                    stream: device.stream) : nil
            runner = try NetworkRunner(
                problem.architecture, weights: weights, quantized: codes,
                stream: device.stream)
            outputs = try runner.outputs(data.features, identifiers: data.identifiers)
        }

        func run() throws -> Double {
            let began = monotonicSeconds()
            outputs = try runner.outputs(data.features, identifiers: data.identifiers)
            return monotonicSeconds() - began
        }
    }

    private struct Problem {
        var architecture: NetworkArchitecture
        var data: NetworkData
        var weights: NetworkWeights?
        var objective: NetworkObjective
    }

    private func architecture(_ inputs: Int) -> NetworkArchitecture {
        var architecture = NetworkArchitecture.perceptron(
            inputs: inputs, hidden: Array(layers.numbers.dropLast()), outputs: layers.numbers.last!)
        guard tables > 0 else { return architecture }
        architecture.identifiers = tables
        architecture.layers.insert(
            .embedding(
                tables: (0..<tables).map { EmbeddingTable(rows: tableRows, column: $0) }, units: units,
                arrangement: .append), at: 0)
        return architecture
    }

    private func made() -> Problem {
        let features = BenchmarkNumbers.uniform(rows: rows, columns: inputs, stream: 51)
        let outputs = layers.numbers.last!
        let random = Philox(seed: 42, stream: 52)
        let labels = (0..<rows).map { Int32(random.integer(UInt64($0), below: max(outputs, 2))) }
        let places = Philox(seed: 42, stream: 53)
        let identifiers =
            tables > 0
            ? IdentifierRows(
                columns: tables,
                values: (0..<rows * tables).map { Int32(places.integer(UInt64($0), below: tableRows)) }) : nil
        let data =
            outputs == 1
            ? NetworkData(features: features, identifiers: identifiers, targets: labels.map { Float($0) })
            : NetworkData(features: features, identifiers: identifiers, labels: labels)
        return Problem(
            architecture: architecture(inputs), data: data, weights: nil, objective: outputs == 1 ? .binary : .classes)
    }

    /// What a peer's script has written.
    private func read(_ folder: String) throws -> Problem {
        let features = try NumPyFile(path: folder + "/x.npy").matrix()
        let targets = try NumPyFile(path: folder + "/y.npy").matrix().storage.array
        let architecture = architecture(features.columns)
        let parameters = try architecture.resolved().parameters
        var values: [HostBuffer<Float>] = []
        for (index, parameter) in parameters.dropFirst(tables).enumerated() {
            guard parameter.shape.count == 2 else {
                values.append(HostBuffer(repeating: 0, count: parameter.count))
                continue
            }
            let table = try NumPyFile(path: folder + "/w\(index / 2).npy").matrix()
            guard table.rows == parameter.shape[1], table.columns == parameter.shape[0] else {
                throw DataError(
                    "w\(index / 2).npy is \(table.rows) × \(table.columns), the layer \(parameter.shape[1]) × \(parameter.shape[0])"
                )
            }
            values.append(
                HostBuffer(
                    (0..<table.columns).flatMap { unit in (0..<table.rows).map { table[$0, unit] } }))
        }
        // Tables begin with zeroes.
        values =
            parameters.prefix(tables).map { HostBuffer(repeating: 0, count: $0.count) } + values
        let identifiers = try tables > 0 ? identifiers(folder) : nil
        let data =
            layers.numbers.last! == 1
            ? NetworkData(features: features, identifiers: identifiers, targets: targets)
            : NetworkData(features: features, identifiers: identifiers, labels: targets.map { Int32($0) })
        return Problem(
            architecture: architecture, data: data, weights: NetworkWeights(parameters, values: values),
            objective: layers.numbers.last! == 1 ? .binary : .classes)
    }

    private func identifiers(_ folder: String) throws -> IdentifierRows {
        let table = try NumPyFile(path: folder + "/ids.npy").matrix()
        guard table.columns == tables else {
            throw DataError("ids.npy has \(table.columns) columns for \(tables) tables")
        }
        return IdentifierRows(columns: tables, values: table.storage.array.map { Int32($0) })
    }

    /// A training on one device, warmed up.
    private final class Fit {
        let device: BenchmarkDevice
        let compileSeconds: Double
        private(set) var losses: [Double] = []
        private let trainer: NetworkTrainer
        private let data: NetworkData

        init(_ device: BenchmarkDevice, _ problem: Problem, batch: Int, bfloat16: Bool) throws {
            self.device = device
            data = problem.data
            var options = NetworkTrainingOptions()
            options.batchSize = batch
            options.epochs = 2
            options.epsilon = 1e-7
            options.shuffles = false
            options.bfloat16 = bfloat16 ? true : nil
            trainer = try NetworkTrainer(
                problem.architecture, objective: problem.objective, options: options, weights: problem.weights,
                stream: device.stream)
            let compiled = device.device.compileSeconds
            _ = try trainer.train(data)
            compileSeconds = device.device.compileSeconds - compiled
        }

        /// Seconds of the second epoch: the first has recorded the plans.
        func run() throws -> Double {
            let result = try trainer.train(data)
            losses = result.history.losses
            return result.history.seconds[1]
        }
    }
}
