import CVectorLoops
import Core
import Tables

/// Learns from pairs by stochastic gradient steps, on several threads with the same bits for every number of them.
///
/// Users are divided into shards once, items into as many blocks anew for every pass, by number alone. In round r of a
/// pass, shard s takes its interactions with block (s + r) mod shards, the items that users do not have from that
/// block, too: no two shards touch the same row, so that the steps of a round need neither locks nor an order.
/// (Stratification as in Gemulla et al., "Large-scale matrix factorization with distributed stochastic gradient descent",
/// KDD 2011.) How many shards there are depends on the data only.
struct PairwiseTrainer {
    let options: PairwiseOptions
    let threads: Int
    let byUser: HostSparseMatrix
    let items: [Int32]
    let shards: Int
    private let tables: PairwiseTables
    private let shardBounds: [Int]

    init(byUser: HostSparseMatrix, options: PairwiseOptions, threads: Int) throws {
        try options.validate()
        guard byUser.entryCount > 0 else { throw DataError("there are no interactions to learn from") }
        self.byUser = byUser
        self.options = options
        self.threads = threads
        var counts = [Int32](repeating: 0, count: byUser.columns)
        for entry in 0..<byUser.entryCount { counts[Int(byUser.columnIndices[entry])] += 1 }
        let items = counts.indices.filter { counts[$0] > 0 }.map { Int32($0) }
        self.items = items
        guard items.count >= 2 else {
            throw DataError("there is one item only: no pairs to learn from")
        }
        let shards = max(1, min(16, items.count / Self.itemsPerBlock, byUser.entryCount / Self.entriesPerShard))
        self.shards = shards
        // Users in ranges of about as many interactions.
        var bounds = [0]
        for user in 0..<byUser.rows
        where bounds.count < shards && Int(byUser.rowPointers[user + 1]) * shards >= byUser.entryCount * bounds.count {
            bounds.append(user + 1)
        }
        while bounds.count <= shards { bounds.append(byUser.rows) }
        shardBounds = bounds
        tables = PairwiseTables(byUser: byUser, items: items, options: options)
    }

    /// Smaller blocks would show a user too few of the items that they don't have.
    private static let itemsPerBlock = 64
    private static let entriesPerShard = 4096

    /// Runs all passes.
    func run(progress: ProgressHandler?) throws -> PairwiseTables {
        let start = monotonicSeconds()
        let pairs = HostBuffer<Int32>(uninitializedCount: byUser.entryCount)
        let users = HostBuffer<Int32>(uninitializedCount: byUser.entryCount)
        for pass in 0..<options.iterations {
            try self.pass(pass, users, pairs)
            let decision = progress?(
                ProgressReport(
                    phase: "train", completed: pass + 1, total: options.iterations, unit: "iterations",
                    elapsedSeconds: monotonicSeconds() - start))
            if decision == .stop, pass + 1 < options.iterations { throw CancellationError() }
        }
        guard tables.areFinite else {
            throw ParameterError("learningRate", "the factors are not finite; lower it")
        }
        return tables
    }

    /// One pass: as many steps as there are interactions.
    private func pass(_ pass: Int, _ users: HostBuffer<Int32>, _ pairs: HostBuffer<Int32>) throws {
        let order = Philox(seed: options.seed, stream: 0x4250_5201).permutation(
            count: items.count, start: UInt64(pass * items.count))
        var block = [Int32](repeating: 0, count: byUser.columns)
        var blockItems = [[Int32]](repeating: [], count: shards)
        for (place, position) in order.enumerated() {
            let number = place * shards / items.count
            block[Int(items[position])] = Int32(number)
            blockItems[number].append(items[position])
        }
        // Each shard's interactions, block by block.
        var starts = [[Int]](repeating: [Int](repeating: 0, count: shards + 1), count: shards)
        starts.withUnsafeMutableBufferPointer { starts in
            block.withUnsafeBufferPointer { block in
                let starts = starts.baseAddress!
                Workers.share(tasks: shards, threads: threads) { shard in
                    starts[shard] = sort(shard, block, users, pairs)
                }
            }
        }
        // From the full rate to a tenth of it.
        let share = Float(pass) / Float(max(options.iterations - 1, 1))
        let rate = options.learningRate * (1 - 0.9 * share)
        tables.withModel(byUser, rate: rate) { model in
            for round in 0..<shards {
                Workers.share(tasks: shards, threads: threads) { shard in
                    let number = (shard + round) % shards
                    let first = starts[shard][number]
                    let count = starts[shard][number + 1] - first
                    guard count > 0, blockItems[number].count > 1 else { return }
                    let index = UInt64((pass * shards + round) * shards + shard) << 36
                    blockItems[number].withUnsafeBufferPointer { uniform in
                        let popular = options.negatives == .popular
                        _ = apus_pairwise_steps(
                            model, users.baseAddress + first, pairs.baseAddress + first, Int64(count),
                            popular ? UnsafePointer(pairs.baseAddress + first) : uniform.baseAddress,
                            Int64(popular ? count : uniform.count), index, Int64(count))
                    }
                }
            }
        }
    }

