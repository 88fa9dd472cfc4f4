import CVectorLoops
import Core

#if canImport(Glibc)
    import Glibc
#endif

/// What each column adds to a prediction of trees.
public struct TreeContributions: Sendable {
    /// The expected prediction, by the covers of the training.
    public let base: Double
    /// rows × columns Shapley values, row after row. Base and a row's values add up to its prediction.
    public let values: HostBuffer<Double>
    public let columns: Int

    /// The values of one row.
    public func row(_ index: Int) -> [Double] { (0..<columns).map { values[index * columns + $0] } }
}

/// Exact path-dependent Shapley values of trees (Lundberg and others, "Consistent individualized feature attribution
/// for tree ensembles", 2018), in double precision.
///
/// Along a path the value of a set of known features is a product of factors, one for each feature: 1 or 0 where it is
/// known, the share of the training rows where it isn't. The Shapley value of a product is an integral over [0, 1] of
/// a polynomial (Owen, 1972): each feature is known with probability t. Gauss–Legendre quadrature with half as many
/// points as the path has features is exact, all its terms are positive, and the products for all leaves are shared by
/// walking the tree once down and once up: O(nodes · points) a row, with the points side by side in vector registers.
struct TreeShapley {
    let ensemble: TreeEnsemble
    /// Which number of a leaf, or which of the groups of trees, is explained.
    let output: Int

    private static let rows = 128

    /// Sums over the trees of an output: the expectation, and rows × columns contributions.
    func contributions(_ features: HostMatrix, pool: WorkerPool) throws -> TreeContributions {
        try ensemble.check(features)
        let rows = features.rows, columns = ensemble.columns
        let out = HostBuffer<Double>(repeating: 0, count: rows * columns)
        let trees = (0..<ensemble.treeCount).filter { ensemble.width > 1 || $0 % ensemble.groups == output }
        let chunks = (rows + Self.rows - 1) / Self.rows
        pool.parallelFor(chunks) { chunk, _ in
            let begin = chunk * Self.rows, end = min(begin + Self.rows, rows)
            let block = TreeKeyBlock(rows: Self.rows, columns: columns)
            defer { block.deallocate() }
            block.load(features, begin, end, ensemble)
            for tree in trees {
                let prepared = ShapleyTree(ensemble, tree, output: ensemble.width > 1 ? output : 0)
                prepared.add(block.keys, rows: end - begin, to: out.baseAddress + begin * columns)
            }
        }
        let base = trees.reduce(0.0) { $0 + ShapleyTree.expectation(ensemble, $1, ensemble.width > 1 ? output : 0) }
        return TreeContributions(base: base, values: out, columns: columns)
    }
}

/// One tree with its factors at all points of the quadrature.
private final class ShapleyTree {
    private let ensemble: TreeEnsemble
    private let range: Range<Int>
    private let points: Int
    private var parent: [Int32]
    private var above: [Int32]
    private var feature: [Int32]
    private var value: [Double]
    private var share: [Double]
    private var on: [Double]
    private var off: [Double]
    private var contributionOn: [Double]
    private let contributionOff: [Double]
    private let used: [Int]

    init(_ ensemble: TreeEnsemble, _ tree: Int, output: Int) {
        self.ensemble = ensemble
        range = ensemble.range(ofTree: tree)
        let count = range.count
        parent = [Int32](repeating: -1, count: count)
        above = [Int32](repeating: -1, count: count)
        feature = [Int32](repeating: 0, count: count)
        value = [Double](repeating: 0, count: count)
        share = [Double](repeating: 1, count: count)
        var distinct = [Int](repeating: 0, count: count)
        var used = Set<Int>()
        for node in 0..<count {
            let index = range.lowerBound + node
            guard !ensemble.isLeaf(index, inTree: tree) else {
                let leaf = ensemble.value(ofLeaf: index)
                value[node] = Double(leaf[leaf.startIndex + output])
                continue
            }
            let split = Int32(ensemble.feature(index))
            used.insert(Int(split))
            let left = Int(ensemble.nodes[index].left)
            // The nearest edge above that asks about the same feature.
            var edge = node
            while edge > 0, feature[edge] != split { edge = Int(parent[edge]) }
            let covers = (
                Double(ensemble.cover[range.lowerBound + left]), Double(ensemble.cover[range.lowerBound + left + 1])
            )
            let sum = covers.0 + covers.1
            for (child, cover) in [(left, covers.0), (left + 1, covers.1)] {
                parent[child] = Int32(node)
                feature[child] = split
                above[child] = edge > 0 ? Int32(edge) : -1
                share[child] = sum > 0 ? cover / sum : 0.5
                distinct[child] = distinct[node] + (edge > 0 ? 0 : 1)
            }
        }
        self.used = used.sorted()
        points = max(8, ((distinct.max() ?? 0) + 1) / 2 + 7) / 8 * 8
        let rule = GaussLegendre(points: points)
        on = [Double](repeating: 0, count: count * points)
        off = on
        contributionOn = on
        contributionOff = zip(rule.places, rule.weights).map { -$1 / (1 - $0) }
        var unknown = [Double](repeating: 1, count: count)
        for node in 1..<max(count, 1) {
            let before = above[node] >= 0 ? unknown[Int(above[node])] : 1
            let z = before * share[node]
            unknown[node] = z
            for point in 0..<points {
                let t = rule.places[point]
                let earlier = above[node] >= 0 ? t + (1 - t) * before : 1
                let factor = t + (1 - t) * z
                on[node * points + point] = factor / earlier
                off[node * points + point] = (1 - t) * z / earlier
                contributionOn[node * points + point] = rule.weights[point] * (1 - z) / factor
            }
        }
    }

