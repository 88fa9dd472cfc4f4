import CVectorLoops
import Core

/// Links rows of a graph, and takes rows out of it. Used by one thread at a time; it shares its work among the pool's.
final class GraphBuilder {
    private let options: GraphOptions
    private let space: GraphSpace
    private let pool: WorkerPool
    private let base, offsets, upper: HostBuffer<Int32>
    private var entry: Int
    private let graph: apus_graph
    private var memories: [GraphMemory?]

    private var count: Int { space.vectors.rows }
    private var links: Int { options.links }

    /// A batch is at most this share of the rows, so that few of a row's neighbors come beside it.
    private static let largestShare = 50
    /// The nearest of a row's many new neighbors from which its links are chosen.
    private static let mostCandidates = 512

    /// - Parameters:
    ///   - present: a graph of the first rows of the space, to go on from.
    init(options: GraphOptions, space: GraphSpace, pool: WorkerPool, present: NeighborGraph? = nil) {
        (self.options, self.space, self.pool) = (options, space, pool)
        let (n, old) = (space.vectors.rows, present?.count ?? 0)
        offsets = HostBuffer(uninitializedCount: n + 1)
        offsets[0] = 0
        for row in 0..<n {
            offsets[row + 1] =
                offsets[row]
                + (row < old ? present!.offsets[row + 1] - present!.offsets[row] : Self.layers(of: row, options))
        }
        base = HostBuffer(repeating: -1, count: n * 2 * options.links)
        upper = HostBuffer(repeating: -1, count: Int(offsets[n]) * options.links)
        if let present {
            base.baseAddress.update(from: present.base.baseAddress, count: present.base.count)
            upper.baseAddress.update(from: present.upper.baseAddress, count: present.upper.count)
        }
        entry = present?.entry ?? -1
        var graph = space.graph()
        graph.base = UnsafePointer(base.baseAddress)
        graph.base_links = Int64(2 * options.links)
        graph.offsets = UnsafePointer(offsets.baseAddress)
        graph.upper = UnsafePointer(upper.baseAddress)
        graph.links = Int64(options.links)
        self.graph = graph
        memories = [GraphMemory?](repeating: nil, count: pool.threadCount)
    }

    /// The graph as it is now; the builder is not to be used afterwards.
    func finished(recall: Double? = nil) -> NeighborGraph {
        NeighborGraph(
            options: options, comparesCodes: space.rounded != nil, recall: recall, base: base, offsets: offsets,
            upper: upper, entry: entry, halves: space.halves, extras: space.extras)
    }

    /// Layers above the lowest of a row: each as many rows as the one below, divided by the number of links.
    private static func layers(of row: Int, _ options: GraphOptions) -> Int32 {
        let uniform = 1 - Philox(seed: options.seed, stream: 0x6C61_7965).uniform64(UInt64(row))
        return Int32(min(-logarithm(uniform) / logarithm(Double(options.links)), 12))
    }

    private func layers(of row: Int) -> Int { Int(offsets[row + 1] - offsets[row]) }
    private func most(_ layer: Int) -> Int { layer == 0 ? 2 * links : links }

    private func list(_ row: Int, _ layer: Int) -> UnsafeMutablePointer<Int32> {
        layer == 0
            ? base.baseAddress + row * 2 * links
            : upper.baseAddress + (Int(offsets[row]) + layer - 1) * links
    }

    private func memory(_ worker: Int) -> GraphMemory {
        if let one = memories[worker] { return one }
        let one = GraphMemory(
            rows: count, columns: space.vectors.columns, width: max(options.buildWidth, 2 * links),
            most: 2 * links)
        memories[worker] = one
        return one
    }

    // MARK: Rows that come

    /// Links rows that have no links yet, those of the upper layers first. Answering `.stop` ends with `CancellationError`.
    func insert(_ rows: [Int], progress: ProgressHandler? = nil) throws {
        let random = Philox(seed: options.seed, stream: 0x6F72_6472)
        let order = rows.map { row in (row: row, layers: layers(of: row), draw: random.integer64(UInt64(row))) }
            .sorted { ($1.layers, $0.draw, $0.row) < ($0.layers, $1.draw, $1.row) }.map(\.row)
        var (done, linked) = (0, count - rows.count)
        let began = monotonicSeconds()
        if entry < 0, let first = order.first {
            entry = first
            (done, linked) = (1, 1)
        }
        // Every worker makes its memory before the work is shared out.
        for worker in 0..<pool.threadCount { _ = memory(worker) }
        while done < order.count {
            let size = min(order.count - done, max(linked, 1), max(count / Self.largestShare, 64))
            let batch = Array(order[done..<done + size])
            pool.parallelFor((size + 15) / 16) { chunk, worker in
                for place in chunk * 16..<min((chunk + 1) * 16, size) { self.link(batch[place], self.memory(worker)) }
            }
            linkBack(batch)
            done += size
            linked += size
            let report = ProgressReport(
                phase: "graph", completed: done, total: order.count, unit: "rows",
                elapsedSeconds: monotonicSeconds() - began)
            if progress?(report) == .stop { throw CancellationError() }
        }
        linkStrangers()
    }

