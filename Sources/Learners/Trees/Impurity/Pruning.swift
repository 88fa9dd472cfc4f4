import Core

/// A grown tree with what pruning needs of every node.
struct PrunableTree {
    var tree: GrownTree
    /// Impurity times weight of every node.
    var risks: [Double]
    /// Values of every node, `width` numbers each, inner nodes too.
    var values: [Float]
    private let width: Int

    init(_ tree: GrownTree, grower: ImpurityGrower) {
        self.tree = tree
        risks = grower.risks
        values = tree.nodes.indices.flatMap { grower.values(ofNode: $0) }
        width = values.count / tree.nodes.count
    }

    /// Values of a node.
    func values(ofNode node: Int) -> ArraySlice<Float> { values[node * width..<(node + 1) * width] }

    /// A step of the pruning: from this much cost of a leaf on, the node is better as a leaf.
    struct Step {
        let alpha: Double
        let node: Int
        /// Leaves that remain afterwards.
        let leaves: Int
    }

    /// All steps of minimal cost-complexity pruning, weakest link first, down to the root. O(nodes · depth · log nodes).
    ///
    /// Costs are shares of the root's weight, as scikit-learn's `ccp_alpha`. Source: Breiman, Friedman, Olshen and
    /// Stone, "Classification and regression trees", 1984, section 3.3.
    func pruningPath() -> [Step] {
        let nodes = tree.nodes
        let total = Double(nodes[0].cover)
        var parent = [Int](repeating: -1, count: nodes.count)
        var leaves = [Int](repeating: 1, count: nodes.count)
        var below = risks.map { $0 / total }
        let own = below
        for node in nodes.indices.reversed() where nodes[node].feature >= 0 {
            let left = Int(nodes[node].left)
            parent[left] = node
            parent[left + 1] = node
            leaves[node] = leaves[left] + leaves[left + 1]
            below[node] = below[left] + below[left + 1]
        }
        func alpha(_ node: Int) -> Double { (own[node] - below[node]) / Double(leaves[node] - 1) }
        var heap = WeakestLinks()
        var versions = [Int](repeating: 0, count: nodes.count)
        for node in nodes.indices where nodes[node].feature >= 0 { heap.push(alpha(node), node, 0) }
        var gone = [Bool](repeating: false, count: nodes.count)
        var steps: [Step] = []
        while let (value, node, version) = heap.pop() {
            guard !gone[node], versions[node] == version else { continue }
            var stack = [node]
            while let inner = stack.popLast() {
                gone[inner] = true
                if nodes[inner].feature >= 0 { stack += [Int(nodes[inner].left), Int(nodes[inner].left) + 1] }
            }
            let (lost, gained) = (leaves[node] - 1, own[node] - below[node])
            leaves[node] = 1
            below[node] = own[node]
            var above = parent[node]
            while above >= 0 {
                leaves[above] -= lost
                below[above] += gained
                versions[above] += 1
                heap.push(alpha(above), above, versions[above])
                above = parent[above]
            }
            steps.append(Step(alpha: max(value, steps.last?.alpha ?? 0), node: node, leaves: leaves[0]))
        }
        return steps
    }

    /// For every inner node what a leaf must cost for the node to be a leaf of the smallest subtree of least cost;
    /// infinity where a node above becomes one first.
    func leafCosts() -> [Double] {
        var costs = [Double](repeating: .infinity, count: tree.nodes.count)
        for step in pruningPath() { costs[step.node] = step.alpha }
        return costs
    }

    /// The smallest subtree among those of least cost, when every leaf costs `alpha`.
    func pruned(alpha: Double) -> GrownTree {
        let costs = leafCosts()
        var result = GrownTree()
        var origin = [0]
        result.nodes = [tree.nodes[0]]
        var index = 0
        while index < result.nodes.count {
            let source = origin[index]
            var node = tree.nodes[source]
            if node.feature >= 0 && costs[source] > alpha {
                if node.set >= 0 {
                    result.sets.append(tree.sets[Int(node.set)])
                    node.set = Int32(result.sets.count - 1)
                }
                let left = Int(node.left)
                node.left = Int32(result.nodes.count)
                result.nodes += [tree.nodes[left], tree.nodes[left + 1]]
                origin += [left, left + 1]
            } else {
                node = GrownNode(cover: node.cover, value: Int32(result.values.count / width))
                result.values += values(ofNode: source)
            }
            result.nodes[index] = node
            index += 1
        }
        return result
    }
}

/// A heap of nodes by the cost from which they are better as leaves; stale entries are left in and told by version.
private struct WeakestLinks {
    private var entries: [(alpha: Double, node: Int, version: Int)] = []

    private func before(_ a: Int, _ b: Int) -> Bool {
        (entries[a].alpha, entries[a].node) < (entries[b].alpha, entries[b].node)
    }

    mutating func push(_ alpha: Double, _ node: Int, _ version: Int) {
        entries.append((alpha, node, version))
        var place = entries.count - 1
        while place > 0, before(place, (place - 1) / 2) {
            entries.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    mutating func pop() -> (alpha: Double, node: Int, version: Int)? {
        guard let first = entries.first else { return nil }
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        var place = 0
        while true {
            var smallest = place
            for child in [2 * place + 1, 2 * place + 2] where child < entries.count && before(child, smallest) {
                smallest = child
            }
            if smallest == place { return first }
            entries.swapAt(place, smallest)
            place = smallest
        }
    }
}
