import CVectorLoops
import Core

/// A leaf of the tree that is growing: a stretch of rows, its histogram, and its best split.
private struct GrowingLeaf {
    var node: Int
    var start: Int
    var count: Int
    /// Which of the two row buffers holds the rows.
    var side: Int
    var depth: Int
    /// Sums of the packed gradients.
    var g: Int64
    var h: Int64
    /// The histogram's slot, or -1 when it isn't kept.
    var slot = -1
    var split = apus_split()
    var feature = -1
    var set: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
}

/// A finished leaf: which rows it has.
struct BoostedLeaf {
    let rows: UnsafePointer<UInt32>
    let count: Int
}

/// Grows one regression tree after another on gradients, by histograms, best leaf first.
///
/// A histogram holds exact sums of integers (gradients in fixed point), so that a child's is its parent's less its
/// sibling's to the last bit, whoever added what in which order. Only the smaller child's rows are ever added up.
final class BoostingGrower {
    private let table: BinnedTable
    private let options: GradientBoosting
    private let pool: WorkerPool
    private let rowBuffers: [HostBuffer<UInt32>]
    private let gradientBuffers: [HostBuffer<Int64>]
    private let flags: HostBuffer<UInt8>
    /// Where a feature's sums begin in a histogram: first derivatives, then as many second derivatives.
    private let offsets: [Int]
    private let sizes: [Int]
    private let histogramLength: Int
    private var histograms: [HostBuffer<Int64>] = []
    private var freeSlots: [Int] = []
    private var slabs: [HostBuffer<Int64>] = []
    /// A worker's packed sums of one block.
    private let packed: [HostBuffer<Int64>]
    private var leaves: [GrowingLeaf] = []
    private var nodes: [GrownNode] = []
    private var sets: [(UInt64, UInt64, UInt64, UInt64)] = []

    /// Bytes of histograms that are kept; beyond them a leaf's is made anew when it is split.
    private static let histogramBytes = 1 << 30
    /// Rows that one task moves.
    static let chunk = 16_384

    init(table: BinnedTable, options: GradientBoosting, pool: WorkerPool) {
        self.table = table
        self.options = options
        self.pool = pool
        rowBuffers = (0..<2).map { _ in HostBuffer(uninitializedCount: table.rows) }
        gradientBuffers = (0..<2).map { _ in HostBuffer(uninitializedCount: table.rows) }
        flags = HostBuffer(uninitializedCount: table.rows)
        sizes = table.bins.counts.map { ($0 + 8) / 8 * 8 }
        var offsets: [Int] = []
        var end = 0
        for size in sizes {
            offsets.append(end)
            end += 2 * size
        }
        self.offsets = offsets
        histogramLength = end
        packed = (0..<pool.threadCount).map { _ in
            HostBuffer(repeating: 0, count: Int(APUS_BINS) * Int(APUS_BLOCK_FEATURES))
        }
    }

    /// Where the rows of the next tree go: ``grow(rows:gScale:hScale:pairs:allowed:)`` reorders them.
    var rows: UnsafeMutablePointer<UInt32> { rowBuffers[0].baseAddress }

    /// Grows a tree on the first `count` of ``rows``.
    ///
    /// - Parameters:
    ///   - pairs: first and second derivative of every row of the table.
    ///   - allowed: the features that may be used.
    /// - Returns: the tree, without values, and its leaves with their rows, which are good until the next tree.
    func grow(rows count: Int, pairs: UnsafePointer<Float>, allowed: [Bool]) -> (tree: GrownTree, leaves: [BoostedLeaf])
    {
        let chunks = (count + Self.chunk - 1) / Self.chunk
        let scales = self.scales(pairs, count: count)
        var sums = [(Int64, Int64)](repeating: (0, 0), count: chunks)
        let rows = rowBuffers[0].baseAddress, gradients = gradientBuffers[0].baseAddress
        sums.withUnsafeMutableBufferPointer { sums in
            let sums = Disjoint(sums)
            pool.parallelFor(chunks) { chunk, _ in
                let begin = chunk * Self.chunk, end = min(begin + Self.chunk, count)
                apus_pack_gradients(
                    pairs, rows + begin, 0, Int64(end - begin), scales.g, scales.h, gradients + begin)
                var (g, h): (Int64, Int64) = (0, 0)
                for index in begin..<end {
                    let low = gradients[index] & 0xFFFF_FFFF
                    h += low
                    g += (gradients[index] - low) >> 32
                }
                sums.value[chunk] = (g, h)
            }
        }
        nodes = [GrownNode(cover: Float(count))]
        sets = []
        leaves = [
            GrowingLeaf(
                node: 0, start: 0, count: count, side: 0, depth: 0, g: sums.reduce(0) { $0 + $1.0 },
                h: sums.reduce(0) { $0 + $1.1 })
        ]
        freeSlots = Array(histograms.indices)
        let units = (g: 1 / Double(scales.g), h: 1 / Double(scales.h))
        if canSplit(leaves[0]) {
            leaves[0].slot = takeSlot()
            evaluate(0, parent: nil, units: units, allowed: allowed)
        }
        while leaves.count < options.leaves {
            var best = -1
            for index in leaves.indices where leaves[index].feature >= 0 {
                if best < 0 || leaves[index].split.gain > leaves[best].split.gain { best = index }
            }
            guard best >= 0 else { break }
            split(best, units: units, allowed: allowed)
        }
        for (index, leaf) in leaves.enumerated() { nodes[leaf.node].value = Int32(index) }
        let finished = leaves.map { leaf in
            BoostedLeaf(rows: UnsafePointer(rowBuffers[leaf.side].baseAddress + leaf.start), count: leaf.count)
        }
        return (GrownTree(nodes: nodes, sets: sets), finished)
    }

