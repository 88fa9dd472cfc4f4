import Core

/// The ranking metrics, each defined for one person with `hits[p]` telling whether place p (from 0) holds an item to be
/// found, and `truth` the number of items to be found.
public enum RankingMetric: String, Sendable, CaseIterable, Codable {
    /// Hits among the first k over min(k, truth).
    case recall
    /// Hits among the first k over k.
    case precision
    /// Harmonic mean of the two above.
    case f1
    /// Σ 1/log₂(place + 2) over the hits among the first k, over the same sum of an ideal list cut at k.
    case ndcg
    /// Mean over the hits among the first k of the precision at their place, over min(k, truth).
    case map
    /// 1 over the place of the first hit among the first k, counted from 1; 0 without one.
    case mrr
    /// Whether there is a hit among the first k.
    case hitRate = "hit_rate"

    /// The value for one person.
    func value(hits: [Bool], k: Int, truth: Int, discounts: [Double], ideal: [Double]) -> Double {
        let end = min(k, hits.count)
        let reachable = Double(min(k, truth))
        switch self {
        case .recall:
            return Double(hits[..<end].count { $0 }) / reachable
        case .precision:
            return Double(hits[..<end].count { $0 }) / Double(k)
        case .f1:
            let found = Double(hits[..<end].count { $0 })
            let (recall, precision) = (found / reachable, found / Double(k))
            return found == 0 ? 0 : 2 * recall * precision / (recall + precision)
        case .ndcg:
            var gain = 0.0
            for place in 0..<end where hits[place] { gain += discounts[place] }
            return gain / ideal[min(k, truth)]
        case .map:
            var (found, sum) = (0.0, 0.0)
            for place in 0..<end where hits[place] {
                found += 1
                sum += found / Double(place + 1)
            }
            return sum / reachable
        case .mrr:
            return hits[..<end].firstIndex(of: true).map { 1 / Double($0 + 1) } ?? 0
        case .hitRate:
            return hits[..<end].contains(true) ? 1 : 0
        }
    }
}

/// A figure with the 95 % interval of its bootstrap.
public struct MetricValue: Sendable, Codable, Equatable {
    /// The figure on all of the test data.
    public let value: Double
    /// 2.5 % quantile over the resamples.
    public let low: Double
    /// 97.5 % quantile over the resamples.
    public let high: Double

    public init(value: Double, low: Double, high: Double) {
        self.value = value
        self.low = low
        self.high = high
    }
}

/// Bootstrap over people (Efron 1979): the central 95 % of the means of resamples. For more than
/// ``peopleResampled`` people the normal distribution that those means tend to, mean ± 1.96 · s/√n, at a thousandth of the
/// cost.
public enum Bootstrap {
    /// Resamples drawn.
    public static let resamples = 1000
    /// Up to how many people resamples are drawn.
    public static let peopleResampled = 10_000

    /// Means of the columns of `rows` (people × columns) with intervals. O(resamples · people · columns).
    public static func means(_ rows: [Double], columns: Int, seed: UInt64) -> [MetricValue] {
        let people = rows.count / max(columns, 1)
        guard people > 0 else { return [] }
        var (sums, squares) = (
            [Double](repeating: 0, count: columns), [Double](repeating: 0, count: columns)
        )
        for person in 0..<people {
            for column in 0..<columns { sums[column] += rows[person * columns + column] }
        }
        let means = sums.map { $0 / Double(people) }
        if people <= peopleResampled {
            let samples = resampledMeans(rows, people: people, columns: columns, seed: seed)
            return (0..<columns).map { interval(value: means[$0], samples: samples[$0]) }
        }
        for person in 0..<people {
            for column in 0..<columns {
                let difference = rows[person * columns + column] - means[column]
                squares[column] += difference * difference
            }
        }
        return (0..<columns).map { column in
            let half = 1.96 * (squares[column] / Double(people)).squareRoot() / Double(people).squareRoot()
            return MetricValue(value: means[column], low: means[column] - half, high: means[column] + half)
        }
    }

    private static func resampledMeans(_ rows: [Double], people: Int, columns: Int, seed: UInt64) -> [[Double]] {
        let random = Philox(seed: seed, stream: 0x424F_4F54)
        var samples = [[Double]](repeating: [], count: columns)
        var sums = [Double](repeating: 0, count: columns)
        rows.withUnsafeBufferPointer { rows in
            for round in 0..<resamples {
                for column in 0..<columns { sums[column] = 0 }
                for draw in 0..<people {
                    let person = random.integer(UInt64(round * people + draw), below: people)
                    for column in 0..<columns { sums[column] += rows[person * columns + column] }
                }
                for column in 0..<columns { samples[column].append(sums[column] / Double(people)) }
            }
        }
        return samples
    }

    /// The figure with the central 95 % of its resamples.
    private static func interval(value: Double, samples: [Double]) -> MetricValue {
        let sorted = samples.sorted()
        guard !sorted.isEmpty else { return MetricValue(value: value, low: value, high: value) }
        let low = sorted[Int(0.025 * Double(sorted.count - 1))]
        let high = sorted[Int((0.975 * Double(sorted.count - 1)).rounded(.up))]
        return MetricValue(value: value, low: low, high: high)
    }
}