    /// Links to rows that no walk from the entry could reach, crowds far from all others for example: each from the nearest
    /// row that is reached and has room for a link, else in the place of a link.
    private func linkStrangers() {
        guard entry >= 0 else { return }
        let own = memory(0)
        var graph = graph
        var reached = [Bool](repeating: false, count: count)
        func spread(from row: Int) {
            var waiting = [row]
            reached[row] = true
            while let one = waiting.popLast() {
                let links = list(one, 0)
                for place in 0..<most(0) where links[place] >= 0 && !reached[Int(links[place])] {
                    reached[Int(links[place])] = true
                    waiting.append(Int(links[place]))
                }
            }
        }
        spread(from: entry)
        // Rows that have left, or wait to be linked, link to nobody.
        for row in 0..<count where !reached[row] && list(row, 0)[0] >= 0 {
            var query = apus_rounded_query()
            apus_graph_query_of_row(&graph, Int32(row), own.code, &query)
            let near = own.near.baseAddress
            near[0] = apus_near(distance: 0, row: Int32(entry))
            let found = Int(
                apus_graph_walk(
                    &graph, &query, space.extra(row), 0, near, 1, Int64(options.buildWidth), &own.memory))
            let hosts = (0..<found).map { Int(near[$0].row) }
            let host = hosts.first { list($0, 0)[most(0) - 1] < 0 } ?? hosts.first ?? entry
            let links = list(host, 0)
            let place = (0..<most(0)).first { links[$0] < 0 } ?? most(0) - 1
            links[place] = Int32(row)
            spread(from: row)
        }
    }

    /// Chooses the links of one row; nothing links to it yet.
    private func link(_ row: Int, _ own: GraphMemory) {
        var graph = graph
        var query = apus_rounded_query()
        apus_graph_query_of_row(&graph, Int32(row), own.code, &query)
        let near = own.near.baseAddress
        near[0] = apus_near(distance: 0, row: Int32(entry))
        var found: Int64 = 1
        let own_layers = layers(of: row)
        for layer in stride(from: layers(of: entry), through: 0, by: -1) {
            let isOwn = layer <= own_layers
            found = apus_graph_walk(
                &graph, &query, space.extra(row), Int64(layer), near, found,
                Int64(isOwn ? options.buildWidth : 1), &own.memory)
            guard isOwn else { continue }
            let target = list(row, layer)
            let chosen = apus_graph_choose(
                &graph, Int32(row), near, found, Int64(links), own.chosen.baseAddress, &own.memory)
            for place in 0..<most(layer) { target[place] = place < Int(chosen) ? own.chosen[place] : -1 }
        }
    }

    /// Links from those that the rows of a batch have chosen back to them.
    private func linkBack(_ batch: [Int]) {
        var keys: [UInt64] = []
        for row in batch {
            for layer in 0...layers(of: row) {
                let links = list(row, layer)
                for place in 0..<most(layer) where links[place] >= 0 {
                    keys.append(UInt64(layer) << 60 | UInt64(links[place]) << 32 | UInt64(row))
                }
            }
        }
        keys.sort()
        var starts = keys.indices.filter { $0 == 0 || keys[$0] >> 32 != keys[$0 - 1] >> 32 }
        let targets = starts.count
        starts.append(keys.count)
        pool.parallelFor((targets + 63) / 64) { chunk, worker in
            let own = self.memory(worker)
            for target in chunk * 64..<min((chunk + 1) * 64, targets) {
                let range = starts[target]..<starts[target + 1]
                let key = keys[range.lowerBound]
                let sources = range.map { Int32(truncatingIfNeeded: keys[$0] & 0xFFFF_FFFF) }
                self.add(sources, to: Int(key >> 32 & 0x0FFF_FFFF), layer: Int(key >> 60), own)
            }
        }
    }

