import Compute
import Core

/// What a batch means for a layer's tables: the gradient of the vectors that its identifiers named.
struct TableUpdate {
    let table: TableParameters
    let identifiers: IdentifierBatch
    /// The rows that the identifiers name; nil where several batches make a step (``TableAccumulation``).
    let touched: TouchedRows?
    /// batch × (bags · units)
    let gradient: Matrix

    /// - Parameter accumulates: whether the batch makes no step of its own.
    init(
        table: TableParameters, identifiers: IdentifierBatch, gradient: Matrix, accumulates: Bool,
        stream: Compute.Stream
    ) throws(ComputeError) {
        self.table = table
        self.identifiers = identifiers
        self.gradient = gradient
        touched =
            accumulates
            ? nil
            : try TouchedRows(
                count: identifiers.ids.count, limit: table.values.rows, weighted: identifiers.weights != nil,
                stream: stream)
    }

    /// Uploads which rows the identifiers name, after these.
    func upload(_ stream: Compute.Stream) throws(ComputeError) {
        try touched?.upload(
            identifiers.hostIDs, weights: identifiers.hostWeights, stream, entry: identifiers.entry)
    }

    /// Enqueues the step.
    func run(_ method: RowUpdateMethod, controls: Matrix?, _ stream: Compute.Stream) throws(ComputeError) {
        if let touched { try table.update(method, touched, gradient: gradient, controls: controls, stream) }
    }
}

/// The gradients of a layer's tables from several batches that make one step: kept side by side, because they name
/// other rows each, and added up row by row when the step is made. So it is the step of one large batch, and takes as
/// much memory as the vectors of that, not as the tables.
final class TableAccumulation {
    private let table: TableParameters
    /// (batches · their rows) × (bags · units)
    private let gradient: Matrix
    private let touched: TouchedRows
    private let bags: Int
    private var ids: [Int32]
    private var weights: [Float]
    private var entries: [Int32]
    /// Rows, and identifiers, of the batches so far.
    private var (rows, count) = (0, 0)

    /// - Parameter rows: of all batches of a step together, at most.
    init(like update: TableUpdate, rows: Int, stream: Compute.Stream) throws(ComputeError) {
        let identifiers = update.identifiers
        table = update.table
        gradient = try stream.allocate(rows: rows, columns: update.gradient.columns)
        bags = update.gradient.columns / table.values.columns
        let capacity = rows * identifiers.ids.columns
        let weighted = identifiers.weights != nil
        touched = try TouchedRows(
            count: capacity, limit: table.values.rows, weighted: weighted, stream: stream)
        ids = [Int32](repeating: -1, count: capacity)
        weights = [Float](repeating: 1, count: weighted ? capacity : 0)
        entries = [Int32](repeating: 0, count: capacity)
    }

    /// Enqueues keeping the gradient of a batch.
    func add(_ update: TableUpdate, _ stream: Compute.Stream) throws(ComputeError) {
        let identifiers = update.identifiers
        try stream.copy(update.gradient, to: gradient.rows(rows..<rows + update.gradient.rows))
        for place in identifiers.hostIDs.indices {
            ids[count + place] = identifiers.hostIDs[place]
            entries[count + place] = identifiers.entry(place) + Int32(rows * bags)
            if !weights.isEmpty { weights[count + place] = identifiers.hostWeights[place] }
        }
        rows += update.gradient.rows
        count += identifiers.hostIDs.count
    }

    /// Enqueues the step, and begins anew.
    func step(_ method: RowUpdateMethod, controls: Matrix, _ stream: Compute.Stream) throws(ComputeError) {
        for place in count..<ids.count { ids[place] = -1 }
        let entries = entries
        try touched.upload(ids, weights: weights, stream) { entries[$0] }
        try table.update(method, touched, gradient: gradient, controls: controls, stream)
        clear()
    }

    /// Forgets what was kept.
    func clear() { (rows, count) = (0, 0) }
}

extension TableParameters {
    fileprivate func update(
        _ method: RowUpdateMethod, _ touched: TouchedRows, gradient: Matrix, controls: Matrix?, _ stream: Compute.Stream
    ) throws(ComputeError) {
        try stream.updateRows(
            method, of: method == .add ? self.gradient! : values, ids: touched.rows, starts: touched.starts,
            order: touched.order, factors: touched.factors, gradient: gradient, first: first, second: second,
            controls: controls)
    }
}