    func add(_ keys: UnsafePointer<UInt32>, rows: Int, to out: UnsafeMutablePointer<Double>) {
        let columns = ensemble.columns, count = range.count, points = points
        let work = UnsafeMutablePointer<Double>.allocate(capacity: count * points)
        let state = UnsafeMutablePointer<UInt8>.allocate(capacity: count)
        let sums = UnsafeMutablePointer<Double>.allocate(capacity: columns * points)
        defer {
            work.deallocate()
            state.deallocate()
            sums.deallocate()
        }
        ensemble.nodes.withUnsafeBufferPointer { nodes in
            ensemble.sets.withUnsafeBufferPointer { sets in
                parent.withUnsafeBufferPointer { parent in
                    above.withUnsafeBufferPointer { above in
                        feature.withUnsafeBufferPointer { feature in
                            value.withUnsafeBufferPointer { value in
                                share.withUnsafeBufferPointer { share in
                                    on.withUnsafeBufferPointer { on in
                                        off.withUnsafeBufferPointer { off in
                                            contributionOn.withUnsafeBufferPointer { contributionOn in
                                                contributionOff.withUnsafeBufferPointer { contributionOff in
                                                    var tree = apus_shapley_tree(
                                                        nodes: nodes.baseAddress! + range.lowerBound,
                                                        sets: sets.baseAddress, count: Int64(count),
                                                        parent: parent.baseAddress, above: above.baseAddress,
                                                        feature: feature.baseAddress, value: value.baseAddress,
                                                        share: share.baseAddress, points: Int64(points),
                                                        on: on.baseAddress, off: off.baseAddress,
                                                        contribution_on: contributionOn.baseAddress,
                                                        contribution_off: contributionOff.baseAddress)
                                                    for row in 0..<rows {
                                                        for column in used {
                                                            (sums + column * points).update(repeating: 0, count: points)
                                                        }
                                                        apus_tree_shapley(
                                                            &tree, keys + row * columns, work, state, sums)
                                                        for column in used {
                                                            var sum = 0.0
                                                            for point in 0..<points {
                                                                sum += sums[column * points + point]
                                                            }
                                                            out[row * columns + column] += sum
                                                        }
                                                    }
                                                }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// The mean prediction of a tree over its training rows.
    static func expectation(_ ensemble: TreeEnsemble, _ tree: Int, _ output: Int) -> Double {
        let range = ensemble.range(ofTree: tree)
        var weight = [Double](repeating: 0, count: range.count)
        weight[0] = 1
        var sum = 0.0
        for node in 0..<range.count {
            let index = range.lowerBound + node
            guard !ensemble.isLeaf(index, inTree: tree) else {
                let leaf = ensemble.value(ofLeaf: index)
                sum += weight[node] * Double(leaf[leaf.startIndex + output])
                continue
            }
            let left = Int(ensemble.nodes[index].left)
            let a = Double(ensemble.cover[range.lowerBound + left])
            let b = Double(ensemble.cover[range.lowerBound + left + 1])
            weight[left] = weight[node] * (a + b > 0 ? a / (a + b) : 0.5)
            weight[left + 1] = weight[node] * (a + b > 0 ? b / (a + b) : 0.5)
        }
        return sum
    }
}

/// Places and weights of the quadrature of Gauss and Legendre on [0, 1], exact for polynomials of degree below
/// 2 · points.
struct GaussLegendre {
    let places: [Double]
    let weights: [Double]

    init(points count: Int) {
        var places: [Double] = [], weights: [Double] = []
        for index in 0..<count {
            // Newton's method on the Legendre polynomial, from Tricomi's estimate of its root.
            var x = cos(Double.pi * (Double(index) + 0.75) / (Double(count) + 0.5))
            var slope = 0.0
            for _ in 0..<20 {
                var (p, before) = (1.0, 0.0)
                for degree in 1...count {
                    (p, before) = (
                        (Double(2 * degree - 1) * x * p - Double(degree - 1) * before) / Double(degree), p
                    )
                }
                slope = Double(count) * (x * p - before) / (x * x - 1)
                let step = p / slope
                x -= step
                if abs(step) < 1e-16 { break }
            }
            places.append((1 - x) / 2)
            weights.append(1 / ((1 - x * x) * slope * slope))
        }
        self.places = places
        self.weights = weights
    }
}

extension BoostedTrees {
    /// What each column adds to the score of a class (or the number, or the log odds): base and values add up to
    /// ``scores(_:rounds:threads:)`` to rounding in double precision.
    public func contributions(_ features: HostMatrix, output: Int = 0, threads: Int) throws -> TreeContributions {
        let sums = try TreeShapley(ensemble: ensemble, output: output).contributions(
            features, pool: WorkerPool(threadCount: threads))
        return TreeContributions(base: start[output] + sums.base, values: sums.values, columns: sums.columns)
    }

    /// What the loss lost by each column's splits, as shares of all.
    public var importances: [Double] { shares(ensemble.gains()) }
}

extension AveragedTrees {
    /// What each column adds to the prediction of a class's probability (or the number).
    public func contributions(_ features: HostMatrix, output: Int, threads: Int) throws -> TreeContributions {
        // Of two classes only the second is stored; the first's contributions are its negatives.
        let sign = classes == 2 && output == 0 ? -1.0 : 1.0
        let sums = try TreeShapley(ensemble: ensemble, output: classes > 2 ? output : 0).contributions(
            features, pool: WorkerPool(threadCount: threads))
        let scale = sign / Double(treeCount)
        for index in 0..<sums.values.count { sums.values[index] *= scale }
        return TreeContributions(
            base: sums.base * scale + (sign < 0 ? 1 : 0), values: sums.values, columns: sums.columns)
    }

    /// What the impurity lost by each column's splits: every tree's shares, averaged, as in scikit-learn.
    public var importances: [Double] {
        var sums = [Double](repeating: 0, count: ensemble.columns)
        for tree in 0..<treeCount {
            var own = [Double](repeating: 0, count: ensemble.columns)
            for node in ensemble.range(ofTree: tree) where !ensemble.isLeaf(node, inTree: tree) {
                own[ensemble.feature(node)] += Double(ensemble.gain[node])
            }
            for (column, value) in shares(own).enumerated() { sums[column] += value }
        }
        return shares(sums)
    }
}

/// Numbers as shares of their sum.
func shares(_ values: [Double]) -> [Double] {
    let sum = values.reduce(0, +)
    return sum > 0 ? values.map { $0 / sum } : values
}

extension TreeEnsemble {
    /// The expected sum of the trees when only some columns of a row are known, straight from the definition: where the
    /// column is not known both ways are taken, by their covers. What the Shapley values are about; O(nodes).
    func expectation(_ row: [Float], known: Set<Int>, output: Int) -> Double {
        func below(_ place: Int, _ tree: Int) -> Double {
            let first = starts[tree], index = first + place
            guard !isLeaf(index, inTree: tree) else {
                let leaf = value(ofLeaf: index)
                return Double(leaf[leaf.startIndex + (width > 1 ? output : 0)])
            }
            let left = Int(nodes[index].left)
            guard !known.contains(feature(index)) else {
                return below(goesLeft(row[feature(index)], at: index) ? left : left + 1, tree)
            }
            let a = Double(cover[first + left]), b = Double(cover[first + left + 1])
            return (a * below(left, tree) + b * below(left + 1, tree)) / (a + b)
        }
        return (0..<treeCount).filter { width > 1 || $0 % groups == output }.reduce(0) { $0 + below(0, $1) }
    }
}

extension BoostedTrees {
    /// The expected score when only some columns are known: the game whose Shapley values are the contributions.
    package func expectation(_ row: [Float], known: Set<Int>, output: Int = 0) -> Double {
        start[output] + ensemble.expectation(row, known: known, output: output)
    }
}
