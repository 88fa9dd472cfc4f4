import CVectorLoops
import Core

/// One node while a tree grows. Both children lie side by side, behind their parent.
struct GrownNode {
    /// Feature of the split, or -1 for a leaf.
    var feature: Int32 = -1
    /// Left child; the right one is the next.
    var left: Int32 = -1
    /// Numbers up to this go left.
    var threshold: Float = 0
    /// Place of the set of bins that go left, for categories, in ``GrownTree/sets``.
    var set: Int32 = -1
    var missingLeft = false
    /// Decrease of the loss or impurity by the split, times the weight of the rows.
    var gain: Float = 0
    /// Weight of the training rows that came here.
    var cover: Float = 0
    /// The value of a leaf: its place in the list of values.
    var value: Int32 = -1
}

/// A tree as it comes out of growing.
struct GrownTree {
    var nodes: [GrownNode] = []
    /// Bits of the bins that go left, for every categorical node.
    var sets: [(UInt64, UInt64, UInt64, UInt64)] = []
    /// Numbers of the leaves, in the order of ``GrownNode/value``.
    var values: [Float] = []

    /// Whether a bin is in a set.
    static func contains(_ set: (UInt64, UInt64, UInt64, UInt64), _ bin: Int) -> Bool {
        let word = bin < 64 ? set.0 : bin < 128 ? set.1 : bin < 192 ? set.2 : set.3
        return word >> UInt64(bin % 64) & 1 == 1
    }

    static func insert(_ bin: Int, into set: inout (UInt64, UInt64, UInt64, UInt64)) {
        let bit = UInt64(1) << UInt64(bin % 64)
        switch bin / 64 {
        case 0: set.0 |= bit
        case 1: set.1 |= bit
        case 2: set.2 |= bit
        default: set.3 |= bit
        }
    }
}

/// Decision trees in the form that predicts, explains and is stored.
///
/// All trees share one array of nodes. A leaf has `width` numbers; tree t belongs to output t modulo `groups`.
struct TreeEnsemble: Sendable {
    let kinds: [TreeFeatureKind]
    /// Bins of the codes of every category: what the sets of nodes are about.
    let categories: [[UInt8]]
    /// Numbers at a leaf.
    let width: Int
    /// Outputs that the trees are dealt to in turn, where a leaf has one number.
    let groups: Int
    private(set) var nodes: [apus_tree_node] = []
    private(set) var cover: [Float] = []
    private(set) var gain: [Float] = []
    private(set) var sets: [UInt64] = []
    private(set) var values: [Float] = []
    /// First node of every tree, and the end.
    private(set) var starts: [Int] = [0]

    init(kinds: [TreeFeatureKind], categories: [[UInt8]], width: Int = 1, groups: Int = 1) {
        self.kinds = kinds
        self.categories = categories
        self.width = width
        self.groups = groups
    }

    var treeCount: Int { starts.count - 1 }
    var columns: Int { kinds.count }
    /// Columns of a prediction.
    var outputs: Int { width * groups }
    var leafCount: Int { values.count / width }

    /// The nodes of a tree; children are numbered from the tree's first node.
    func range(ofTree tree: Int) -> Range<Int> { starts[tree]..<starts[tree + 1] }

    func isLeaf(_ node: Int, inTree tree: Int) -> Bool { Int(nodes[node].left) == node - starts[tree] }

    func feature(_ node: Int) -> Int { Int(nodes[node].feature & ~UInt32(APUS_CATEGORY_NODE)) }

    func isCategorical(_ node: Int) -> Bool { nodes[node].feature & UInt32(APUS_CATEGORY_NODE) != 0 }

    func missingGoesLeft(_ node: Int) -> Bool { nodes[node].bias == 1 }

    /// The threshold of a numeric node.
    func threshold(_ node: Int) -> Float { TreeKeys.value(nodes[node].threshold &- nodes[node].bias) }

