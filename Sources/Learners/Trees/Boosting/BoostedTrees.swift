import CVectorLoops
import Core

/// Boosted trees: a sum of regression trees, each grown on the gradient of the loss of those before it.
///
/// Source of the method: Friedman, "Greedy function approximation: a gradient boosting machine", 2001; by histograms,
/// leaf by leaf: Ke and others, "LightGBM", NIPS 2017.
public struct BoostedTrees: Sendable {
    let ensemble: TreeEnsemble
    /// The constant that the trees are added to, for every output.
    let start: [Double]
    /// What was made small.
    public let loss: BoostingLoss
    /// 0 when the target is a number, else the number of classes.
    public let classes: Int
    /// Loss on the held-out rows after every round; empty without early stopping.
    public internal(set) var validationLosses: [Double] = []

    /// Rounds that were kept.
    public var rounds: Int { ensemble.treeCount / ensemble.groups }

    var objective: BoostingObjective {
        get throws {
            var options = GradientBoosting()
            options.loss = loss
            return try BoostingObjective(options, classes: classes)
        }
    }

    /// Learns.
    ///
    /// The same data, options and seed give the same bits for every number of threads.
    ///
    /// - Parameters:
    ///   - data: features, target, weights.
    ///   - options: see ``GradientBoosting``.
    ///   - threads: threads, the caller's included.
    ///   - progress: told after every round; throws to stop.
    /// - Throws: `ParameterError`, `DataError`, and what `progress` throws.
    public static func fit(
        _ data: TreeData, options: GradientBoosting = GradientBoosting(), threads: Int, progress: TreeProgress? = nil
    ) throws -> BoostedTrees {
        try options.validate()
        return try BoostingTraining(data, options, WorkerPool(threadCount: threads)).run(progress)
    }

    /// Scores before the link: numbers, log odds, or one score for each class. rows × outputs, in double precision;
    /// exactly what ``contributions(_:output:threads:)`` adds up to.
    public func scores(_ features: HostMatrix, rounds: Int? = nil, threads: Int) throws -> HostBuffer<Double> {
        let sums = try ensemble.sums(
            features, trees: rounds.map { $0 * ensemble.groups }, pool: WorkerPool(threadCount: threads))
        for index in 0..<sums.count { sums[index] += start[index % start.count] }
        return sums
    }

    /// rows × 1 numbers, or rows × classes probabilities.
    public func predict(_ features: HostMatrix, rounds: Int? = nil, threads: Int) throws -> HostMatrix {
        let scores = try scores(features, rounds: rounds, threads: threads)
        return try objective.probabilities(scores.baseAddress, rows: features.rows, classes: classes)
    }
}

/// The rounds of one training.
private struct BoostingTraining {
    let data: TreeData
    let options: GradientBoosting
    let pool: WorkerPool
    let objective: BoostingObjective
    /// Rows that are learned from, and rows held out for early stopping.
    let training: [UInt32]
    let validation: [UInt32]

    private static let chunk = 16_384

    init(_ data: TreeData, _ options: GradientBoosting, _ pool: WorkerPool) throws {
        self.data = data
        self.options = options
        self.pool = pool
        objective = try BoostingObjective(options, classes: data.classes)
        let random = Philox(seed: options.seed, stream: TreeStreams.validation)
        var training: [UInt32] = [], validation: [UInt32] = []
        training.reserveCapacity(data.rows)
        for row in 0..<data.rows where (data.weights?[row] ?? 1) > 0 {
            if options.earlyStopping > 0, Double(random.uniform(UInt64(row))) < options.validationFraction {
                validation.append(UInt32(row))
            } else {
                training.append(UInt32(row))
            }
        }
        guard !training.isEmpty, options.earlyStopping == 0 || !validation.isEmpty else {
            throw DataError("\(data.rows) rows are too few to hold some out for early stopping")
        }
        self.training = training
        self.validation = validation
    }

