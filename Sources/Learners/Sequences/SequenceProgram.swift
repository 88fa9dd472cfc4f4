import Compute
import Core

/// A training step for one number of sequences: buffers, and the plans that are replayed for every batch.
///
/// Only places that have a next item are compared with the items: their states are gathered, and the logits are
/// computed some rows at a time in one buffer, in which the gradient takes their place.
final class SequenceProgram {
    private let batch: Int
    private let length: Int
    private let stream: Compute.Stream
    private let inputs: Matrix
    private let places: Matrix
    private let inverse: Matrix
    private let labels: Matrix
    private let segments: Segments
    private let begin: Plan
    private let tiles: [Plan]
    private let end: Plan
    private let tileRows: Int
    private let optimizer: OptimizerState
    private let candidates: SequenceCandidates?
    /// 1 × rows, for ranking: makes the mean over all places that over the items.
    private let weights: Matrix?

    /// Elements of the logits that are in memory at a time: a cache's worth for processors; enough for products to fill the
    /// device on GPUs, where every launch costs.
    private static func tileElements(_ device: any Device) -> Int {
        guard device.identity.deviceClass == .gpu else { return 1 << 21 }
        let bytes = min(device.limits.largestAllocationBytes, device.limits.memoryBytes / 16)
        return max(min(bytes / 4, 1 << 27), 1 << 21)
    }

    /// - Parameters:
    ///   - step: 1 × 1, the number of the step, for dropout.
    ///   - total: 1 × 2, to which the losses are added.
    init(
        _ network: ResolvedNetwork, options: SequenceOptions, items: Int, batch: Int, optimizer: OptimizerState,
        step: Matrix, total: Matrix, stream: Compute.Stream
    ) throws(ComputeError) {
        self.batch = batch
        self.stream = stream
        self.optimizer = optimizer
        length = network.input.rows
        let (rows, d) = (batch * length, network.input.columns)
        let parameters = optimizer.parameters
        inputs = try stream.allocate(rows: 1, columns: rows, .int32)
        places = try stream.allocate(rows: 1, columns: rows, .int32)
        inverse = try stream.allocate(rows: 1, columns: rows, .int32)
        labels = try stream.allocate(rows: 1, columns: rows, .int32)
        segments = try Segments(capacity: rows, stream: stream)
        candidates =
            options.loss != .full
            ? try SequenceCandidates(
                capacity: min(rows + options.negatives, items), columns: d, table: parameters.value("items.weight"),
                tableGradient: parameters.gradient("items.weight"), stream: stream) : nil
        let (table, tableGradient) = (parameters.value("items.weight"), parameters.gradient("items.weight"))
        weights = options.loss == .bpr ? try stream.allocate(rows: 1, columns: rows) : nil
        let compared = candidates?.rows ?? table
        let comparedGradient = candidates?.gradient ?? tableGradient
        let bias = candidates?.corrections

        let compiler = LayerCompiler(
            stream: stream, parameters: parameters, batch: batch, training: true, seed: options.seed, step: step)
        let embedded = try compiler.flow(network.input)
        let states = try compiler.compile(network.layers, embedded)
        let chosen = try stream.allocate(rows: rows, columns: d)
        // The row behind the last is the gradient of places that have no next item.
        let chosenGradient = try stream.allocate(rows: rows + 1, columns: d)
        let losses = try stream.allocate(rows: 1, columns: rows)
        let (inputs, places, inverse, labels) = (inputs, places, inverse, labels)
        let (candidates, segments, weights) = (candidates, segments, weights)
        begin = try stream.record { stream throws(ComputeError) in
            try stream.fill(comparedGradient, with: 0)
            if let candidates {
                try stream.fill(tableGradient, with: 0)
                try candidates.gather(stream)
            }
            try stream.fill(chosenGradient.rows(rows..<rows + 1), with: 0)
            try stream.gather(table, rows: inputs, into: embedded.value)
            try compiler.runForward(stream)
            try stream.gather(states.value, rows: places, into: chosen)
        }
        let tileRows = min(max(Self.tileElements(stream.device) / max(compared.rows, 1) / 16 * 16, 16), rows)
        self.tileRows = tileRows
        let logits = try stream.allocate(rows: tileRows, columns: compared.rows)
        var plans: [Plan] = []
        for first in stride(from: 0, to: rows, by: tileRows) {
            let own = first..<min(first + tileRows, rows)
            let tile = logits.rows(0..<own.count)
            plans.append(
                try stream.record { stream throws(ComputeError) in
                    try stream.gemm(chosen.rows(own), compared, transposeB: true, bias: bias, into: tile)
                    if options.loss == .bpr {
                        try stream.rankingLoss(
                            tile, labels: labels.columns(own), weights: weights?.columns(own), scale: 1, gradient: tile,
                            losses: losses.columns(own))
                    } else {
                        try stream.softmaxCrossEntropy(
                            tile, labels: labels.columns(own), smoothing: options.labelSmoothing, scale: 1,
                            gradient: tile, losses: losses.columns(own))
                    }
                    try stream.addToTotal(losses.columns(own), total)
                    try stream.gemm(tile, compared, into: chosenGradient.rows(own))
                    try stream.gemm(tile, transposeA: true, chosen.rows(own), beta: 1, into: comparedGradient)
                })
        }
        tiles = plans
        end = try stream.record { stream throws(ComputeError) in
            try stream.gather(chosenGradient, rows: inverse, into: states.gradient!)
            try compiler.runBackward(stream)
            try candidates?.scatter(stream)
            try segments.add(embedded.gradient!, to: tableGradient, stream)
            try optimizer.step(stream)
        }
    }

