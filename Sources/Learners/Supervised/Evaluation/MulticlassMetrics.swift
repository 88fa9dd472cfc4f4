import Core

/// How well probabilities of several classes tell them apart.
struct MulticlassMetrics {
    static let names = [
        "accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1", "log_loss", "brier",
        "macro_roc_auc",
    ]

    private let classes: Int
    private let target: [Int]
    private let predicted: [Int]
    private let losses: [Double]
    private let squares: [Double]
    /// For each class, its own order; for the areas.
    private let binary: [BinaryAreas]

    init(probabilities: HostMatrix, target: [Int]) {
        let (rows, classes) = (probabilities.rows, probabilities.columns)
        var predicted = [Int](repeating: 0, count: rows)
        var (losses, squares) = ([Double](repeating: 0, count: rows), [Double](repeating: 0, count: rows))
        for row in 0..<rows {
            let values = probabilities.row(row)
            var (best, square) = (0, 0.0)
            for place in 0..<classes {
                if values[place] > values[best] { best = place }
                let difference = Double(values[place]) - (target[row] == place ? 1 : 0)
                square += difference * difference
            }
            predicted[row] = best
            squares[row] = square
            losses[row] = -logarithm(min(max(Double(values[target[row]]), BinaryMetrics.smallestProbability), 1))
        }
        self.classes = classes
        self.target = target
        self.predicted = predicted
        self.losses = losses
        self.squares = squares
        binary = (0..<classes).map { place in
            BinaryAreas(
                scores: (0..<rows).map { Double(probabilities[$0, place]) }, positive: target.map { $0 == place })
        }
    }

    /// Weight of each pair of class and predicted class, class after class.
    func confusion(weights: [Double]) -> [Double] {
        var counts = [Double](repeating: 0, count: classes * classes)
        for row in target.indices { counts[target[row] * classes + predicted[row]] += weights[row] }
        return counts
    }

    func values(weights: [Double]) -> [Double] {
        let counts = confusion(weights: weights)
        var (loss, square, total, correct) = (0.0, 0.0, 0.0, 0.0)
        for row in target.indices {
            loss += weights[row] * losses[row]
            square += weights[row] * squares[row]
            total += weights[row]
            if target[row] == predicted[row] { correct += weights[row] }
        }
        var (precisions, recalls, f1s, present, areas, areaCount) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        for place in 0..<classes {
            let hits = counts[place * classes + place]
            let actual = (0..<classes).reduce(0.0) { $0 + counts[place * classes + $1] }
            let said = (0..<classes).reduce(0.0) { $0 + counts[$1 * classes + place] }
            precisions += said > 0 ? hits / said : 0
            f1s += actual + said > 0 ? 2 * hits / (actual + said) : 0
            if actual > 0 {
                recalls += hits / actual
                present += 1
            }
            let area = binary[place].roc(weights: weights)
            if !area.isNaN {
                areas += area
                areaCount += 1
            }
        }
        return [
            correct / total, recalls / present, precisions / Double(classes), recalls / Double(classes),
            f1s / Double(classes), loss / total, square / total, areas / areaCount,
        ]
    }
}

/// The area under the ROC curve of one class against the rest, sorted once.
struct BinaryAreas {
    private let order: [Int]
    private let scores: [Double]
    private let positive: [Bool]

    init(scores: [Double], positive: [Bool]) {
        let order = scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }
        self.order = order
        self.scores = order.map { scores[$0] }
        self.positive = order.map { positive[$0] }
    }

    /// Ties count half; NaN when a side is empty.
    func roc(weights: [Double]) -> Double {
        var (area, positives, negatives) = (0.0, 0.0, 0.0)
        var place = 0
        while place < order.count {
            let score = scores[place]
            var (tiedPositives, tiedNegatives) = (0.0, 0.0)
            while place < order.count, scores[place] == score {
                let weight = weights[order[place]]
                if positive[place] { tiedPositives += weight } else { tiedNegatives += weight }
                place += 1
            }
            area += tiedNegatives * (positives + tiedPositives / 2)
            positives += tiedPositives
            negatives += tiedNegatives
        }
        return positives > 0 && negatives > 0 ? area / (positives * negatives) : .nan
    }
}
