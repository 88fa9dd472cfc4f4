import Core

/// Rows to train a network on, in parts of which one at a time is in memory.
///
/// A part should be a random sample of all rows: an epoch takes the parts in an order of its own, and the rows of each in
/// an order of its own, but does not mix rows of several parts in a batch.
public protocol NetworkDataParts: Sendable {
    /// Rows of each part; none is empty.
    var partRows: [Int] { get }
    /// Columns of the features.
    var columns: Int { get }
    var isWeighted: Bool { get }
    /// The sum of the weights of all rows, or their number.
    var totalWeight: Double { get }
    /// A number that changes with the data.
    var fingerprint: String { get }
    func part(_ index: Int) throws -> NetworkData
}

/// Data that are in memory as a whole.
struct WholeNetworkData: NetworkDataParts {
    let data: NetworkData

    var partRows: [Int] { [data.rows] }
    var columns: Int { data.features.columns }
    var isWeighted: Bool { data.weights != nil }
    var totalWeight: Double { data.totalWeight }
    var fingerprint: String { data.fingerprint }
    func part(_ index: Int) -> NetworkData { data }
}

extension NetworkData {
    /// The sum of the weights, or the number of rows.
    var totalWeight: Double { weights.map { $0.reduce(0.0) { $0 + Double($1) } } ?? Double(rows) }
}

/// The order in which an epoch goes through parts and their rows: the same on every device.
struct EpochOrder {
    /// The parts in their order.
    let parts: [Int]
    /// The number, in the epoch, of the first batch of each of ``parts``, and that behind the last.
    let starts: [Int]
    private let options: NetworkTrainingOptions
    private let epoch: Int

    init(_ rows: [Int], epoch: Int, options: NetworkTrainingOptions) {
        self.options = options
        self.epoch = epoch
        let order =
            options.shuffles && rows.count > 1
            ? Philox(seed: options.seed, stream: NetworkRandom.parts + UInt64(epoch)).permutation(count: rows.count)
            : Array(rows.indices)
        var starts = [0]
        for part in order { starts.append(starts.last! + (rows[part] + options.batchSize - 1) / options.batchSize) }
        (parts, self.starts) = (order, starts)
    }

    /// The place, in ``parts``, of the part that a batch belongs to.
    func place(ofBatch batch: Int) -> Int { starts.lastIndex { $0 <= batch } ?? 0 }

    /// The rows of a part in their order.
    func rows(ofPart part: Int, count: Int) -> [Int32] {
        if !options.shuffles { return (0..<Int32(count)).map { $0 } }
        let seed = options.seed &+ UInt64(part) &* 0x9E37_79B9_7F4A_7C15
        return Philox(seed: seed, stream: NetworkRandom.shuffle + UInt64(epoch)).permutation(count: count)
            .map { Int32($0) }
    }
}
