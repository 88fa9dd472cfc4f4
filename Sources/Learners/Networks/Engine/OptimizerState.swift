import Compute
import Core

/// Parameters on a device with what an optimizer keeps beside them.
final class OptimizerState {
    let parameters: DeviceParameters
    let options: NetworkTrainingOptions
    /// Adam's means, or velocities.
    let first: Matrix?
    /// Squares.
    let second: Matrix?
    /// Gradients of several batches, when they make one step.
    let accumulated: Matrix?
    /// The same of each layer with tables, from the first batch on.
    private var accumulatedTables: [TableAccumulation] = []
    /// 1 × 4: what changes from step to step.
    let controls: Matrix
    private let norm: Matrix?
    /// 1 × all: 0 for parameters that stay 0.
    private let mask: Matrix?
    /// Steps done.
    private(set) var steps = 0

    /// - Parameter mask: 0 for parameters that stay 0, else 1; nil when all may change.
    init(
        _ parameters: DeviceParameters, options: NetworkTrainingOptions, mask: NetworkWeights? = nil,
        stream: Compute.Stream
    ) throws(ComputeError) {
        self.parameters = parameters
        self.options = options
        func zeroes() throws(ComputeError) -> Matrix {
            let matrix = try stream.allocate(rows: 1, columns: parameters.count)
            try stream.fill(matrix, with: 0)
            return matrix
        }
        switch options.method {
        case .gradientDescent(let momentum, _):
            first = momentum > 0 ? try zeroes() : nil
            second = nil
        case .adam:
            first = try zeroes()
            second = try zeroes()
        case .adagrad:
            first = nil
            second = try zeroes()
        }
        for table in parameters.tables { try table.prepare(for: options.tableMethod, stream) }
        accumulated = options.accumulate > 1 ? try zeroes() : nil
        controls = try stream.allocate(rows: 1, columns: 4)
        self.mask = try mask.map { mask throws(ComputeError) in
            try DeviceParameters(mask, training: false, stream: stream).values
        }
        norm = options.clipNorm != nil ? try stream.allocate(rows: 1, columns: 1) : nil
    }

    /// Sets learning rate and corrections for the next step, and counts it.
    ///
    /// - Parameters:
    ///   - rate: the learning rate.
    ///   - examples: what the gradient is divided by, when it is a sum.
    func prepareStep(rate: Double, examples: Int = 1, _ stream: Compute.Stream) throws(ComputeError) {
        steps += 1
        var numbers = controls(rate: rate, step: steps)
        numbers[3] /= Float(examples)
        try stream.upload(numbers, to: controls)
    }

    /// What a step, counted from 1, needs: rate, 1 / (1 − β₁ᵗ), 1 / √(1 − β₂ᵗ), factor of the gradient.
    func controls(rate: Double, step: Int) -> [Float] {
        let correction1 = 1 / (1 - power(Double(options.beta1), Double(step)))
        let correction2 = 1 / (1 - power(Double(options.beta2), Double(step))).squareRoot()
        return [Float(rate), Float(correction1), Float(correction2), 1 / Float(options.accumulate)]
    }

    /// Counts steps that were done elsewhere.
    func count(steps: Int) { self.steps += steps }

    /// Enqueues the step itself.
    func step(_ stream: Compute.Stream) throws(ComputeError) {
        let gradient = accumulated ?? parameters.gradients!
        if let norm { try stream.rowNorms(gradient, into: norm) }
        try stream.optimizerStep(
            options.method, parameters: parameters.values, gradient: gradient, first: first, second: second,
            controls: controls, norm: norm, largestNorm: options.clipNorm ?? .infinity, l1: options.l1,
            l2: options.l2, decay: options.optimizer == .adamw ? options.weightDecay : 0)
        if let mask {
            // Element by element: a column whose rows are the parameters.
            let column = parameters.values.window(rows: parameters.count, columns: 1)
            try stream.scaleRows(column, by: mask, into: column)
        }
        if let accumulated { try stream.fill(accumulated, with: 0) }
    }

    /// Enqueues the step of the rows of tables that a batch has touched.
    func step(_ updates: [TableUpdate], _ stream: Compute.Stream) throws(ComputeError) {
        for update in updates { try update.run(options.tableMethod, controls: controls, stream) }
    }

