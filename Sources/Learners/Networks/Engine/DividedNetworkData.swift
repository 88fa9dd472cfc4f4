import Compute
import Core

/// Data in memory, in parts drawn at random: for a device that does not hold all features at once.
struct DividedNetworkData: NetworkDataParts {
    private let data: NetworkData
    private let rows: [[Int]]

    init(_ data: NetworkData, parts: Int, seed: UInt64) {
        self.data = data
        let order = Philox(seed: seed, stream: NetworkRandom.parts - 3).permutation(count: data.rows)
        rows = (0..<parts).map { part in
            order[part * data.rows / parts..<(part + 1) * data.rows / parts].sorted()
        }
    }

    var partRows: [Int] { rows.map(\.count) }
    var columns: Int { data.features.columns }
    var isWeighted: Bool { data.weights != nil }
    var totalWeight: Double { data.totalWeight }
    var fingerprint: String { data.fingerprint }
    func part(_ index: Int) -> NetworkData { data.selecting(rows: rows[index]) }
}

extension NetworkDataParts {
    /// These data, or, where they are in one part that takes more than a quarter of a device's own memory, or one
    /// allocation, the same in more.
    func divided(for device: any Device, seed: UInt64) throws -> any NetworkDataParts {
        guard partRows.count == 1, let most = device.limits.rowsAtOnce(columns: columns), partRows[0] > most else {
            return self
        }
        return DividedNetworkData(try part(0), parts: (partRows[0] + most - 1) / most, seed: seed)
    }
}

extension DeviceLimits {
    /// Rows of features that are on the device at a time, at most; nil for any number.
    func rowsAtOnce(columns: Int) -> Int? {
        guard !sharesHostMemory, columns > 0 else { return nil }
        return max(min(memoryBytes / 4, largestAllocationBytes) / (4 * columns), 1)
    }
}

extension NetworkData {
    /// Some of the rows, in the order given.
    func selecting(rows chosen: [Int]) -> NetworkData {
        let width = rows > 0 ? targets.count / rows : 0
        return NetworkData(
            features: features.selecting(chosen), identifiers: identifiers?.selecting(chosen),
            targets: chosen.flatMap { targets[$0 * width..<($0 + 1) * width] },
            labels: labels.isEmpty ? [] : chosen.map { labels[$0] },
            weights: weights.map { all in chosen.map { all[$0] } })
    }
}

extension HostMatrix {
    /// Some of the rows, in the order given.
    func selecting(_ chosen: [Int]) -> HostMatrix {
        let selected = HostMatrix(rows: chosen.count, columns: columns)
        guard columns > 0 else { return selected }
        for (place, row) in chosen.enumerated() { _ = selected.row(place).update(fromContentsOf: self.row(row)) }
        return selected
    }
}
