import Core

/// Graphs in the file of an index: tensors `graph.base` (I32, n × 2 · links), `graph.offsets` (I32, n + 1), `graph.upper`
/// (I32, lists × links) and, by similarity, `graph.halves` or `graph.extras` (F32, n).
extension NeighborGraph {
    func describe(_ metadata: inout [String: String]) {
        metadata["graph.links"] = String(options.links)
        metadata["graph.build_width"] = String(options.buildWidth)
        metadata["graph.search_width"] = String(options.searchWidth)
        metadata["graph.seed"] = String(options.seed)
        metadata["graph.entry"] = String(entry)
        metadata["graph.compares"] = comparesCodes ? "codes" : "vectors"
        metadata["graph.recall"] = recall.map { String($0) }
    }

    func add(to writer: inout SafetensorsWriter) {
        writer.add("graph.base", shape: [count, 2 * options.links], base)
        writer.add("graph.offsets", shape: [count + 1], offsets)
        writer.add("graph.upper", shape: [upper.count / options.links, options.links], upper)
        if let halves { writer.add("graph.halves", shape: [count], halves) }
        if let extras { writer.add("graph.extras", shape: [count], extras) }
    }

    /// The graph of a file; nil if it has none. Every number is checked, in O(n · links): walks trust them.
    init?(_ file: SafetensorsFile, rows: Int) throws {
        guard file.tensor("graph.base") != nil else { return nil }
        let damaged = DataError("the graph of the index is damaged", file: file.path)
        func number(_ name: String) throws -> Int {
            guard let value = file.metadata["graph.\(name)"].flatMap({ Int($0) }) else { throw damaged }
            return value
        }
        var options = GraphOptions()
        (options.links, options.buildWidth) = (try number("links"), try number("build_width"))
        options.searchWidth = try number("search_width")
        guard let seed = file.metadata["graph.seed"].flatMap({ UInt64($0) }) else { throw damaged }
        options.seed = seed
        guard (try? options.validate()) != nil else { throw damaged }
        self.options = options
        comparesCodes = file.metadata["graph.compares"] == "codes"
        recall = file.metadata["graph.recall"].flatMap { Double($0) }
        base = try file.int32s("graph.base", shape: [rows, 2 * options.links])
        offsets = try file.int32s("graph.offsets", shape: [rows + 1])
        upper = try file.int32s("graph.upper")
        halves = file.tensor("graph.halves") == nil ? nil : try file.floats("graph.halves", shape: [rows])
        extras = file.tensor("graph.extras") == nil ? nil : try file.floats("graph.extras", shape: [rows])
        entry = try number("entry")
        guard entry < rows, entry >= (rows > 0 ? 0 : -1), offsets[0] == 0,
            (0..<rows).allSatisfy({ offsets[$0] <= offsets[$0 + 1] }),
            Int(offsets[rows]) * options.links == upper.count
        else { throw damaged }
        try checkLinks(damaged)
    }

    /// Links are rows that have the layer they are linked on.
    private func checkLinks(_ damaged: DataError) throws {
        let n = Int32(count)
        for place in 0..<base.count where base[place] < -1 || base[place] >= n { throw damaged }
        for row in 0..<count {
            for list in offsets[row]..<offsets[row + 1] {
                let layer = list - offsets[row] + 1
                for place in 0..<options.links {
                    let link = upper[Int(list) * options.links + place]
                    guard link >= -1, link < n, link < 0 || offsets[Int(link) + 1] - offsets[Int(link)] >= layer else {
                        throw damaged
                    }
                }
            }
        }
    }
}
