import Core

/// The items of a synthetic shop, laid out for the drawing of rows: flat, and without reference counts in the loop.
final class SyntheticCatalogue: Sendable {
    /// What the drawing of rows has to know about an item.
    struct Item: BitwiseCopyable {
        let firstTaste: Int32
        let secondTaste: Int32
        let firstShare: Float
        /// Moment of greatest popularity, as a share of the span.
        let peak: Float
        /// How much of the popularity remains far away from the peak.
        let floor: Float
        /// How much better than others it is, in rating points.
        let quality: Float
        /// Day of the year at which it is in season, or −1.
        let season: Float

        /// Share of the popularity at a moment, 0 … 1: the item's own rise and fall, and its season.
        func demand(_ moment: Double, dayOfYear: Double) -> Double {
            let distance = (moment - Double(peak)) / 0.25
            let low = Double(floor)
            var result = low + (1 - low) / (1 + distance * distance)
            if season >= 0 {
                let away = abs(dayOfYear - Double(season))
                result *= 0.25 + 0.75 * max(0, 1 - min(away, 365 - away) / 75)
            }
            return result
        }
    }

    private struct Entry: BitwiseCopyable {
        let threshold: UInt32
        let item: Int32
        let alias: Int32
    }

    /// Written once, by `init`.
    let items: HostBuffer<Item>
    private let entries: HostBuffer<Entry>
    private let starts: HostBuffer<Int>

    /// - Parameters:
    ///   - members: items of every list: of the tastes, and at last of the whole shop.
    ///   - weights: their weights.
    init(items: [Item], members: [[Int32]], weights: [[Double]]) {
        self.items = HostBuffer(items)
        var starts = [0]
        for list in members { starts.append(starts[starts.count - 1] + list.count) }
        self.starts = HostBuffer(starts)
        entries = HostBuffer(uninitializedCount: starts[members.count])
        for list in members.indices {
            let table = AliasTable(weights[list])
            for place in members[list].indices {
                let (threshold, alias) = table.entry(place)
                entries[starts[list] + place] = Entry(
                    threshold: threshold, item: members[list][place], alias: members[list][Int(alias)])
            }
        }
    }

    /// An item of a list, by weight.
    func draw(_ list: Int, _ draws: inout SyntheticDraws) -> Int32 {
        let start = starts[list]
        let entry = entries[start + draws.integer(below: starts[list + 1] - start)]
        return draws.integer() < entry.threshold ? entry.item : entry.alias
    }
}
