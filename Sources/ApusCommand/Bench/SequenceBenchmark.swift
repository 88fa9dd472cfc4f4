import ArgumentParser
import Compute
import Core
import Learners
import Tables

/// `apus bench sequence`
struct SequenceBenchmark: BenchmarkCase {
    static let name = "sequence"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Training a sequence model: an epoch of Adam, all positions predicted.",
        discussion: "No dropout, so that losses can be compared. The deviation is that of the epochs' losses.")

    @Option(help: "sasrec or gru.")
    var architecture = SequenceArchitecture.sasrec
    @Option(help: "Items of the catalogue.")
    var items = 12_000
    @Option(help: "Dimension of items and states.")
    var factors = 64
    @Option(help: "Items of a sequence that are read.")
    var length = 50
    @Option(help: "Transformer blocks, or recurrent layers.")
    var layers = 2
    @Option(help: "Heads of the attention.")
    var heads = 2
    @Option(help: "Units within the blocks (default: as many as factors).")
    var hidden: Int?
    @Option(help: "Sequences of an epoch.")
    var sequences = 512
    @Option(help: "Sequences of a step.")
    var batch = 128
    @Option(help: "full or sampled.")
    var loss = SequenceLoss.full
    @Option(help: "A folder with sequences.npy (sequences × length + 1) and weights.safetensors.")
    var folder: String?
    @OptionGroup var flags: BenchmarkFlags

    static func arguments(quick: Bool) -> [String] {
        quick ? ["--items", "2000", "--sequences", "128", "--batch", "64"] : []
    }

    func validate() throws {
        for (name, value) in [("items", items), ("sequences", sequences), ("batch", batch), ("length", length)]
        where !(1...1 << 26).contains(value) {
            throw ValidationError("--\(name) must be from 1 to 2^26, not \(value)")
        }
        guard items > length else { throw ValidationError("--items must be above --length") }
    }

    private var options: SequenceOptions {
        var options = SequenceOptions(architecture)
        options.factors = factors
        options.length = length
        options.layers = layers
        options.heads = heads
        options.hidden = hidden ?? factors
        options.dropout = 0
        options.loss = loss
        options.batchSize = batch
        options.epochs = 2
        return options
    }

    func measure(on devices: [BenchmarkDevice]) throws -> [BenchmarkRecord] {
        let options = options
        try options.validate()
        let histories = try folder.map { try read($0 + "/sequences.npy") } ?? made()
        let parameters = try options.parameters(items: items)
        let weights = try folder.map {
            try NetworkWeights(parameters, file: SafetensorsFile(path: $0 + "/weights.safetensors"), prefix: "")
        }
        let subject =
            "\(architecture.rawValue), \(factors) × \(length), \(items) items, \(loss.rawValue), batch \(batch)"
        let fits = try prepare(devices, subject) { try Fit($0, histories, options, weights) }
        let samples = try BenchmarkTiming.takingTurns(flags, fits.map { fit in fit.run })
        let body = try options.body.resolved()
        let targets = Double(histories.entryCount - histories.rows)
        let layerOperations = body.layers.reduce(0) { $0 + $1.operations }
        let operations =
            3 * targets * (2 * Double(items * factors) + Double(layerOperations) / Double(length))
        let steps = (histories.rows + batch - 1) / batch
        let count = parameters.reduce(0) { $0 + $1.count }
        return zip(fits, samples).map { fit, samples in
            let deviation = zip(fit.losses, fits[0].losses).map { abs($0 - $1) / abs($1) }.max() ?? 0
            return fit.device.record(
                Self.name, subject: subject,
                sizes: [
                    "sequences": histories.rows, "batch": batch, "items": items, "length": length, "parameters": count,
                ],
                settings: ["architecture": architecture.rawValue, "loss": loss.rawValue], samples: samples,
                operations: operations, bytes: 28 * Double(steps * count), compileSeconds: fit.compileSeconds,
                transferSeconds: 0, deviation: (deviation, fits[0].device.name), counters: nil, loss: fit.losses.first)
        }
    }

    /// Sequences of items without repetition, drawn at random.
    private func made() -> HostSparseMatrix {
        let random = Philox(seed: 42, stream: 61)
        return histories(
            (0..<sequences).map { sequence in
                // A stride coprime to the number of items meets none twice.
                let start = random.integer(UInt64(2 * sequence), below: items)
                var stride = random.integer(UInt64(2 * sequence + 1), below: items) | 1
                while Self.divisor(stride, items) != 1 { stride += 2 }
                return (0...length).map { Int32((start + $0 * stride) % items) }
            })
    }

    private static func divisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : divisor(b, a % b) }

    /// What a peer's script has written.
    private func read(_ path: String) throws -> HostSparseMatrix {
        let table = try NumPyFile(path: path).matrix()
        return histories(
            try (0..<table.rows).map { row in
                let own = table.row(row).map { Int32($0) }
                guard Set(own).count == own.count, own.allSatisfy({ $0 >= 0 && $0 < items }) else {
                    throw DataError(
                        "a sequence repeats an item, or has one outside of --items", file: path, line: row + 1)
                }
                return own
            })
    }

    private func histories(_ rows: [[Int32]]) -> HostSparseMatrix {
        var (columns, times): ([Int32], [Int64]) = ([], [])
        var pointers: [Int64] = [0]
        for row in rows {
            for (position, item) in row.enumerated().sorted(by: { $0.element < $1.element }) {
                columns.append(item)
                times.append(Int64(position))
            }
            pointers.append(Int64(columns.count))
        }
        return HostSparseMatrix(
            rows: rows.count, columns: items, rowPointers: HostBuffer(pointers), columnIndices: HostBuffer(columns),
            values: HostBuffer(repeating: 1, count: columns.count), times: HostBuffer(times))
    }

    /// A training on one device, warmed up.
    private final class Fit {
        let device: BenchmarkDevice
        private(set) var compileSeconds = 0.0
        private(set) var losses: [Double] = []
        private let histories: HostSparseMatrix
        private let options: SequenceOptions
        private let weights: NetworkWeights?

        init(
            _ device: BenchmarkDevice, _ histories: HostSparseMatrix, _ options: SequenceOptions,
            _ weights: NetworkWeights?
        ) throws {
            self.device = device
            self.histories = histories
            self.options = options
            self.weights = weights
            let compiled = device.device.compileSeconds
            _ = try run()
            compileSeconds = device.device.compileSeconds - compiled
        }

        /// Seconds of the second epoch.
        func run() throws -> Double {
            let result = try SequenceModel.train(histories, options: options, weights: weights, stream: device.stream)
            losses = result.history.losses
            return result.history.seconds[1]
        }
    }
}