    private func add(_ sources: [Int32], to row: Int, layer: Int, _ own: GraphMemory) {
        let (links, most) = (list(row, layer), most(layer))
        let present = (0..<most).first { links[$0] < 0 } ?? most
        if present + sources.count <= most {
            for (place, source) in sources.enumerated() { links[present + place] = source }
        } else {
            choose((0..<present).map { links[$0] } + sources, for: row, layer: layer, own)
        }
    }

    /// Gives a row the best of some links.
    private func choose(_ candidates: [Int32], for row: Int, layer: Int, _ own: GraphMemory) {
        let (links, most) = (list(row, layer), most(layer))
        var graph = graph
        var query = apus_rounded_query()
        apus_graph_query_of_row(&graph, Int32(row), own.code, &query)
        var near = candidates.map { apus_near(distance: 0, row: $0) }
        apus_graph_distances(&graph, &query, space.extra(row), &near, Int64(near.count))
        near.sort { ($0.distance, $0.row) < ($1.distance, $1.row) }
        let chosen = apus_graph_choose(
            &graph, Int32(row), near, Int64(min(near.count, Self.mostCandidates)), Int64(most), own.chosen.baseAddress,
            &own.memory)
        for place in 0..<most { links[place] = place < Int(chosen) ? own.chosen[place] : -1 }
    }

    // MARK: Rows that go

    /// Takes rows out: whoever linked to one links to the best of what that one linked to.
    func remove(_ removed: Set<Int>) {
        guard !removed.isEmpty else { return }
        for worker in 0..<pool.threadCount { _ = memory(worker) }
        pool.parallelFor((count + 255) / 256) { chunk, worker in
            let own = self.memory(worker)
            for row in chunk * 256..<min((chunk + 1) * 256, self.count) where !removed.contains(row) {
                for layer in 0...self.layers(of: row) { self.replaceRemoved(removed, row, layer, own) }
            }
        }
        for row in removed {
            for layer in 0...layers(of: row) { list(row, layer).update(repeating: -1, count: most(layer)) }
        }
        if removed.contains(entry) {
            entry = -1
            for row in 0..<count where !removed.contains(row) && (entry < 0 || layers(of: row) > layers(of: entry)) {
                entry = row
            }
        }
    }

    private func replaceRemoved(_ removed: Set<Int>, _ row: Int, _ layer: Int, _ own: GraphMemory) {
        let (links, most) = (list(row, layer), most(layer))
        var (candidates, gone) = ([Int32](), [Int]())
        for place in 0..<most where links[place] >= 0 {
            if removed.contains(Int(links[place])) {
                gone.append(Int(links[place]))
            } else {
                candidates.append(links[place])
            }
        }
        guard !gone.isEmpty else { return }
        for other in gone {
            let theirs = list(other, layer)
            for place in 0..<most where theirs[place] >= 0 && Int(theirs[place]) != row {
                if !removed.contains(Int(theirs[place])) { candidates.append(theirs[place]) }
            }
        }
        choose(Array(Set(candidates)), for: row, layer: layer, own)
    }
}

extension NeighborGraph {
    /// The graph of some of its rows, numbered anew in their order. Nothing may link to the others.
    func renumbered(_ rows: [Int], space: GraphSpace) -> NeighborGraph {
        var numbers = [Int32](repeating: -1, count: count)
        for (number, row) in rows.enumerated() { numbers[row] = Int32(number) }
        let fresh = HostBuffer<Int32>(uninitializedCount: rows.count + 1)
        fresh[0] = 0
        for (number, row) in rows.enumerated() { fresh[number + 1] = fresh[number] + offsets[row + 1] - offsets[row] }
        let lowest = HostBuffer<Int32>(uninitializedCount: rows.count * 2 * options.links)
        let above = HostBuffer<Int32>(uninitializedCount: Int(fresh[rows.count]) * options.links)
        func copy(_ source: HostBuffer<Int32>, _ from: Int, _ target: HostBuffer<Int32>, _ to: Int, _ count: Int) {
            for place in 0..<count {
                let link = source[from + place]
                target[to + place] = link < 0 ? -1 : numbers[Int(link)]
            }
        }
        for (number, row) in rows.enumerated() {
            copy(base, row * 2 * options.links, lowest, number * 2 * options.links, 2 * options.links)
            copy(
                upper, Int(offsets[row]) * options.links, above, Int(fresh[number]) * options.links,
                Int(fresh[number + 1] - fresh[number]) * options.links)
        }
        return NeighborGraph(
            options: options, comparesCodes: comparesCodes, recall: recall, base: lowest, offsets: fresh, upper: above,
            entry: entry < 0 ? -1 : Int(numbers[entry]), halves: space.halves, extras: space.extras)
    }
}