    /// Factors that bring the largest derivatives to 2¹⁷, the most that histograms can add up.
    private func scales(_ pairs: UnsafePointer<Float>, count: Int) -> (g: Float, h: Float) {
        let total = table.rows
        let chunks = (total + Self.chunk - 1) / Self.chunk
        var largest = [(Float, Float)](repeating: (0, 0), count: chunks)
        largest.withUnsafeMutableBufferPointer { largest in
            let largest = Disjoint(largest)
            pool.parallelFor(chunks) { chunk, _ in
                let begin = chunk * Self.chunk, end = min(begin + Self.chunk, total)
                var (g, h): (Float, Float) = (0, 0)
                apus_largest_gradients(pairs + 2 * begin, Int64(end - begin), &g, &h)
                largest.value[chunk] = (g, h)
            }
        }
        let g = largest.reduce(0) { max($0, $1.0) }, h = largest.reduce(0) { max($0, $1.1) }
        return (0x1p17 / max(g, 1e-20), 0x1p17 / max(h, 1e-20))
    }

    private func canSplit(_ leaf: GrowingLeaf) -> Bool {
        leaf.count >= 2 * options.minimumLeafRows && leaf.count >= 2
            && (options.maximumDepth == 0 || leaf.depth < options.maximumDepth)
    }

    /// A histogram's slot, or -1 when there is room for no more.
    private func takeSlot() -> Int {
        if let slot = freeSlots.popLast() { return slot }
        if histograms.count > 2, (histograms.count + 1) * histogramLength * 8 > Self.histogramBytes { return -1 }
        histograms.append(HostBuffer(uninitializedCount: histogramLength))
        return histograms.count - 1
    }

    // MARK: - One split

    private func split(_ index: Int, units: (g: Double, h: Double), allowed: [Bool]) {
        let leaf = leaves[index]
        let leftBins = bins(goingLeftAt: leaf)
        let leftCount = partition(leaf, leftBins)
        let first = nodes.count
        nodes[leaf.node].feature = Int32(leaf.feature)
        nodes[leaf.node].left = Int32(first)
        nodes[leaf.node].gain = Float(leaf.split.gain)
        nodes[leaf.node].missingLeft = leftBins[table.bins.counts[leaf.feature]] != 0
        if table.kinds[leaf.feature].isCategory {
            nodes[leaf.node].set = Int32(sets.count)
            sets.append(leaf.set)
        } else {
            let edges = table.bins.edges[leaf.feature], bin = Int(leaf.split.bin)
            nodes[leaf.node].threshold = bin < edges.count ? edges[bin] : .infinity
        }
        nodes.append(GrownNode(cover: Float(leftCount)))
        nodes.append(GrownNode(cover: Float(leaf.count - leftCount)))
        let side = 1 - leaf.side
        var left = GrowingLeaf(
            node: first, start: leaf.start, count: leftCount, side: side, depth: leaf.depth + 1, g: leaf.split.left_g,
            h: leaf.split.left_h)
        var right = GrowingLeaf(
            node: first + 1, start: leaf.start + leftCount, count: leaf.count - leftCount, side: side,
            depth: leaf.depth + 1, g: leaf.g - leaf.split.left_g, h: leaf.h - leaf.split.left_h)
        let last = leaves.count + 1 >= options.leaves
        let wanted = last ? (false, false) : (canSplit(left), canSplit(right))
        if !wanted.0 && !wanted.1 {
            if leaf.slot >= 0 { freeSlots.append(leaf.slot) }
            leaves[index] = left
            leaves.append(right)
            return
        }
        // The larger child takes over its parent's histogram.
        let smallIsLeft = left.count <= right.count
        let slot = takeSlot()
        left.slot = smallIsLeft ? slot : leaf.slot
        right.slot = smallIsLeft ? leaf.slot : slot
        leaves[index] = left
        leaves.append(right)
        let small = smallIsLeft ? index : leaves.count - 1, large = smallIsLeft ? leaves.count - 1 : index
        let smallWanted = smallIsLeft ? wanted.0 : wanted.1, largeWanted = smallIsLeft ? wanted.1 : wanted.0
        if leaf.slot >= 0 && slot >= 0 {
            evaluate(small, parent: largeWanted ? large : nil, units: units, allowed: allowed, searches: smallWanted)
        } else {
            // Without the parent's histogram each child's is added up; without a slot, in a buffer that isn't kept.
            for (child, isWanted) in [(small, smallWanted), (large, largeWanted)] where isWanted {
                leaves[child].slot = leaves[child].slot >= 0 ? leaves[child].slot : takeSlot()
                evaluate(child, parent: nil, units: units, allowed: allowed)
            }
        }
        for child in [small, large] where leaves[child].feature < 0 && leaves[child].slot >= 0 {
            freeSlots.append(leaves[child].slot)
            leaves[child].slot = -1
        }
    }

