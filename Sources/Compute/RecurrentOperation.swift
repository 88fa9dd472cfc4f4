/// The cells of recurrent networks.
public enum RecurrentCell: String, Sendable, CaseIterable, Codable {
    /// h = tanh(x + r)
    case simple
    /// Gated recurrent unit: reset = σ(x₀ + r₀), update = σ(x₁ + r₁), candidate = tanh(x₂ + reset · r₂),
    /// h = (1 − update) · candidate + update · h₋ (Cho and others 2014, with the bias inside, as in PyTorch).
    case gru
    /// Long short-term memory: i, f, o = σ(x + r), g = tanh(x + r), c = f · c₋ + i · g, h = o · tanh c, its gates in the
    /// order i, f, g, o (Hochreiter and Schmidhuber 1997).
    case lstm

    /// Blocks of columns that a step reads for each unit.
    public var gates: Int {
        switch self {
        case .simple: 1
        case .gru: 3
        case .lstm: 4
        }
    }

    /// Blocks of columns that a step keeps for the gradient: the gates, and what of the recurrent part GRU's candidate
    /// had, or LSTM's memory.
    public var kept: Int {
        switch self {
        case .simple: 1
        case .gru: 4
        case .lstm: 5
        }
    }
}

/// One step of a recurrent layer for a batch of sequences, from the two products that a step needs.
public struct RecurrentStep: Sendable {
    public let cell: RecurrentCell
    /// m × (gates · units): W·x + b of this step.
    public let inputs: Matrix
    /// m × (gates · units): U·h₋ + c.
    public let recurrent: Matrix
    /// m × units: h₋; read by GRU.
    public let previous: Matrix
    /// m × (kept · units) of the step before, for LSTM's memory; nil for the first, where it is 0.
    public let previousKept: Matrix?
    /// m × (kept · units)
    public let kept: Matrix
    /// m × units
    public let output: Matrix
}

/// The gradient of ``RecurrentStep``.
public struct RecurrentStepGradient: Sendable {
    public let cell: RecurrentCell
    /// m × units
    public let previous: Matrix
    public let previousKept: Matrix?
    public let kept: Matrix
    /// m × units: the output's gradient from the layer above.
    public let outputGradient: Matrix
    /// m × units, or nil for 0: the output's gradient from the step behind.
    public let carried: Matrix?
    /// m × units: that of LSTM's memory; read as what the step behind left, and written for the step before. Unused by
    /// the other cells.
    public let memoryGradient: Matrix
    /// Whether `memoryGradient` holds something; else it counts as 0.
    public let hasMemoryGradient: Bool
    /// m × (gates · units): of the two products.
    public let inputGradient: Matrix
    public let recurrentGradient: Matrix
    /// m × units: the part of h₋'s gradient that does not go through the product.
    public let previousGradient: Matrix
}

extension Stream {
    /// One step of a recurrent layer; ``RecurrentStep`` has the shapes and ``RecurrentCell`` the formulas.
    public func recurrentStep(
        _ cell: RecurrentCell, inputs: Matrix, recurrent: Matrix, previous: Matrix, previousKept: Matrix? = nil,
        kept: Matrix, into output: Matrix
    ) throws(ComputeError) {
        let name = "recurrentStep"
        try checkAlike([inputs, recurrent], name)
        try checkAlike([previous, output], name)
        try checkUnits(cell.gates, inputs, output, "inputs", name)
        try checkUnits(cell.kept, kept, output, "kept", name)
        if let previousKept { try checkAlike([kept, previousKept], name) }
        let read = [inputs, recurrent, previous] + (previousKept.map { [$0] } ?? [])
        try requireDisjoint(kept, read, name)
        try requireDisjoint(output, read + [kept], name)
        guard output.count > 0 else { return }
        try submit(
            .network(
                .recurrentStep(
                    RecurrentStep(
                        cell: cell, inputs: inputs, recurrent: recurrent, previous: previous,
                        previousKept: previousKept, kept: kept, output: output))))
    }

    /// The gradient of a step; ``RecurrentStepGradient`` has the shapes.
    public func recurrentStepGradient(
        _ cell: RecurrentCell, previous: Matrix, previousKept: Matrix? = nil, kept: Matrix, outputGradient: Matrix,
        carried: Matrix? = nil, memoryGradient: Matrix, hasMemoryGradient: Bool, inputGradient: Matrix,
        recurrentGradient: Matrix, previousGradient: Matrix
    ) throws(ComputeError) {
        let name = "recurrentStepGradient"
        let small = [previous, outputGradient, memoryGradient, previousGradient] + (carried.map { [$0] } ?? [])
        try checkAlike(small, name)
        try checkAlike([inputGradient, recurrentGradient], name)
        try checkUnits(cell.gates, inputGradient, previous, "inputGradient", name)
        try checkUnits(cell.kept, kept, previous, "kept", name)
        if let previousKept { try checkAlike([kept, previousKept], name) }
        let read =
            [previous, kept, outputGradient] + (carried.map { [$0] } ?? []) + (previousKept.map { [$0] } ?? [])
        let written = [memoryGradient, inputGradient, recurrentGradient, previousGradient]
        for (index, output) in written.enumerated() { try requireDisjoint(output, read + written[..<index], name) }
        guard previous.count > 0 else { return }
        try submit(
            .network(
                .recurrentStepGradient(
                    RecurrentStepGradient(
                        cell: cell, previous: previous, previousKept: previousKept, kept: kept,
                        outputGradient: outputGradient, carried: carried, memoryGradient: memoryGradient,
                        hasMemoryGradient: hasMemoryGradient, inputGradient: inputGradient,
                        recurrentGradient: recurrentGradient, previousGradient: previousGradient))))
    }

    private func checkUnits(
        _ blocks: Int, _ matrix: Matrix, _ units: Matrix, _ label: String, _ name: String
    ) throws(ComputeError) {
        try check(matrix, name)
        try require(
            matrix.rows == units.rows && matrix.columns == blocks * units.columns, name,
            "\(label) is \(matrix.shape), expected \(units.rows) × \(blocks * units.columns)")
    }
}

extension RecurrentCell {
    /// The number in network_recurrent.cl.
    public var number: Int32 {
        switch self {
        case .simple: 0
        case .gru: 1
        case .lstm: 2
        }
    }
}