    func run(_ progress: TreeProgress?) throws -> BoostedTrees {
        let rows = data.rows, outputs = objective.outputs
        let bins = FeatureBins(
            features: data.features, kinds: data.kinds, most: options.bins, seed: options.seed, pool: pool)
        let table = BinnedTable(features: data.features, kinds: data.kinds, bins: bins, layout: .blocks, pool: pool)
        let grower = BoostingGrower(table: table, options: options, pool: pool)
        var ensemble = TreeEnsemble(kinds: data.kinds, categories: bins.categories, groups: outputs)
        let start = objective.start(data, rows: training)
        let scores = HostBuffer<Double>(uninitializedCount: rows * outputs)
        for index in 0..<scores.count { scores[index] = start[index % outputs] }
        let pairs = HostBuffer<Float>(uninitializedCount: 2 * rows * outputs)
        var losses: [Double] = []
        var best = (round: 0, loss: Double.infinity)
        let chunks = (rows + Self.chunk - 1) / Self.chunk
        for round in 0..<options.rounds {
            pool.parallelFor(chunks) { chunk, _ in
                let begin = chunk * Self.chunk
                objective.gradients(
                    data, scores: scores.baseAddress, begin: begin, end: min(begin + Self.chunk, rows),
                    pairs: pairs.baseAddress)
            }
            let (chosen, left) = rowsOfRound(round)
            for output in 0..<outputs {
                chosen.withUnsafeBufferPointer { grower.rows.update(from: $0.baseAddress!, count: $0.count) }
                let derivatives = UnsafePointer(pairs.baseAddress + 2 * rows * output)
                var (tree, leaves) = grower.grow(
                    rows: chosen.count, pairs: derivatives, allowed: columnsOfTree(round * outputs + output))
                tree.values = leafValues(leaves, derivatives, scores.baseAddress + output, outputs)
                add(tree.values, to: scores.baseAddress + output, outputs, leaves: leaves)
                if !left.isEmpty { route(left, table, tree, scores: scores.baseAddress + output, outputs) }
                ensemble.append(tree)
            }
            var figures: [(name: String, value: Double)] = []
            if options.earlyStopping > 0 {
                let loss = objective.meanLoss(data, scores: scores.baseAddress, rows: validation)
                losses.append(loss)
                figures.append(("validation loss", loss))
                if loss < best.loss { best = (round + 1, loss) }
                if round + 1 - best.round >= options.earlyStopping {
                    try progress?(round + 1, options.rounds, figures)
                    break
                }
            }
            try progress?(round + 1, options.rounds, figures)
        }
        if options.earlyStopping > 0 { ensemble.keep(trees: max(best.round, 1) * outputs) }
        var result = BoostedTrees(ensemble: ensemble, start: start, loss: objective.loss, classes: data.classes)
        result.validationLosses = losses
        return result
    }

    /// The rows that a round learns from, and those that only have their scores moved on.
    private func rowsOfRound(_ round: Int) -> (chosen: [UInt32], left: [UInt32]) {
        guard options.rowFraction < 1 else { return (training, validation) }
        let random = Philox(seed: options.seed, stream: TreeStreams.rows)
        let first = UInt64(round) * UInt64(data.rows)
        var chosen: [UInt32] = [], left = validation
        for row in training {
            if Double(random.uniform(first + UInt64(row))) < options.rowFraction {
                chosen.append(row)
            } else {
                left.append(row)
            }
        }
        return chosen.isEmpty ? (training, validation) : (chosen, left)
    }

    private func columnsOfTree(_ tree: Int) -> [Bool] {
        let columns = data.columns
        guard options.columnFraction < 1 else { return [Bool](repeating: true, count: columns) }
        let count = max(1, Int((options.columnFraction * Double(columns)).rounded()))
        let random = Philox(seed: options.seed, stream: TreeStreams.columns)
        var allowed = [Bool](repeating: false, count: columns)
        for column in random.permutation(count: columns, start: UInt64(tree * columns)).prefix(count) {
            allowed[column] = true
        }
        return allowed
    }

    /// Pieces of leaves: the shape alone decides them, and with it the order of every sum.
    private func pieces(_ leaves: [BoostedLeaf]) -> [(leaf: Int, begin: Int, end: Int)] {
        var pieces: [(leaf: Int, begin: Int, end: Int)] = []
        for (index, leaf) in leaves.enumerated() {
            var begin = 0
            repeat {
                pieces.append((index, begin, min(begin + Self.chunk, leaf.count)))
                begin += Self.chunk
            } while begin < leaf.count
        }
        return pieces
    }