    /// For every bin, whether it goes left. Bins without rows here follow the larger side.
    private func bins(goingLeftAt leaf: GrowingLeaf) -> [UInt8] {
        let count = table.bins.counts[leaf.feature]
        var left = [UInt8](repeating: 0, count: 256)
        let largerIsLeft = 2 * leaf.split.left_h >= leaf.h
        if table.kinds[leaf.feature].isCategory {
            for bin in 0...min(count, 255) where GrownTree.contains(leaf.set, bin) { left[bin] = 1 }
            return left
        }
        for bin in 0...Int(leaf.split.bin) { left[bin] = 1 }
        left[count] = leaf.split.missing_left < 0 ? (largerIsLeft ? 1 : 0) : UInt8(leaf.split.missing_left)
        return left
    }

    /// Moves the rows of a leaf into the other buffer, those of the left child first; returns how many these are.
    private func partition(_ leaf: GrowingLeaf, _ leftBins: [UInt8]) -> Int {
        let block = UnsafePointer(table.block(leaf.feature / 8))
        let slot = Int32(leaf.feature % 8)
        let rows = rowBuffers[leaf.side].baseAddress + leaf.start
        let gradients = gradientBuffers[leaf.side].baseAddress + leaf.start
        let toRows = rowBuffers[1 - leaf.side].baseAddress + leaf.start
        let toGradients = gradientBuffers[1 - leaf.side].baseAddress + leaf.start
        let flags = flags.baseAddress + leaf.start
        let chunks = (leaf.count + Self.chunk - 1) / Self.chunk
        var counts = [Int](repeating: 0, count: chunks)
        counts.withUnsafeMutableBufferPointer { counts in
            let counts = Disjoint(counts)
            pool.parallelFor(chunks) { chunk, _ in
                let begin = chunk * Self.chunk, end = min(begin + Self.chunk, leaf.count)
                counts.value[chunk] = Int(
                    apus_split_flags(block, slot, rows + begin, Int64(end - begin), leftBins, flags + begin))
            }
        }
        let leftCount = counts.reduce(0, +)
        var starts: [(left: Int, right: Int)] = []
        var left = 0
        for (chunk, count) in counts.enumerated() {
            starts.append((left, leftCount + chunk * Self.chunk - left))
            left += count
        }
        pool.parallelFor(chunks) { chunk, _ in
            let begin = chunk * Self.chunk, end = min(begin + Self.chunk, leaf.count)
            let start = starts[chunk]
            apus_split_rows(
                rows + begin, gradients + begin, flags + begin, Int64(end - begin), toRows + start.left,
                toGradients + start.left, toRows + start.right, toGradients + start.right)
        }
        return leftCount
    }

    // MARK: - Histograms and their best splits

    /// What a block of features found for one leaf.
    private struct Found {
        var split = apus_split()
        var feature = -1
        var set: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    }

