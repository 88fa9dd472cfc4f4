/// New records beside those of an earlier run.
struct BenchmarkComparison {
    let old: [BenchmarkRecord]
    let new: [BenchmarkRecord]

    /// Share of the median by which a figure may differ beyond the quartile ranges of both.
    private static let tolerance = 0.05

    /// Seconds that a new median may exceed the old one by, before it counts as worse.
    static func noise(_ old: BenchmarkRecord, _ new: BenchmarkRecord) -> Double {
        old.quartiles[1] - old.quartiles[0] + new.quartiles[1] - new.quartiles[0] + tolerance * old.medianSeconds
    }

    /// Says on standard error what has changed; true when something is worse.
    func report(_ global: GlobalOptions) -> Bool {
        let earlier = Dictionary(old.map { ($0.key, $0) }) { $1 }
        var (worse, compared) = (0, 0)
        for record in new {
            guard let before = earlier[record.key] else { continue }
            compared += 1
            let change = record.medianSeconds - before.medianSeconds
            let noise = Self.noise(before, record)
            guard abs(change) > noise else { continue }
            if change > 0 { worse += 1 }
            writeToStandardError(
                "apus: \(record.benchmark) \(record.subject) on \(record.origin.device): "
                    + "\(change > 0 ? "WORSE" : "better"), \(duration(before.medianSeconds)) → "
                    + "\(duration(record.medianSeconds)) (\(change > 0 ? "+" : "")\(fixed(100 * change / before.medianSeconds, 1)) %, "
                    + "noise \(fixed(100 * noise / before.medianSeconds, 1)) %)\n")
        }
        global.remark("\(compared) of \(new.count) figures compared, \(worse) worse")
        if compared == 0 { global.remark("warning: the earlier file has none of these figures from such a device") }
        return worse > 0
    }
}