    /// Counting sort of a shard's interactions by the block of their item; returns where each block starts.
    private func sort(
        _ shard: Int, _ block: UnsafeBufferPointer<Int32>, _ users: HostBuffer<Int32>, _ pairs: HostBuffer<Int32>
    ) -> [Int] {
        let rows = shardBounds[shard]..<shardBounds[shard + 1]
        let first = Int(byUser.rowPointers[rows.lowerBound])
        let last = Int(byUser.rowPointers[rows.upperBound])
        var starts = [Int](repeating: 0, count: shards + 1)
        for entry in first..<last { starts[Int(block[Int(byUser.columnIndices[entry])]) + 1] += 1 }
        starts[0] = first
        for number in 0..<shards { starts[number + 1] += starts[number] }
        var next = starts
        for user in rows {
            for entry in byUser.range(ofRow: user) {
                let item = byUser.columnIndices[entry]
                let number = Int(block[Int(item)])
                users[next[number]] = Int32(user)
                pairs[next[number]] = item
                next[number] += 1
            }
        }
        return starts
    }
}

/// The tables while they are learned: rows padded to whole vectors.
final class PairwiseTables: @unchecked Sendable {
    let options: PairwiseOptions
    let stride: Int
    let users: HostBuffer<Float>
    let items: HostBuffer<Float>
    let biases: HostBuffer<Float>
    let itemCount: Int

    static func stride(_ factors: Int) -> Int { (factors + 15) / 16 * 16 }

    /// Initial factors: uniform numbers for whoever has interactions, 0 for the others.
    init(byUser: HostSparseMatrix, items occupied: [Int32], options: PairwiseOptions) {
        self.options = options
        stride = Self.stride(options.factors)
        itemCount = byUser.columns
        users = HostBuffer(repeating: 0, count: max(byUser.rows * stride, 1))
        items = HostBuffer(repeating: 0, count: max(byUser.columns * stride, 1))
        biases = HostBuffer(repeating: 0, count: max(byUser.columns, 1))
        let range = options.initialScale * Float(12.0 / Double(options.factors)).squareRoot()
        let (userDraws, itemDraws) = (
            Philox(seed: options.seed, stream: 0x4250_5202), Philox(seed: options.seed, stream: 0x4250_5203)
        )
        for user in 0..<byUser.rows where !byUser.range(ofRow: user).isEmpty {
            for k in 0..<options.factors {
                users[user * stride + k] = (userDraws.uniform(UInt64(user * options.factors + k)) - 0.5) * range
            }
        }
        for item in occupied {
            for k in 0..<options.factors {
                items[Int(item) * stride + k] =
                    (itemDraws.uniform(UInt64(Int(item) * options.factors + k)) - 0.5) * range
            }
        }
    }

    /// Learned tables, padded again.
    init(_ learned: PairwiseFactors) {
        options = learned.options
        stride = Self.stride(options.factors)
        itemCount = learned.items.rows
        users = HostBuffer(uninitializedCount: 0)
        items = HostBuffer(repeating: 0, count: max(itemCount * stride, 1))
        biases = HostBuffer(learned.biases)
        for item in 0..<itemCount {
            (items.baseAddress + item * stride).update(
                from: learned.items.row(item).baseAddress!, count: options.factors)
        }
    }

    var areFinite: Bool {
        users.elements.allSatisfy { $0.isFinite } && items.elements.allSatisfy { $0.isFinite }
            && biases.elements.allSatisfy { $0.isFinite }
    }

    /// The tables as the C loops take them; valid within `body`.
    func withModel<Result>(
        _ byUser: HostSparseMatrix?, rate: Float, _ body: (UnsafePointer<apus_pairwise_model>) throws -> Result
    ) rethrows -> Result {
        var model = apus_pairwise_model()
        model.users = users.baseAddress
        model.items = items.baseAddress
        model.biases = biases.baseAddress
        model.stride = Int64(stride)
        model.item_count = Int64(itemCount)
        model.row_pointers = byUser.map { UnsafePointer($0.rowPointers.baseAddress) }
        model.columns = byUser.map { UnsafePointer($0.columnIndices.baseAddress) }
        model.rate = rate
        model.regularization = options.regularization
        model.warp = options.loss == .warp
        model.trials = Int32(options.trials)
        model.seed = options.seed
        model.stream = 0x4250_5204
        return try withExtendedLifetime((self, byUser)) { try body(&model) }
    }

    /// Rows without their padding.
    func unpadded(_ table: HostBuffer<Float>, rows: Int) -> HostMatrix {
        let matrix = HostMatrix(
            rows: rows, columns: options.factors, storage: HostBuffer(uninitializedCount: rows * options.factors))
        for row in 0..<rows {
            (matrix.storage.baseAddress + row * options.factors).update(
                from: table.baseAddress + row * stride, count: options.factors)
        }
        return matrix
    }
}
