import CVectorLoops
import Core

/// Rows in the form that trees are walked with: see `apus_tree_leaves`.
struct TreeKeyBlock {
    let keys: UnsafeMutablePointer<UInt32>

    /// Rows of a block: a tree is brought to the caches once for all of them, and their keys fill half of the
    /// second-level cache at most. No result depends on it.
    static func rows(columns: Int, of total: Int, threads: Int) -> Int {
        max(min(4096, (1 << 17) / max(columns, 1), (total + 4 * threads - 1) / (4 * threads)), 64)
    }

    init(rows: Int, columns: Int) { keys = .allocate(capacity: max(1, rows * columns)) }

    func deallocate() { keys.deallocate() }

    /// Takes rows begin ..< end of the features.
    func load(_ features: HostMatrix, _ begin: Int, _ end: Int, _ ensemble: TreeEnsemble) {
        let columns = features.columns
        let source = features.storage.baseAddress + begin * columns
        apus_float_keys(source, 1, Int64((end - begin) * columns), keys)
        for column in 0..<columns {
            guard case .category(let levels) = ensemble.kinds[column] else { continue }
            ensemble.categories[column].withUnsafeBufferPointer { bins in
                for row in 0..<end - begin {
                    let value = source[row * columns + column]
                    keys[row * columns + column] =
                        value >= 0 && value < Float(levels) ? UInt32(bins[Int(value)]) : UInt32.max
                }
            }
        }
    }
}

extension TreeEnsemble {
    /// Throws ``DataError`` unless the features have the columns that the trees were grown on.
    func check(_ features: HostMatrix) throws {
        guard features.columns == columns else {
            throw DataError("the trees take \(columns) columns, not \(features.columns)")
        }
    }

    /// Sums of the trees' values, rows × outputs, in double precision; `trees` limits them to the first ones.
    ///
    /// The order of the sum is the order of the trees: the same bits for every thread count.
    func sums(_ features: HostMatrix, trees: Int? = nil, pool: WorkerPool) throws -> HostBuffer<Double> {
        try check(features)
        let rows = features.rows, outputs = outputs
        let out = HostBuffer<Double>(repeating: 0, count: rows * outputs)
        let last = min(trees ?? treeCount, treeCount)
        forBlocks(of: features, pool: pool) { block, begin, count, leaves in
            for tree in 0..<last {
                leafValues(tree, block, count, leaves)
                values.withUnsafeBufferPointer { values in
                    apus_add_leaf_values(
                        leaves, Int64(count), values.baseAddress, Int64(width),
                        out.baseAddress + begin * outputs + (width == 1 ? tree % groups : 0), Int64(outputs))
                }
            }
        }
        return out
    }

    /// Numbers of the leaf values that rows reach in a tree.
    func leafValues(_ tree: Int, _ block: TreeKeyBlock, _ count: Int, _ leaves: UnsafeMutablePointer<UInt32>) {
        nodes.withUnsafeBufferPointer { nodes in
            sets.withUnsafeBufferPointer { sets in
                apus_tree_leaves(
                    nodes.baseAddress! + starts[tree], sets.isEmpty ? nil : sets.baseAddress, block.keys,
                    Int64(columns), Int64(count), leaves)
            }
        }
    }

    /// Calls `body(keys, first row, rows, scratch for a number a row)` for blocks of rows, in parallel.
    func forBlocks(
        of features: HostMatrix, pool: WorkerPool,
        _ body: (TreeKeyBlock, Int, Int, UnsafeMutablePointer<UInt32>) -> Void
    ) {
        let rows = features.rows
        let size = TreeKeyBlock.rows(columns: columns, of: rows, threads: pool.threadCount)
        pool.parallelFor((rows + size - 1) / size) { chunk, _ in
            let begin = chunk * size, end = min(begin + size, rows)
            let block = TreeKeyBlock(rows: size, columns: columns)
            let leaves = UnsafeMutablePointer<UInt32>.allocate(capacity: size)
            defer {
                block.deallocate()
                leaves.deallocate()
            }
            block.load(features, begin, end, self)
            body(block, begin, end - begin, leaves)
        }
    }

    /// The path of one row through a tree: nodes from the root to the leaf.
    func path(ofRow row: Int, in features: HostMatrix, tree: Int) -> [Int] {
        let range = range(ofTree: tree)
        var path = [range.lowerBound]
        while !isLeaf(path.last!, inTree: tree) {
            let node = path.last!
            let left = range.lowerBound + Int(nodes[node].left)
            path.append(goesLeft(features[row, feature(node)], at: node) ? left : left + 1)
        }
        return path
    }

    /// Where a value goes at a node.
    func goesLeft(_ value: Float, at node: Int) -> Bool {
        if case .category(let levels) = kinds[feature(node)] {
            guard value >= 0, value < Float(levels) else { return missingGoesLeft(node) }
            return isLeftBin(Int(categories[feature(node)][Int(value)]), node)
        }
        return value.isNaN ? missingGoesLeft(node) : value <= threshold(node)
    }
}