    /// Whether a bin goes left at a categorical node.
    func isLeftBin(_ bin: Int, _ node: Int) -> Bool {
        sets[4 * Int(nodes[node].threshold) + bin / 64] >> UInt64(bin % 64) & 1 == 1
    }

    /// The bins that go left at a categorical node.
    func leftBins(_ node: Int) -> [Bool] { (0..<256).map { isLeftBin($0, node) } }

    /// The numbers of a leaf.
    func value(ofLeaf node: Int) -> ArraySlice<Float> {
        let first = Int(nodes[node].bias) * width
        return values[first..<first + width]
    }

    /// Adds a tree.
    mutating func append(_ grown: GrownTree) {
        let firstValue = UInt32(values.count / width)
        for (index, node) in grown.nodes.enumerated() {
            var stored = apus_tree_node()
            if node.feature < 0 {
                stored.threshold = UInt32.max
                stored.feature = 0
                stored.left = Int32(index)
                stored.bias = firstValue + UInt32(node.value)
            } else {
                stored.left = node.left
                stored.bias = node.missingLeft ? 1 : 0
                if kinds[Int(node.feature)].isCategory {
                    stored.feature = UInt32(node.feature) | UInt32(APUS_CATEGORY_NODE)
                    stored.threshold = UInt32(sets.count / 4)
                    let set = grown.sets[Int(node.set)]
                    sets += [set.0, set.1, set.2, set.3]
                } else {
                    stored.feature = UInt32(node.feature)
                    stored.threshold = TreeKeys.key(node.threshold) + stored.bias
                }
            }
            nodes.append(stored)
            cover.append(node.cover)
            gain.append(node.gain)
        }
        values += grown.values
        starts.append(nodes.count)
    }

    /// Makes room for that many nodes at once.
    mutating func reserve(nodes count: Int, values valueCount: Int) {
        nodes.reserveCapacity(count)
        cover.reserveCapacity(count)
        gain.reserveCapacity(count)
        values.reserveCapacity(valueCount)
    }

    /// Keeps the first trees only.
    mutating func keep(trees: Int) {
        guard trees < treeCount else { return }
        starts.removeLast(treeCount - trees)
        let end = starts[trees]
        nodes.removeLast(nodes.count - end)
        cover.removeLast(cover.count - end)
        gain.removeLast(gain.count - end)
        var leaves = 0
        for tree in 0..<trees { for node in range(ofTree: tree) where isLeaf(node, inTree: tree) { leaves += 1 } }
        values.removeLast(values.count - leaves * width)
    }

    /// Decrease of loss or impurity that each feature's splits brought, over all trees.
    func gains() -> [Double] {
        var sums = [Double](repeating: 0, count: columns)
        for tree in 0..<treeCount {
            for node in range(ofTree: tree) where !isLeaf(node, inTree: tree) {
                sums[feature(node)] += Double(gain[node])
            }
        }
        return sums
    }

    /// Longest way from the root of a tree to a leaf, in splits.
    func depth(ofTree tree: Int) -> Int {
        let range = range(ofTree: tree)
        var depths = [Int](repeating: 0, count: range.count)
        for node in 0..<range.count where !isLeaf(range.lowerBound + node, inTree: tree) {
            let left = Int(nodes[range.lowerBound + node].left)
            depths[left] = depths[node] + 1
            depths[left + 1] = depths[node] + 1
        }
        return depths.max() ?? 0
    }
}

// MARK: - Storage

