import Core

/// Names for what trees decide by.
public struct TreeFeatureNames: Sendable {
    /// Name of each column.
    public let columns: [String]
    /// Names of the levels of each category; empty for numbers.
    public let levels: [[String]]

    public init(columns: [String], levels: [[String]]) {
        self.columns = columns
        self.levels = levels
    }

    /// A number in as few digits as tell it from its neighbours of six digits.
    static func text(_ value: Double) -> String {
        guard value.isFinite else { return "\(value)" }
        guard value != 0 else { return "0" }
        if value == value.rounded(), abs(value) < 1e15 { return "\(Int(value))" }
        // Six significant digits.
        var scale = 1.0
        let size = abs(value)
        while size * scale < 100_000, scale < 1e12 { scale *= 10 }
        let rounded = (value * scale).rounded() / scale
        return "\(rounded)"
    }
}

extension TreeEnsemble {
    /// The condition under which a row takes the left or right side of a node, in words.
    func condition(_ node: Int, left: Bool, _ names: TreeFeatureNames) -> String {
        let column = feature(node), name = names.columns[column]
        let missing = missingGoesLeft(node) == left
        guard case .category(let levels) = kinds[column] else {
            let text = TreeFeatureNames.text(Double(threshold(node)))
            if threshold(node) == .infinity { return left ? "\(name) is known" : "\(name) is missing" }
            return "\(name) \(left ? "≤" : ">") \(text)" + (missing ? " or missing" : "")
        }
        let bins = leftBins(node)
        let taken = (0..<levels).filter { bins[Int(categories[column][$0])] == left }
        let others = (0..<levels).filter { bins[Int(categories[column][$0])] != left }
        func list(_ codes: [Int]) -> String {
            let shown = codes.prefix(6).map { code in
                code < names.levels[column].count ? names.levels[column][code] : "\(code)"
            }
            return shown.joined(separator: ", ") + (codes.count > 6 ? " and \(codes.count - 6) more" : "")
        }
        // The shorter list says it.
        if taken.isEmpty { return "\(name) is missing" }
        let text =
            taken.count <= others.count || others.isEmpty
            ? "\(name) is \(list(taken))" : "\(name) is not \(list(others))"
        return text + (missing ? " or missing" : "")
    }
}

extension AveragedTrees {
    /// The decisions that lead a row through a tree, in words, each with the share of training rows that is left and
    /// the prediction at that point; at last the prediction of the leaf.
    public func decisionPath(
        _ features: HostMatrix, row: Int, names: TreeFeatureNames, labels: [String], tree: Int = 0
    ) throws -> [String] {
        try ensemble.check(features)
        let path = ensemble.path(ofRow: row, in: features, tree: tree)
        let values = nodeValues(tree: tree)
        let first = ensemble.range(ofTree: tree).lowerBound
        var lines: [String] = []
        for (node, next) in zip(path, path.dropFirst()) {
            let left = next == first + Int(ensemble.nodes[node].left)
            let weight = TreeFeatureNames.text((Double(ensemble.cover[next]) * 10).rounded() / 10)
            lines.append(
                "\(ensemble.condition(node, left: left, names)): "
                    + "\(weight) rows, \(prediction(values[next - first], labels))")
        }
        if lines.isEmpty { lines.append("all rows: \(prediction(values[0], labels))") }
        return lines
    }

    /// Values of all nodes of a tree; inner ones are the averages of their leaves.
    func nodeValues(tree: Int) -> [[Double]] {
        let range = ensemble.range(ofTree: tree)
        var values = [[Double]](repeating: [], count: range.count)
        for node in (0..<range.count).reversed() {
            let index = range.lowerBound + node
            if ensemble.isLeaf(index, inTree: tree) {
                values[node] = ensemble.value(ofLeaf: index).map { Double($0) }
            } else {
                let left = Int(ensemble.nodes[index].left)
                let a = Double(ensemble.cover[range.lowerBound + left])
                let b = Double(ensemble.cover[range.lowerBound + left + 1])
                values[node] = zip(values[left], values[left + 1]).map { ($0 * a + $1 * b) / max(a + b, 1e-300) }
            }
        }
        return values
    }

    /// A node's prediction in words.
    func prediction(_ values: [Double], _ labels: [String]) -> String {
        func percent(_ share: Double) -> String { TreeFeatureNames.text((share * 1000).rounded() / 10) + " %" }
        guard classes > 0 else { return TreeFeatureNames.text(values[0]) }
        if classes == 2 { return "\(percent(values[0])) \(labels[1])" }
        let best = values.indices.max { (values[$0], $1) < (values[$1], $0) } ?? 0
        return "\(percent(values[best])) \(labels[best])"
    }
}

extension AveragedTrees {
    /// A node as a list shows it.
    package struct ListedNode {
        /// Column of the split; -1 for a leaf.
        package let feature: Int
        /// Numbers up to this go left; 0 for leaves and categories.
        package let threshold: Float
        /// The node's number, share of the second of two classes, or shares of all classes.
        package let values: [Double]
    }

    /// The nodes of a tree, parents before children, left before right.
    package func preorder(tree: Int) -> [ListedNode] {
        let first = ensemble.range(ofTree: tree).lowerBound
        let values = nodeValues(tree: tree)
        var nodes: [ListedNode] = []
        var stack = [0]
        while let place = stack.popLast() {
            let node = first + place
            let isLeaf = ensemble.isLeaf(node, inTree: tree)
            nodes.append(
                ListedNode(
                    feature: isLeaf ? -1 : ensemble.feature(node),
                    threshold: isLeaf || ensemble.isCategorical(node) ? 0 : ensemble.threshold(node),
                    values: values[place]))
            if !isLeaf { stack += [Int(ensemble.nodes[node].left) + 1, Int(ensemble.nodes[node].left)] }
        }
        return nodes
    }
}
