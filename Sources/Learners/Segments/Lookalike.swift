import Compute
import Core

/// People who are like those of a list.
public enum Lookalike {
    /// How people are scored.
    public enum Method: String, Sendable, Codable, CaseIterable {
        /// Mean cosine to the `neighbors` most similar people of the list: several kinds of people may be on it.
        case neighbors
        /// Cosine to the mean of the list.
        case centroid
    }

    /// Ranks everybody who is not on the list. O(n · seeds · d) or O(n · d).
    ///
    /// - Parameters:
    ///   - points: features of everybody, n × d, on one scale.
    ///   - seeds: rows of the list, at least 1.
    ///   - neighbors: for ``Method/neighbors``; no more than there are seeds.
    /// - Returns: rows outside of the list with their scores, best first, equal ones by row.
    public static func rank(
        _ points: HostMatrix, seeds: [Int], method: Method = .neighbors, neighbors: Int = 10, stream: Compute.Stream
    ) throws -> [(row: Int, score: Float)] {
        guard !seeds.isEmpty else { throw DataError("the list is empty") }
        guard neighbors >= 1 else { throw ParameterError("neighbors", "\(neighbors) is below 1") }
        let d = points.columns
        let list = Set(seeds)
        let rows = list.sorted()
        var targets = HostMatrix(rows: rows.count, columns: d)
        for (place, row) in rows.enumerated() {
            targets.row(place).baseAddress?.update(from: points.row(row).baseAddress!, count: d)
        }
        if method == .centroid {
            let mean = HostMatrix(rows: 1, columns: d)
            for p in 0..<d {
                var sum = 0.0
                for place in rows.indices { sum += Double(targets[place, p]) }
                mean[0, p] = Float(sum / Double(rows.count))
            }
            targets = mean
        }
        let search = try VectorSearch(VectorIndex(targets, similarity: .cosine), stream: stream)
        let count = method == .centroid ? 1 : min(neighbors, rows.count)
        var scores = [Float](repeating: 0, count: points.rows)
        for first in stride(from: 0, to: points.rows, by: 8192) {
            let range = first..<min(first + 8192, points.rows)
            let part = HostMatrix(
                rows: range.count, columns: d,
                storage: HostBuffer(
                    viewing: points.storage.baseAddress + first * d, count: range.count * d,
                    release: { withExtendedLifetime(points.storage) {} }))
            let found = try search.search(part, count: count)
            for place in 0..<range.count {
                var sum: Float = 0
                for match in found.matches(of: place) { sum += match.similarity }
                scores[first + place] = sum / Float(count)
            }
        }
        return points.storage.count == 0
            ? []
            : (0..<points.rows).filter { !list.contains($0) }.map { ($0, scores[$0]) }
                .sorted { $0.1 != $1.1 ? $0.1 > $1.1 : $0.0 < $1.0 }
    }
}
