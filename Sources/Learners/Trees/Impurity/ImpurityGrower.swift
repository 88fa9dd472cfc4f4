import CVectorLoops
import Core

#if canImport(Glibc)
    import Glibc
#endif

/// The features as an impurity tree looks at them: bins of every column, and keys of those searched exactly.
struct SplitColumns: Sendable {
    let table: BinnedTable
    /// Keys of all rows of a column that is searched exactly; nil for one searched by its bins.
    let keys: [HostBuffer<UInt32>?]

    init(_ data: TreeData, splits: TreeSplits, bins most: Int, seed: UInt64, pool: WorkerPool) {
        let features = data.features, kinds = data.kinds
        let bins = FeatureBins(features: features, kinds: kinds, most: most, seed: seed, pool: pool)
        table = BinnedTable(features: features, kinds: kinds, bins: bins, layout: .columns, pool: pool)
        var keys = [HostBuffer<UInt32>?](repeating: nil, count: kinds.count)
        if splits == .exact {
            for column in kinds.indices where !kinds[column].isCategory {
                keys[column] = HostBuffer(uninitializedCount: features.rows)
            }
            let targets = keys
            pool.parallelFor(kinds.count) { column, _ in
                guard let target = targets[column] else { return }
                apus_float_keys(
                    features.storage.baseAddress + column, Int64(kinds.count), Int64(features.rows), target.baseAddress)
            }
        }
        self.keys = keys
    }
}

/// Grows trees that lower an impurity: single trees and those of forests.
///
/// Used by one thread at a time; given a pool, it looks at the columns of large nodes in parallel.
final class ImpurityGrower {
    private let columns: SplitColumns
    private let options: ImpurityOptions
    private let classes: Int
    private let entropy: Bool
    /// Taken from every number while growing, so that sums of squares lose nothing to a large mean.
    private let offset: Float
    private let pool: WorkerPool?
    private let capacity: Int
    private let rows: HostBuffer<UInt32>
    private let pairs: HostBuffer<Float>
    private let partitionScratch: HostBuffer<UInt32>
    private let scratch: [HostBuffer<Double>]
    private var order: [Int]
    /// Sums of every node: weight and weighted target, or the weight and those of all classes.
    private(set) var totals: [Double] = []
    /// Impurity of every node times its weight.
    private(set) var risks: [Double] = []

    /// Numbers in `totals` for a node.
    let totalsWidth: Int

    init(_ columns: SplitColumns, _ data: TreeData, options: ImpurityOptions, pool: WorkerPool?) throws {
        let classes = data.classes
        offset = classes == 0 ? Float(data.target.reduce(0.0) { $0 + Double($1) } / Double(data.rows)) : 0
        self.columns = columns
        self.options = options
        self.classes = classes
        self.pool = pool
        entropy = try options.usesEntropy(classes: classes)
        capacity = columns.table.rows
        rows = HostBuffer(uninitializedCount: capacity)
        pairs = HostBuffer(uninitializedCount: 2 * capacity)
        partitionScratch = HostBuffer(uninitializedCount: 3 * capacity)
        // Two classes are one number, 0 or 1: the variance of that is half its Gini impurity.
        totalsWidth = classes > 2 ? classes + 1 : 2
        let exact = columns.keys.contains { $0 != nil }
        let length = Int(apus_node_split_scratch(classes > 2 ? Int32(classes) : 0, exact ? Int64(capacity) : 0))
        scratch = (0..<(pool?.threadCount ?? 1)).map { _ in HostBuffer(repeating: 0, count: length) }
        order = Array(0..<columns.table.columns)
    }

    private struct Pending {
        var node: Int
        var start: Int
        var count: Int
        var depth: Int
        var split: apus_impurity_split
        var feature: Int
    }

