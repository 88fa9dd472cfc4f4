import Core

/// What is to be found for whom.
public struct RankingTask: Sendable {
    /// The people.
    public let audience: Audience
    /// people × items: what they have already, never to be recommended.
    public let known: HostSparseMatrix
    /// people × items: what is to be found.
    public let truth: HostSparseMatrix

    public init(audience: Audience, known: HostSparseMatrix, truth: HostSparseMatrix) {
        precondition(audience.count == known.rows && known.rows == truth.rows && known.columns == truth.columns)
        self.audience = audience
        self.known = known
        self.truth = truth
    }
}

/// How well a recommender found what people took later.
public struct RankingResult: Sendable {
    /// Figures by name, `recall@20` for example, in the order asked for.
    public let metrics: [(name: String, value: MetricValue)]
    /// People with something to be found.
    public let people: Int

    /// A figure by name.
    public subscript(name: String) -> Double? { metrics.first { $0.name == name }?.value.value }
}

/// Evaluation of any recommender on a task: scored in batches, so that memory does not grow with the people.
public struct RankingEvaluation: Sendable {
    /// k of each metric, with the metrics: `recall@20`.
    public var cutoffs: [Int] = [10, 20, 50, 100]
    /// Metrics computed at every cutoff.
    public var metrics: [RankingMetric] = RankingMetric.allCases
    /// Seed of the bootstrap.
    public var seed: UInt64 = 42
    /// Whether to compute intervals; without, they equal the figure.
    public var intervals = true
    /// What may be recommended.
    public var filter = ItemFilter()

    public init() {}

    /// People whose recommendations are in memory at a time.
    private static let batch = 8192

    /// Scores the people of `task` that have something to be found.
    ///
    /// Coverage@k is the share of items with interactions that appear among anyone's first k places.
    ///
    /// - Parameter coverableItems: what coverage is a share of.
    public func evaluate(_ recommender: any Recommender, on task: RankingTask, coverableItems: Int) throws
        -> RankingResult
    {
        let deepest = cutoffs.max() ?? 10
        let discounts = (0..<deepest).map { place in 1 / log2OfOnePlus(Double(place + 1)) }
        var ideal = [0.0]
        for discount in discounts { ideal.append(ideal[ideal.count - 1] + discount) }
        var rows: [Double] = []
        var counted = 0
        var peoplePerItem = cutoffs.map { _ in [Int32](repeating: 0, count: task.truth.columns) }
        for start in stride(from: 0, to: task.truth.rows, by: Self.batch) {
            let part = (start..<min(start + Self.batch, task.truth.rows)).map { Int32($0) }
            let top = try recommender.topItems(
                for: task.audience.selecting(part), count: deepest, exclusions: task.known.selectingRows(part),
                filter: filter)
            for (place, person) in part.enumerated() {
                let list = top.items[place * deepest..<(place + 1) * deepest]
                for (number, cutoff) in cutoffs.enumerated() {
                    for item in list.prefix(cutoff) where item >= 0 { peoplePerItem[number][Int(item)] += 1 }
                }
                let wanted = task.truth.range(ofRow: Int(person))
                guard !wanted.isEmpty else { continue }
                counted += 1
                let truth = UnsafeBufferPointer(
                    start: task.truth.columnIndices.baseAddress + wanted.lowerBound, count: wanted.count)
                let hits = list.map { contains(truth, $0) }
                for cutoff in cutoffs {
                    for metric in metrics {
                        rows.append(
                            metric.value(hits: hits, k: cutoff, truth: truth.count, discounts: discounts, ideal: ideal))
                    }
                }
            }
        }
        var names: [String] = []
        for cutoff in cutoffs { for metric in metrics { names.append("\(metric.rawValue)@\(cutoff)") } }
        let values =
            intervals
            ? Bootstrap.means(rows, columns: names.count, seed: seed) : columnMeans(rows, columns: names.count)
        var figures = zip(names, values).map { (name: $0, value: $1) }
        for (cutoff, people) in zip(cutoffs, peoplePerItem) {
            figures.append(("coverage@\(cutoff)", coverage(people, coverableItems: max(coverableItems, 1))))
        }
        return RankingResult(metrics: figures, people: counted)
    }

    /// Whether an ascending list holds an item.
    private func contains(_ sorted: UnsafeBufferPointer<Int32>, _ item: Int32) -> Bool {
        var (low, high) = (0, sorted.count)
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle] < item { low = middle + 1 } else { high = middle }
        }
        return low < sorted.count && sorted[low] == item
    }

    private func columnMeans(_ rows: [Double], columns: Int) -> [MetricValue] {
        let people = rows.count / max(columns, 1)
        guard people > 0 else { return [] }
        return (0..<columns).map { column in
            var sum = 0.0
            for person in 0..<people { sum += rows[person * columns + column] }
            let mean = sum / Double(people)
            return MetricValue(value: mean, low: mean, high: mean)
        }
    }

    /// The interval is the bootstrap's, in closed form: an item that c people got is missing from a resample with
    /// probability (1 − c/n)ⁿ ≈ e⁻ᶜ, so that the number of items covered has a variance of Σ e⁻ᶜ(1 − e⁻ᶜ). It is laid
    /// around the figure: a resample always covers fewer items than the people themselves do.
    private func coverage(_ peoplePerItem: [Int32], coverableItems: Int) -> MetricValue {
        let value = Double(peoplePerItem.count { $0 > 0 }) / Double(coverableItems)
        guard intervals else { return MetricValue(value: value, low: value, high: value) }
        var variance = 0.0
        for people in peoplePerItem where people > 0 {
            let missing = exponential(-Double(people))
            variance += missing * (1 - missing)
        }
        let half = 1.96 * variance.squareRoot() / Double(coverableItems)
        return MetricValue(value: value, low: max(value - half, 0), high: min(value + half, 1))
    }
}