    /// A Newton step for each leaf, from derivatives as they are, not in fixed point; for quantiles the quantile itself.
    private func leafValues(
        _ leaves: [BoostedLeaf], _ pairs: UnsafePointer<Float>, _ scores: UnsafePointer<Double>, _ stride: Int
    ) -> [Float] {
        if objective.loss == .quantile {
            var values = [Float](repeating: 0, count: leaves.count)
            values.withUnsafeMutableBufferPointer { values in
                let values = Disjoint(values)
                pool.parallelFor(leaves.count) { index, _ in
                    let leaf = leaves[index]
                    let residuals = (0..<leaf.count).map { place -> (Float, Float) in
                        let row = Int(leaf.rows[place])
                        return (Float(Double(data.target[row]) - scores[row * stride]), data.weights?[row] ?? 1)
                    }
                    values.value[index] = Float(options.learningRate * objective.weightedQuantile(residuals))
                }
            }
            return values
        }
        let pieces = pieces(leaves)
        var sums = [(Double, Double)](repeating: (0, 0), count: pieces.count)
        sums.withUnsafeMutableBufferPointer { sums in
            let sums = Disjoint(sums)
            pool.parallelFor(pieces.count) { index, _ in
                let piece = pieces[index]
                var (g, h) = (0.0, 0.0)
                apus_sum_gradients(
                    pairs, leaves[piece.leaf].rows + piece.begin, Int64(piece.end - piece.begin), &g, &h)
                sums.value[index] = (g, h)
            }
        }
        var totals = [(g: Double, h: Double)](repeating: (0, 0), count: leaves.count)
        for (piece, sum) in zip(pieces, sums) {
            totals[piece.leaf].g += sum.0
            totals[piece.leaf].h += sum.1
        }
        return totals.map { Float(-options.learningRate * $0.g / max($0.h + options.l2, 1e-12)) }
    }

    private func add(
        _ values: [Float], to scores: UnsafeMutablePointer<Double>, _ stride: Int, leaves: [BoostedLeaf]
    ) {
        let pieces = pieces(leaves)
        pool.parallelFor(pieces.count) { index, _ in
            let piece = pieces[index]
            let value = Double(values[piece.leaf]), rows = leaves[piece.leaf].rows
            for place in piece.begin..<piece.end { scores[Int(rows[place]) * stride] += value }
        }
    }

    /// Moves the scores of rows that the tree was not grown on.
    private func route(
        _ rows: [UInt32], _ table: BinnedTable, _ tree: GrownTree, scores: UnsafeMutablePointer<Double>, _ stride: Int
    ) {
        let nodes = tree.nodes
        var routing: [apus_bin_node] = []
        for node in nodes {
            guard node.feature >= 0 else {
                routing.append(apus_bin_node())
                continue
            }
            let feature = Int(node.feature)
            func child(_ index: Int32) -> Int32 {
                let child = nodes[Int(index)]
                return child.feature >= 0 ? index : ~child.value
            }
            var set: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
            if table.kinds[feature].isCategory {
                set = tree.sets[Int(node.set)]
            } else {
                for (bin, edge) in (table.bins.edges[feature] + [.infinity]).enumerated()
                where edge <= node.threshold { GrownTree.insert(bin, into: &set) }
                if node.missingLeft { GrownTree.insert(table.bins.counts[feature], into: &set) }
            }
            routing.append(
                apus_bin_node(
                    block: Int32(feature / 8), slot: Int32(feature % 8), left_child: child(node.left),
                    right_child: child(node.left + 1), left: set))
        }
        let root: Int32 = nodes[0].feature >= 0 ? 0 : ~nodes[0].value
        let blocks = (0..<table.blockCount).map { UnsafePointer<UInt64>?(table.block($0)) }
        let chunks = (rows.count + Self.chunk - 1) / Self.chunk
        pool.parallelFor(chunks) { chunk, _ in
            let begin = chunk * Self.chunk, end = min(begin + Self.chunk, rows.count)
            withUnsafeTemporaryAllocation(of: Int32.self, capacity: end - begin) { leaves in
                rows.withUnsafeBufferPointer { rows in
                    blocks.withUnsafeBufferPointer { blocks in
                        apus_route_bins(
                            blocks.baseAddress!, routing, root, rows.baseAddress! + begin, 0, Int64(end - begin),
                            leaves.baseAddress!)
                    }
                    for index in begin..<end {
                        scores[Int(rows[index]) * stride] += Double(tree.values[Int(leaves[index - begin])])
                    }
                }
            }
        }
    }
}
