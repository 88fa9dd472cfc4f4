/// For each row of `points` the row of `centers` at the smallest Euclidean distance, the lower index among equal ones,
/// and the squared distance to it.
///
/// A point without a finite distance to any centre (a NaN, an overflow, no centres) gets label −1 and distance +∞.
public struct AssignNearest: Sendable {
    /// n × d
    public let points: Matrix
    /// k × d
    public let centers: Matrix
    /// 1 × n, int32
    public let labels: Matrix
    /// 1 × n: ‖point − centre‖², summed from the differences, without cancellation; nil when nobody wants it.
    public let distances: Matrix?

    /// Whether products of bytes, exact by a bound of their error, pay on CPU-class devices that have them: enough centres
    /// to rule out, vectors long enough to be worth rounding, and sums that fit 32 bits.
    package static func canRound(centers k: Int, columns d: Int) -> Bool {
        (128...16384).contains(k) && (32...16384).contains(d) && k * d >= 8192
    }
}

/// For each label j: `sums[j, :] = Σ weights[i] · points[i, :]` and `totals[j] = Σ weights[i]` over the rows i with
/// `labels[i] == j`, accumulated in wider precision and rounded once. Labels outside 0 ..< k belong to nobody.
public struct AccumulateByLabel: Sendable {
    /// n × d
    public let points: Matrix
    /// 1 × n, int32
    public let labels: Matrix
    /// 1 × n, or nil for 1.
    public let weights: Matrix?
    /// k × d
    public let sums: Matrix
    /// 1 × k
    public let totals: Matrix
}
