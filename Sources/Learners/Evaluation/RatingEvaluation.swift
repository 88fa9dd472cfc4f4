import Core

/// How far predicted ratings are from given ones.
public enum RatingEvaluation {
    /// Root of the mean squared error and mean absolute error, with intervals by bootstrap over the ratings.
    ///
    /// - Parameters:
    ///   - predictions: predicted ratings, as many as `ratings`.
    ///   - ratings: the truth.
    ///   - seed: of the bootstrap.
    public static func evaluate(
        predictions: [Float], ratings: [Float], seed: UInt64
    ) -> [(name: String, value: MetricValue)] {
        precondition(predictions.count == ratings.count)
        var rows: [Double] = []
        rows.reserveCapacity(ratings.count * 2)
        for (prediction, rating) in zip(predictions, ratings) {
            let error = Double(prediction) - Double(rating)
            rows.append(error * error)
            rows.append(abs(error))
        }
        let means = Bootstrap.means(rows, columns: 2, seed: seed)
        guard means.count == 2 else { return [] }
        let squared = means[0]
        return [
            (
                "rmse",
                MetricValue(
                    value: squared.value.squareRoot(), low: squared.low.squareRoot(), high: squared.high.squareRoot())
            ),
            ("mae", means[1]),
        ]
    }
}
