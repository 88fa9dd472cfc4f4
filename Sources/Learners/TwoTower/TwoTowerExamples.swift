import Core
import Tables

/// An example for each interaction of a person who has others: the others' identifiers, and its own.
///
/// An example takes many times the memory of its interaction. So they are made when they are needed, those of some
/// people, drawn at random, at a time.
package struct TwoTowerExamples: NetworkDataParts {
    private let byUser: HostSparseMatrix
    private let history: Int
    private let random: Philox
    /// ln of one over the share of each item. What is popular comes up more often among the others of a batch, and would
    /// be pushed down for that alone.
    private let rarity: [Float]
    /// People of each part.
    private let people: [[Int]]
    package let partRows: [Int]
    package let fingerprint: String

    /// Bytes of the examples of a part, if no one has more.
    package static let partBytes = 1 << 28

    /// Throws ``DataError`` when nobody has two items.
    package init(_ byUser: HostSparseMatrix, _ options: TwoTowerOptions, partBytes: Int = partBytes) throws {
        self.byUser = byUser
        history = options.history
        random = Philox(seed: options.seed, stream: NetworkRandom.sampling)
        var counts = [Int](repeating: 0, count: byUser.columns)
        for entry in 0..<byUser.entryCount { counts[Int(byUser.columnIndices[entry])] += 1 }
        rarity = counts.map { $0 > 0 ? -Float(logarithm(Double($0) / Double(byUser.entryCount))) : 0 }
        let all = (0..<byUser.rows).filter { byUser.range(ofRow: $0).count > 1 }
        let examples = all.reduce(0) { $0 + byUser.range(ofRow: $1).count }
        guard examples > 1 else {
            throw DataError("nobody has two items: there is nothing to find one by the others with")
        }
        let parts = min((examples * 4 * (options.history + 2) + partBytes - 1) / partBytes, all.count)
        if parts == 1 {
            people = [all]
        } else {
            let order = Philox(seed: options.seed, stream: NetworkRandom.parts).permutation(count: all.count)
            people = (0..<parts).map { part in
                order[part * all.count / parts..<(part + 1) * all.count / parts].map { all[$0] }.sorted()
            }
        }
        partRows = people.map { $0.reduce(0) { $0 + byUser.range(ofRow: $1).count } }
        fingerprint = StructureHash.hexadecimal(
            StructureHash.hash(
                [StructureHash.raw(byUser.rowPointers), StructureHash.raw(byUser.columnIndices)],
                options: "two-tower \(options.history)", threads: 1))
    }

    /// All examples.
    var count: Int { partRows.reduce(0, +) }
    package var columns: Int { 0 }
    package var isWeighted: Bool { false }
    package var totalWeight: Double { Double(count) }

    package func part(_ index: Int) -> NetworkData {
        let width = history + 1
        var ids: [Int32] = []
        var targets: [Float] = []
        ids.reserveCapacity(partRows[index] * width)
        targets.reserveCapacity(partRows[index])
        for user in people[index] {
            let own = byUser.columns(ofRow: user)
            let first = byUser.range(ofRow: user).lowerBound
            for (place, item) in own.enumerated() {
                let start = ids.count
                if own.count - 1 <= history {
                    for (other, known) in own.enumerated() where other != place { ids.append(known) }
                } else {
                    for next in 0..<history {
                        // One of the others: those from its own place on move up by one.
                        let other = random.integer(
                            UInt64((first + place) * history + next), below: own.count - 1)
                        ids.append(own[other < place ? other : other + 1])
                    }
                }
                while ids.count < start + history { ids.append(-1) }
                ids.append(item)
                targets.append(rarity[Int(item)])
            }
        }
        return NetworkData(
            features: HostMatrix(rows: targets.count, columns: 0),
            identifiers: IdentifierRows(columns: width, values: ids), targets: targets)
    }
}