    /// Grows a tree on some rows, given with their weights and targets (classes: their indices).
    func grow(
        _ chosen: [UInt32], weight: (Int) -> Float, target: [Float], random: Philox
    ) -> GrownTree {
        var (tree, frontier) = (GrownTree(), [Pending]())
        var sequence = RandomSequence(random)
        for (place, row) in chosen.enumerated() {
            let (w, y) = (weight(place), target[Int(row)] - offset)
            rows[place] = row
            pairs[2 * place] = w
            pairs[2 * place + 1] = classes > 2 ? y : w * y
        }
        totals.removeAll(keepingCapacity: true)
        risks.removeAll(keepingCapacity: true)
        for index in order.indices { order[index] = index }
        addNode(&tree, start: 0, count: chosen.count)
        var leaves = 1
        if let root = search(0, start: 0, count: chosen.count, depth: 0, &sequence) { frontier.append(root) }
        while !frontier.isEmpty, options.leaves == 0 || leaves < options.leaves {
            var next = frontier.count - 1
            if options.leaves > 0 {
                for index in frontier.indices where frontier[index].split.gain > frontier[next].split.gain {
                    next = index
                }
            }
            let pending = frontier.remove(at: next)
            let leftCount = divide(pending, &tree)
            let first = tree.nodes.count
            tree.nodes[pending.node].left = Int32(first)
            addNode(&tree, start: pending.start, count: leftCount)
            addNode(&tree, start: pending.start + leftCount, count: pending.count - leftCount)
            leaves += 1
            if let right = search(
                first + 1, start: pending.start + leftCount, count: pending.count - leftCount, depth: pending.depth + 1,
                &sequence)
            {
                frontier.append(right)
            }
            if let left = search(first, start: pending.start, count: leftCount, depth: pending.depth + 1, &sequence) {
                frontier.append(left)
            }
        }
        finish(&tree)
        return tree
    }

    private func addNode(_ tree: inout GrownTree, start: Int, count: Int) {
        let base = totals.count
        for _ in 0..<totalsWidth { totals.append(0) }
        totals.withUnsafeMutableBufferPointer {
            apus_node_totals(
                pairs.baseAddress + 2 * start, Int64(count), classes > 2 ? Int32(classes) : 0, $0.baseAddress! + base)
        }
        tree.nodes.append(GrownNode(cover: Float(totals[base])))
        risks.append(risk(base, start, count))
    }

    /// Impurity times weight.
    private func risk(_ base: Int, _ start: Int, _ count: Int) -> Double {
        let weight = totals[base]
        guard weight > 0 else { return 0 }
        if classes == 0 {
            var squares = 0.0
            for place in start..<start + count {
                let w = Double(pairs[2 * place]), y = Double(pairs[2 * place + 1])
                if w > 0 { squares += y * y / w }
            }
            let value = squares - totals[base + 1] * totals[base + 1] / weight
            return value > squares * 1e-12 ? value : 0
        }
        if classes == 2 && !entropy {
            let second = totals[base + 1]
            return max(0, 2 * second * (weight - second) / weight)
        }
        let parts = classes > 2 ? Array(totals[(base + 1)...]) : [weight - totals[base + 1], totals[base + 1]]
        if entropy { return -parts.reduce(0) { $1 > 0 ? $0 + $1 * log2($1 / weight) : $0 } }
        let value = weight - parts.reduce(0) { $0 + $1 * $1 } / weight
        return value > weight * 1e-12 ? value : 0
    }

    // MARK: - The best split of a node

    private func search(
        _ node: Int, start: Int, count: Int, depth: Int, _ sequence: inout RandomSequence
    ) -> Pending? {
        guard count >= 2, risks[node] > 0, options.maximumDepth == 0 || depth < options.maximumDepth,
            totals[node * totalsWidth] >= 2 * options.minimumLeafWeight
        else { return nil }
        var pending = Pending(
            node: node, start: start, count: count, depth: depth, split: apus_impurity_split(), feature: -1)
        pending.split.gain = -.infinity
        totals.withUnsafeBufferPointer { totals in
            let description = apus_impurity_node(
                rows: rows.baseAddress + start, pairs: pairs.baseAddress + 2 * start, count: Int64(count),
                classes: classes > 2 ? Int32(classes) : 0, entropy: entropy,
                minimum_leaf_weight: max(options.minimumLeafWeight, 1e-30),
                totals: totals.baseAddress! + node * totalsWidth)
            if let wanted = options.columnsPerSplit, wanted < order.count {
                // Columns that are constant here don't count: the draw goes on, as long as there are others.
                var looked = 0
                for place in order.indices where looked < wanted {
                    order.swapAt(place, place + sequence.next(below: order.count - place))
                    let result = look(description, order[place], scratch[0], &pending.split)
                    if result > 0 { pending.feature = order[place] }
                    if result >= 0 { looked += 1 }
                }
            } else if let pool, count * order.count > 20_000 {
                var found = [apus_impurity_split](repeating: pending.split, count: order.count)
                found.withUnsafeMutableBufferPointer { found in
                    let found = Disjoint(found), description = Disjoint(description)
                    pool.parallelFor(order.count) { column, worker in
                        _ = self.look(description.value, column, self.scratch[worker], &found.value[column])
                    }
                }
                for column in order.indices where found[column].gain > pending.split.gain {
                    pending.split = found[column]
                    pending.feature = column
                }
            } else {
                for column in order.indices where look(description, column, scratch[0], &pending.split) > 0 {
                    pending.feature = column
                }
            }
        }
        return pending.feature >= 0 ? pending : nil
    }