extension TreeEnsemble {
    /// Adds the tensors under names that begin with `prefix`.
    func write(to writer: inout SafetensorsWriter, prefix: String) {
        var fields: [Int32] = []
        fields.reserveCapacity(4 * nodes.count)
        for node in nodes {
            fields += [
                Int32(bitPattern: node.threshold), Int32(bitPattern: node.feature), node.left,
                Int32(bitPattern: node.bias),
            ]
        }
        writer.add(prefix + "nodes", shape: [nodes.count, 4], HostBuffer(fields))
        writer.add(prefix + "cover", shape: [nodes.count], HostBuffer(cover))
        writer.add(prefix + "gain", shape: [nodes.count], HostBuffer(gain))
        writer.add(prefix + "values", shape: [leafCount, width], HostBuffer(values))
        writer.add(prefix + "starts", shape: [starts.count], HostBuffer(starts.map(Int64.init)))
        writer.add(
            prefix + "sets", shape: [sets.count / 4, 4], HostBuffer(sets.map { Int64(bitPattern: $0) }))
        writer.add(
            prefix + "category_offsets", shape: [categories.count + 1],
            HostBuffer(categories.reduce(into: [Int64(0)]) { $0.append($0.last! + Int64($1.count)) }))
        let bins = categories.flatMap { $0 }
        writer.add(prefix + "category_bins", shape: [bins.count], HostBuffer(bins))
    }

    /// Reads trees back, every index checked: a damaged file must not become a fault later.
    init(file: SafetensorsFile, prefix: String, kinds: [TreeFeatureKind], width: Int, groups: Int) throws {
        let damaged = DataError("the trees of the file are damaged", file: file.path)
        guard width > 0, groups > 0 else { throw damaged }
        let offsets = try file.int64s(prefix + "category_offsets", shape: [kinds.count + 1]).array
        let bins = try file.bytes(prefix + "category_bins").array
        guard offsets[0] == 0, offsets.last == Int64(bins.count), zip(offsets, offsets.dropFirst()).allSatisfy(<=)
        else { throw damaged }
        let categories = (0..<kinds.count).map { Array(bins[Int(offsets[$0])..<Int(offsets[$0 + 1])]) }
        for (kind, table) in zip(kinds, categories) {
            if case .category(let levels) = kind, table.count != levels { throw damaged }
        }
        self.init(kinds: kinds, categories: categories, width: width, groups: groups)
        let starts = try file.int64s(prefix + "starts").array
        guard let count = starts.last, starts[0] == 0, count >= 0, zip(starts, starts.dropFirst()).allSatisfy(<)
        else { throw damaged }
        let fields = try file.int32s(prefix + "nodes", shape: [Int(count), 4])
        let cover = try file.floats(prefix + "cover", shape: [Int(count)]).array
        let gain = try file.floats(prefix + "gain", shape: [Int(count)]).array
        let values = try file.floats(prefix + "values").array
        let sets = try file.int64s(prefix + "sets").array.map { UInt64(bitPattern: $0) }
        guard sets.count % 4 == 0, values.count % width == 0 else { throw damaged }
        self.starts = starts.map { Int($0) }
        self.cover = cover
        self.gain = gain
        self.values = values
        self.sets = sets
        nodes.reserveCapacity(Int(count))
        for tree in 0..<treeCount {
            let range = range(ofTree: tree)
            for index in range {
                let node = apus_tree_node(
                    threshold: UInt32(bitPattern: fields[4 * index]),
                    feature: UInt32(bitPattern: fields[4 * index + 1]),
                    left: fields[4 * index + 2], bias: UInt32(bitPattern: fields[4 * index + 3]))
                nodes.append(node)
                let place = index - range.lowerBound
                guard feature(index) < kinds.count else { throw damaged }
                if Int(node.left) == place {
                    // A leaf stays where it is, whatever the row.
                    guard node.threshold == UInt32.max, node.feature == 0, Int(node.bias) < leafCount else {
                        throw damaged
                    }
                } else {
                    guard Int(node.left) > place, Int(node.left) + 1 < range.count, node.bias <= 1,
                        isCategorical(index) == kinds[feature(index)].isCategory,
                        !isCategorical(index) || Int(node.threshold) < sets.count / 4
                    else { throw damaged }
                }
            }
        }
    }
}
