/// Nearest centres and sums by label: what K-means is made of.
extension Stream {
    /// For each point the nearest centre by Euclidean distance, the lower index among equal ones; the product of points
    /// and centres never reaches memory.
    ///
    /// Labels are decided on ½‖c‖² − x·c in float32: points of a large common offset should be centred first. A point
    /// without a finite distance to any centre gets label −1 and distance +∞.
    ///
    /// - Parameters:
    ///   - points: n × d.
    ///   - centers: k × d.
    ///   - labels: 1 × n, int32.
    ///   - distances: 1 × n squared distances to the nearest centre, summed from the differences; nil to do without.
    /// - Complexity: 2 · n · k · d floating-point operations; memory traffic n · d.
    public func assignNearest(
        points: Matrix, centers: Matrix, labels: Matrix, distances: Matrix? = nil
    ) throws(ComputeError) {
        let name = "assignNearest"
        for matrix in [points, centers] { try check(matrix, name) }
        try check(labels, name, .int32)
        try require(
            points.columns == centers.columns && labels.rows == 1 && labels.columns == points.rows, name,
            "points \(points.shape), centers \(centers.shape), labels \(labels.shape)")
        if let distances {
            try check(distances, name)
            try require(
                distances.rows == 1 && distances.columns == points.rows, name,
                "distances is \(distances.shape), expected 1 × \(points.rows)")
            try requireDisjoint(distances, [points, centers], name)
        }
        try requireDisjoint(labels, [points, centers] + (distances.map { [$0] } ?? []), name)
        guard labels.count > 0 else { return }
        try submit(
            .assignNearest(AssignNearest(points: points, centers: centers, labels: labels, distances: distances)))
    }

    /// Weighted sums of the points of each label, and the sums of their weights, in wider precision. Labels outside
    /// 0 ..< k are passed over.
    ///
    /// - Parameters:
    ///   - points: n × d.
    ///   - labels: 1 × n, int32.
    ///   - weights: 1 × n, or nil for 1.
    ///   - sums: k × d.
    ///   - totals: 1 × k.
    /// - Complexity: n · d.
    public func accumulateByLabel(
        points: Matrix, labels: Matrix, weights: Matrix? = nil, sums: Matrix, totals: Matrix
    ) throws(ComputeError) {
        let name = "accumulateByLabel"
        for matrix in [points, sums, totals] { try check(matrix, name) }
        try check(labels, name, .int32)
        try require(
            labels.rows == 1 && labels.columns == points.rows && sums.columns == points.columns && totals.rows == 1
                && totals.columns == sums.rows, name,
            "points \(points.shape), labels \(labels.shape), sums \(sums.shape), totals \(totals.shape)")
        if let weights {
            try check(weights, name)
            try require(
                weights.rows == 1 && weights.columns == points.rows, name,
                "weights is \(weights.shape), expected 1 × \(points.rows)")
        }
        let inputs = [points, labels] + (weights.map { [$0] } ?? [])
        try requireDisjoint(sums, inputs + [totals], name)
        try requireDisjoint(totals, inputs, name)
        guard totals.count > 0 else { return }
        try submit(
            .accumulateByLabel(
                AccumulateByLabel(points: points, labels: labels, weights: weights, sums: sums, totals: totals)))
    }
}
