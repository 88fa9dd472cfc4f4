import Core

/// How thoroughly vectors are searched.
public enum VectorSearchMode: Sendable, Equatable {
    /// All rows, exactly. Where the index has 8-bit codes and the device can use them, they rule out most rows by a bound of
    /// what rounding hides.
    case exact
    /// All rows, by their 8-bit codes with a quarter of the bound: what is found is scored exactly, a few of the best may be
    /// missed. On devices that don't use codes the same as exact.
    case rounded
    /// A walk in the index's graph with so many rows in view; nil for the number that the graph was made for.
    case graph(width: Int?)

    /// Of the bound of rounding's error, what ``rounded`` allows for.
    static let errorShare: Float = 0.25
}

extension VectorMatches {
    /// The matches of the first queries.
    public init(_ matches: VectorMatches, first queries: Int) {
        self.init(
            count: matches.count, rows: Array(matches.rows.prefix(queries * matches.count)),
            similarities: Array(matches.similarities.prefix(queries * matches.count)))
    }

    /// Share of the exact matches that these have; a row that is as similar as the last exact one counts for it.
    public func recall(against exact: VectorMatches, isDistance: Bool) -> Double {
        var (found, asked) = (0, 0)
        let queries = rows.count / max(count, 1)
        for query in 0..<queries {
            let best = exact.matches(of: query)
            guard let last = best.last?.similarity else { continue }
            asked += best.count
            let own = matches(of: query).count { isDistance ? $0.similarity <= last : $0.similarity >= last }
            found += min(own, best.count)
        }
        return asked == 0 ? 1 : Double(found) / Double(asked)
    }
}