    /// Enqueues adding the gradients of a batch to those before it.
    func accumulate(_ stream: Compute.Stream) throws(ComputeError) {
        guard let accumulated else { return }
        try stream.combine(accumulated, parameters.gradients!, into: accumulated)
    }

    /// Enqueues keeping the gradients of the tables of a batch, where several make a step.
    func accumulate(_ updates: [TableUpdate], _ stream: Compute.Stream) throws(ComputeError) {
        guard options.accumulate > 1 else { return }
        if accumulatedTables.isEmpty {
            let rows = options.accumulate * options.batchSize
            for update in updates {
                accumulatedTables.append(try TableAccumulation(like: update, rows: rows, stream: stream))
            }
        }
        for (tables, update) in zip(accumulatedTables, updates) { try tables.add(update, stream) }
    }

    /// Enqueues the step of the tables that the gradients kept make.
    func stepAccumulatedTables(_ stream: Compute.Stream) throws(ComputeError) {
        for tables in accumulatedTables { try tables.step(options.tableMethod, controls: controls, stream) }
    }

    /// Everything that a later step depends on, as values of the host.
    func snapshot(_ stream: Compute.Stream) throws(ComputeError) -> OptimizerSnapshot {
        var others: [HostMatrix] = []
        for matrix in otherState { others.append(try stream.download(matrix)) }
        return OptimizerSnapshot(
            values: try stream.download(parameters.values),
            first: try first.map { m throws(ComputeError) in try stream.download(m) },
            second: try second.map { m throws(ComputeError) in try stream.download(m) }, others: others, steps: steps)
    }

    /// Goes back, or on, to a snapshot of the same network and options.
    func restore(_ snapshot: OptimizerSnapshot, _ stream: Compute.Stream) throws(ComputeError) {
        try stream.upload(snapshot.values.storage.array, to: parameters.values)
        if let first, let saved = snapshot.first { try stream.upload(saved.storage.array, to: first) }
        if let second, let saved = snapshot.second { try stream.upload(saved.storage.array, to: second) }
        for (matrix, saved) in zip(otherState, snapshot.others) {
            try stream.upload(saved.storage.array, to: matrix)
        }
        if let accumulated { try stream.fill(accumulated, with: 0) }
        for tables in accumulatedTables { tables.clear() }
        steps = snapshot.steps
    }

    /// What ``snapshot(_:)`` puts into ``OptimizerSnapshot/others``.
    private var otherState: [Matrix] {
        (parameters.statistics.count > 0 ? [parameters.statistics] : [])
            + parameters.tables.flatMap { [$0.values, $0.first, $0.second].compactMap { $0 } }
    }
}

/// The state of an optimizer between two steps: 1 × all parameters, as they lie on the device.
struct OptimizerSnapshot: Sendable {
    var values: HostMatrix
    var first: HostMatrix?
    var second: HostMatrix?
    /// Statistics, and tables with what belongs to them.
    var others: [HostMatrix] = []
    var steps: Int
}

/// The snapshot in a checkpoint: tensors `state.values`, `state.first`, `state.second`, `state.other.0` ….
extension OptimizerSnapshot {
    func write(to writer: inout SafetensorsWriter) {
        writer.add("state.values", shape: [values.columns], values.storage)
        if let first { writer.add("state.first", shape: [first.columns], first.storage) }
        if let second { writer.add("state.second", shape: [second.columns], second.storage) }
        for (index, matrix) in others.enumerated() {
            writer.add("state.other.\(index)", shape: [matrix.rows, matrix.columns], matrix.storage)
        }
    }

    /// Throws ``DataError`` when the file holds no state.
    init(file: SafetensorsFile, steps: Int) throws {
        func vector(_ name: String) throws -> HostMatrix? {
            guard file.tensor(name) != nil else { return nil }
            let storage = try file.floats(name)
            return HostMatrix(rows: 1, columns: storage.count, storage: storage)
        }
        guard let values = try vector("state.values") else {
            throw DataError("the checkpoint has no state", file: file.path)
        }
        self.init(values: values, first: try vector("state.first"), second: try vector("state.second"), steps: steps)
        while let tensor = file.tensor("state.other.\(others.count)"), tensor.shape.count == 2 {
            others.append(
                HostMatrix(
                    rows: tensor.shape[0], columns: tensor.shape[1],
                    storage: try file.floats("state.other.\(others.count)", shape: tensor.shape)))
        }
    }
}
