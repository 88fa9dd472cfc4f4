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

    /// Scores the people of `task` that have something to be found.
    ///
    /// Coverage@k is the share of items with interactions that appear among anyone's first k places.
    public func evaluate(_ recommender: any Recommender, on task: RankingTask, coverableItems: Int) throws
        -> RankingResult
    {
        let people = task.truth.rows
        let deepest = cutoffs.max() ?? 10
        let discounts = (0..<deepest).map { place in 1 / log2OfOnePlus(Double(place + 1)) }
        var ideal = [0.0]
        for discount in discounts { ideal.append(ideal[ideal.count - 1] + discount) }
        let top = try recommender.topItems(
            for: task.audience, count: deepest, exclusions: task.known, filter: filter)

        var names: [String] = []
        for cutoff in cutoffs { for metric in metrics { names.append("\(metric.rawValue)@\(cutoff)") } }
        var rows: [Double] = []
        var counted = 0
        for person in 0..<people {
            let wanted = task.truth.range(ofRow: person)
            guard !wanted.isEmpty else { continue }
            counted += 1
            let truth = Set(wanted.map { task.truth.columnIndices[$0] })
            let hits = (0..<deepest).map { place in truth.contains(top.items[person * deepest + place]) }
            for cutoff in cutoffs {
                for metric in metrics {
                    rows.append(
                        metric.value(hits: hits, k: cutoff, truth: truth.count, discounts: discounts, ideal: ideal))
                }
            }
        }
        let values =
            intervals
            ? Bootstrap.means(rows, columns: names.count, seed: seed)
            : columnMeans(rows, columns: names.count)
        var figures = zip(names, values).map { (name: $0, value: $1) }
        for cutoff in cutoffs {
            figures.append(
                (
                    "coverage@\(cutoff)",
                    coverage(top, task: task, cutoff: cutoff, coverableItems: max(coverableItems, 1))
                ))
        }
        return RankingResult(metrics: figures, people: counted)
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

    /// The interval is that of the bootstrap moved so that its middle is the figure: a resample repeats some people and
    /// leaves others out, so that it always covers fewer items than the people themselves do.
    private func coverage(_ top: TopItems, task: RankingTask, cutoff: Int, coverableItems: Int) -> MetricValue {
        let people = task.truth.rows
        var lastSeen = [Int32](repeating: -1, count: task.truth.columns)
        var round: Int32 = -1
        func covered(_ person: (Int) -> Int) -> Double {
            round += 1
            var count = 0
            for place in 0..<people {
                let start = person(place) * top.count
                for item in top.items[start..<start + min(cutoff, top.count)] where item >= 0 {
                    if lastSeen[Int(item)] != round {
                        lastSeen[Int(item)] = round
                        count += 1
                    }
                }
            }
            return Double(count) / Double(coverableItems)
        }
        let value = covered { $0 }
        guard intervals, people > 0 else { return MetricValue(value: value, low: value, high: value) }
        let random = Philox(seed: seed, stream: 0x434F_5645)
        let rounds = min(100, max(20, 20_000_000 / (people * cutoff)))
        let samples = (0..<rounds).map { round in
            covered { random.integer(UInt64(round * people + $0), below: people) }
        }
        let shift = value - samples.reduce(0, +) / Double(rounds)
        return Bootstrap.interval(value: value, samples: samples.map { min(max($0 + shift, 0), 1) })
    }
}
