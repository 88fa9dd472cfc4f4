import Compute
import Core

/// How often items come next, and numbers to draw others by.
struct SequenceDraws {
    /// Cumulative popularity: item j is drawn by a number in `sums[j] ..< sums[j + 1]`.
    let sums: [Double]
    let negatives: Int
    let random: Philox
    /// Of the batch: its own part of the random numbers.
    var batch = 0

    /// - Parameter counts: how often each item comes next; items with 0 are never drawn.
    init(counts: [Int], negatives: Int, seed: UInt64) {
        var sums = [0.0]
        for count in counts { sums.append(sums[sums.count - 1] + Double(count)) }
        self.sums = sums
        self.negatives = negatives
        random = Philox(seed: seed, stream: NetworkRandom.sampling)
    }

    /// The items drawn for the batch, perhaps some of them repeatedly.
    func items() -> [Int32] {
        let total = sums[sums.count - 1]
        return (0..<negatives).map { draw in
            let number = random.uniform64(UInt64(batch * negatives + draw)) * total
            var (low, high) = (0, sums.count - 1)
            while high - low > 1 {
                let middle = (low + high) / 2
                if sums[middle] <= number { low = middle } else { high = middle }
            }
            return Int32(low)
        }
    }

    /// ln of the share of an item.
    func logShare(_ item: Int32) -> Float {
        Float(logarithm((sums[Int(item) + 1] - sums[Int(item)]) / sums[sums.count - 1]))
    }
}

/// The items that a batch is compared with where these are not all: their vectors, and the gradients of these.
///
/// A batch's own next items are draws by popularity like the others, so that all are corrected alike: by the logarithm
/// of their share (Bengio and Senécal 2008; Yi and others 2019).
struct SequenceCandidates {
    let rows: Matrix
    let gradient: Matrix
    /// 1 × capacity: what is added to the logits; far below all for places without an item.
    let corrections: Matrix
    private let items: Matrix
    private let targets: Matrix
    private let starts: Matrix
    private let order: Matrix
    private let table: Matrix
    private let tableGradient: Matrix
    private var capacity: Int { rows.rows }

    init(
        capacity: Int, columns: Int, table: Matrix, tableGradient: Matrix, stream: Compute.Stream
    ) throws(ComputeError) {
        rows = try stream.allocate(rows: capacity, columns: columns)
        gradient = try stream.allocate(rows: capacity, columns: columns)
        corrections = try stream.allocate(rows: 1, columns: capacity)
        items = try stream.allocate(rows: 1, columns: capacity, .int32)
        targets = try stream.allocate(rows: 1, columns: capacity, .int32)
        starts = try stream.upload((0...Int32(capacity)).map { $0 })
        order = try stream.upload((0..<Int32(capacity)).map { $0 })
        self.table = table
        self.tableGradient = tableGradient
    }

    /// Chooses the items of a batch, and puts their places into the labels. Answers how many items there are.
    func upload(
        _ labels: inout [Int32], count: Int, draws: SequenceDraws, _ stream: Compute.Stream
    ) throws(ComputeError) -> Int {
        let chosen = Set(labels.prefix(count)).union(draws.items()).sorted()
        let place = Dictionary(uniqueKeysWithValues: chosen.enumerated().map { ($1, Int32($0)) })
        for row in 0..<count { labels[row] = place[labels[row]]! }
        let empty = capacity - chosen.count
        try stream.upload(chosen + [Int32](repeating: 0, count: empty), to: items)
        try stream.upload(chosen + [Int32](repeating: -1, count: empty), to: targets)
        // Finite: the gradient of a place without an item is 0 times its vector.
        try stream.upload(
            chosen.map { -draws.logShare($0) } + [Float](repeating: -1e30, count: empty), to: corrections)
        return chosen.count
    }

    /// Enqueues reading the vectors.
    func gather(_ stream: Compute.Stream) throws(ComputeError) { try stream.gather(table, rows: items, into: rows) }

    /// Enqueues adding the gradients to those of the items.
    func scatter(_ stream: Compute.Stream) throws(ComputeError) {
        try stream.updateRows(
            .add, of: tableGradient, ids: targets, starts: starts, order: order, gradient: gradient)
    }
}