    private func look(
        _ node: apus_impurity_node, _ column: Int, _ scratch: HostBuffer<Double>, _ split: inout apus_impurity_split
    ) -> Int32 {
        var node = node
        if let keys = columns.keys[column] {
            return apus_node_split_exact(&node, keys.baseAddress, scratch.baseAddress, &split)
        }
        let codes = columns.table.codes(column)
        return apus_node_split_binned(
            &node, codes.address, Int64(codes.stride), Int32(columns.table.bins.counts[column]),
            columns.table.kinds[column].isCategory, scratch.baseAddress, &split)
    }

    /// Writes a split into its node and parts the rows; returns how many go left.
    private func divide(_ pending: Pending, _ tree: inout GrownTree) -> Int {
        let split = pending.split, table = columns.table
        let largerIsLeft = split.left_weight >= split.right_weight
        let missingLeft = split.missing_left < 0 ? largerIsLeft : split.missing_left == 1
        let rows = rows.baseAddress + pending.start, pairs = pairs.baseAddress + 2 * pending.start
        tree.nodes[pending.node].feature = Int32(pending.feature)
        tree.nodes[pending.node].missingLeft = missingLeft
        // Twice the variance of a 0 or 1 is its Gini impurity.
        let factor = classes == 2 && !entropy ? 2.0 : 1.0
        tree.nodes[pending.node].gain = Float(max(split.gain * factor, 0))
        if let keys = columns.keys[pending.feature] {
            let threshold =
                split.above == UInt32.max ? Float.infinity : TreeKeys.between(split.below, split.above)
            tree.nodes[pending.node].threshold = threshold
            return Int(
                apus_node_partition_exact(
                    rows, pairs, Int64(pending.count), keys.baseAddress, TreeKeys.key(threshold), missingLeft,
                    partitionScratch.baseAddress))
        }
        let count = table.bins.counts[pending.feature]
        var left = [UInt8](repeating: 0, count: 256)
        if table.kinds[pending.feature].isCategory {
            var set = split.left
            for bin in 0...count where largerIsLeft && !GrownTree.contains(split.present, bin) {
                GrownTree.insert(bin, into: &set)
            }
            for bin in 0...count where GrownTree.contains(set, bin) { left[bin] = 1 }
            left[count] = missingLeft ? 1 : 0
            tree.nodes[pending.node].set = Int32(tree.sets.count)
            tree.sets.append(set)
        } else {
            let edges = table.bins.edges[pending.feature], bin = Int(split.bin)
            tree.nodes[pending.node].threshold = bin < edges.count ? edges[bin] : .infinity
            for bin in 0...bin { left[bin] = 1 }
            left[count] = missingLeft ? 1 : 0
        }
        let codes = table.codes(pending.feature)
        return Int(
            apus_node_partition_binned(
                rows, pairs, Int64(pending.count), codes.address, Int64(codes.stride), left,
                partitionScratch.baseAddress))
    }

    // MARK: - Values

    /// Numbers of a leaf: the mean, the share of the second of two classes, or the shares of all classes.
    func values(ofNode node: Int) -> [Float] {
        let base = node * totalsWidth
        let weight = max(totals[base], 1e-300)
        return classes > 2
            ? (1...classes).map { Float(totals[base + $0] / weight) }
            : [Float(totals[base + 1] / weight + Double(offset))]
    }

    private func finish(_ tree: inout GrownTree) {
        var leaves: Int32 = 0
        for node in tree.nodes.indices where tree.nodes[node].feature < 0 {
            tree.nodes[node].value = leaves
            leaves += 1
            if classes > 2 {
                tree.values += values(ofNode: node)
            } else {
                let weight = max(totals[2 * node], 1e-300)
                tree.values.append(Float(totals[2 * node + 1] / weight + Double(offset)))
            }
        }
    }
}