    /// Adds up the histogram of the one leaf `small`; with `parent`, the leaf whose slot holds the histogram of both,
    /// subtracts it there. Then looks for the best splits of both.
    private func evaluate(
        _ small: Int, parent large: Int?, units: (g: Double, h: Double), allowed: [Bool], searches: Bool = true
    ) {
        let leaf = leaves[small]
        let blocks = table.blockCount
        let temporary = leaf.slot >= 0 ? nil : HostBuffer<Int64>(uninitializedCount: histogramLength)
        let histogram = temporary ?? histograms[leaf.slot]
        let largeHistogram = large.map { histograms[leaves[$0].slot] }
        // More threads than blocks: rows are shared out, too.
        let slabCount = max(1, min(pool.threadCount / max(blocks, 1), leaf.count / Self.chunk))
        while slabs.count < slabCount - 1 { slabs.append(HostBuffer(uninitializedCount: histogramLength)) }
        var found = [Found](repeating: Found(), count: 2 * blocks)
        found.withUnsafeMutableBufferPointer { found in
            let found = Disjoint(found)
            if slabCount > 1 {
                pool.parallelFor(blocks * slabCount) { task, worker in
                    let slab = task / blocks
                    let begin = leaf.count * slab / slabCount, end = leaf.count * (slab + 1) / slabCount
                    self.add(
                        leaf, begin, end, block: task % blocks, worker: worker, allowed: allowed,
                        to: slab == 0 ? histogram : self.slabs[slab - 1])
                }
            }
            pool.parallelFor(blocks) { block, worker in
                if slabCount == 1 {
                    self.add(leaf, 0, leaf.count, block: block, worker: worker, allowed: allowed, to: histogram)
                }
                for feature in 8 * block..<8 * block + self.table.blockWidth(block) where allowed[feature] {
                    let offset = self.offsets[feature], length = 2 * self.sizes[feature]
                    let sums = histogram.baseAddress + offset
                    for slab in 0..<slabCount - 1 {
                        let other = self.slabs[slab].baseAddress + offset
                        for index in 0..<length { sums[index] += other[index] }
                    }
                    if searches { self.search(leaf, feature, sums, units, &found.value[block]) }
                    if let large, let largeHistogram {
                        let sibling = largeHistogram.baseAddress + offset
                        apus_histogram_subtract(sibling, sums, Int64(length), sibling)
                        self.search(self.leaves[large], feature, sibling, units, &found.value[blocks + block])
                    }
                }
            }
        }
        for (target, offset) in [(small, 0)] + (large.map { [($0, blocks)] } ?? []) {
            for block in 0..<blocks {
                let candidate = found[offset + block]
                if candidate.feature >= 0, candidate.split.gain > leaves[target].split.gain {
                    leaves[target].split = candidate.split
                    leaves[target].feature = candidate.feature
                    leaves[target].set = candidate.set
                }
            }
        }
    }

    private func add(
        _ leaf: GrowingLeaf, _ begin: Int, _ end: Int, block: Int, worker: Int, allowed: [Bool],
        to histogram: HostBuffer<Int64>
    ) {
        let width = table.blockWidth(block)
        guard (0..<width).contains(where: { allowed[8 * block + $0] }) else { return }
        let local = packed[worker].baseAddress
        let codes = table.block(block)
        let rows = rowBuffers[leaf.side].baseAddress + leaf.start
        let gradients = gradientBuffers[leaf.side].baseAddress + leaf.start
        var at = begin
        repeat {
            let next = min(at + Int(APUS_HISTOGRAM_ROWS), end)
            apus_histogram_add(codes, rows + at, 0, gradients + at, Int64(next - at), Int32(width), local)
            for slot in 0..<width {
                let feature = 8 * block + slot
                let sums = histogram.baseAddress + offsets[feature]
                apus_histogram_flush(
                    local + slot * Int(APUS_BINS), Int64(min(sizes[feature], 256)), at == begin, sums,
                    sums + sizes[feature])
            }
            at = next
        } while at < end
    }

    private func search(
        _ leaf: GrowingLeaf, _ feature: Int, _ sums: UnsafePointer<Int64>, _ units: (g: Double, h: Double),
        _ found: inout Found
    ) {
        let weight = Double(leaf.h) * units.h
        var search = apus_split_search(
            g: leaf.g, h: leaf.h, g_unit: units.g, h_unit: units.h, l2: options.l2,
            minimum_child_weight: max(
                options.minimumChildWeight, 1e-12, Double(options.minimumLeafRows) * weight / Double(leaf.count) * 0.999
            ))
        let bins = table.bins.counts[feature]
        if table.kinds[feature].isCategory {
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { order in
                guard
                    apus_split_category(
                        sums, sums + sizes[feature], Int32(bins), true, &search, options.categorySmoothing,
                        options.categoryL2, Int32(options.categoryLimit), order.baseAddress, &found.split)
                else { return }
                found.feature = feature
                found.set = (0, 0, 0, 0)
                for index in 0..<Int(found.split.bin) { GrownTree.insert(Int(order[index]), into: &found.set) }
                // Categories without rows here go where most rows go.
                guard 2 * found.split.left_h >= leaf.h else { return }
                for bin in 0...bins where sums[bin] == 0 && sums[sizes[feature] + bin] == 0 {
                    GrownTree.insert(bin, into: &found.set)
                }
            }
        } else if apus_split_numeric(sums, sums + sizes[feature], Int32(bins), true, &search, &found.split) {
            found.feature = feature
        }
    }
}