    /// Uploads a batch and enqueues its step. Fewer sequences than the program's leave the others empty.
    ///
    /// - Returns: the number of next items that were predicted.
    func run(
        _ windows: ArraySlice<Range<Int>>, of data: SequenceData, rate: Double, draws: SequenceDraws?
    ) throws(ComputeError) -> Int {
        let rows = batch * length
        var inputs = [Int32](repeating: 0, count: rows)
        var inverse = [Int32](repeating: Int32(rows), count: rows)
        var (places, labels) = (inputs, [Int32](repeating: -1, count: rows))
        var used: [UInt64] = []
        used.reserveCapacity(rows)
        var count = 0
        for (sequence, window) in windows.enumerated() {
            for (position, place) in window.enumerated() {
                let row = sequence * length + position
                inputs[row] = data.items[place]
                used.append(Segments.pair(item: data.items[place], row: row))
                inverse[row] = Int32(count)
                places[count] = Int32(row)
                labels[count] = data.items[place + 1]
                count += 1
            }
        }
        if let candidates, let draws {
            let items = try candidates.upload(&labels, count: count, draws: draws, stream)
            if let weights {
                let weight = Float(candidates.rows.rows - 1) / Float(max(items - 1, 1))
                try stream.upload([Float](repeating: weight, count: rows), to: weights)
            }
        }
        try stream.upload(inputs, to: self.inputs)
        try stream.upload(places, to: self.places)
        try stream.upload(inverse, to: self.inverse)
        try stream.upload(labels, to: self.labels)
        try segments.upload(used, stream)
        // The gradients are sums over the next items: the step takes their mean.
        try optimizer.prepareStep(rate: rate, examples: max(count, 1), stream)
        try stream.replay(begin)
        for tile in 0..<(count + tileRows - 1) / tileRows { try stream.replay(tiles[tile]) }
        try stream.replay(end)
        return count
    }
}

/// Which rows of a gradient belong to which row of a table: what ``Compute/Stream/updateRows`` adds up.
struct Segments {
    private let ids: Matrix
    private let starts: Matrix
    private let order: Matrix
    private let capacity: Int

    init(capacity: Int, stream: Compute.Stream) throws(ComputeError) {
        self.capacity = capacity
        ids = try stream.allocate(rows: 1, columns: capacity, .int32)
        starts = try stream.allocate(rows: 1, columns: capacity + 1, .int32)
        order = try stream.allocate(rows: 1, columns: capacity, .int32)
    }

    /// An item and a row of the gradient, in one number that sorts by both.
    static func pair(item: Int32, row: Int) -> UInt64 { UInt64(item) << 32 | UInt64(row) }

    /// - Parameter pairs: at most as many as the capacity.
    func upload(_ pairs: [UInt64], _ stream: Compute.Stream) throws(ComputeError) {
        let sorted = pairs.sorted()
        var ids = [Int32](repeating: -1, count: capacity)
        var starts = [Int32](repeating: Int32(sorted.count), count: capacity + 1)
        var order = [Int32](repeating: 0, count: capacity)
        var segment = -1
        for (place, pair) in sorted.enumerated() {
            let item = Int32(pair >> 32)
            if segment < 0 || ids[segment] != item {
                segment += 1
                ids[segment] = item
                starts[segment] = Int32(place)
            }
            order[place] = Int32(truncatingIfNeeded: pair)
        }
        try stream.upload(ids, to: self.ids)
        try stream.upload(starts, to: self.starts)
        try stream.upload(order, to: self.order)
    }

    /// Enqueues adding the rows to the table.
    func add(_ gradient: Matrix, to table: Matrix, _ stream: Compute.Stream) throws(ComputeError) {
        try stream.updateRows(.add, of: table, ids: ids, starts: starts, order: order, gradient: gradient)
    }
}
