import CVectorLoops
import Core

#if canImport(Glibc)
    import Glibc
#endif

/// A loss with what boosting needs of it.
struct BoostingObjective {
    let loss: BoostingLoss
    let quantile: Double
    /// Scores of a row: one, or one for each class.
    let outputs: Int

    init(_ options: GradientBoosting, classes: Int) throws {
        let natural: BoostingLoss = classes == 0 ? .squared : classes == 2 ? .logistic : .multinomial
        loss = options.loss ?? natural
        let fits = classes == 0 ? loss == .squared || loss == .quantile : loss == natural
        guard fits else {
            throw ParameterError(
                "loss",
                classes == 0
                    ? "`\(loss.rawValue)` is for classes; use squared or quantile"
                    : "`\(loss.rawValue)` does not go with \(classes) classes; use \(natural.rawValue)")
        }
        quantile = options.quantile
        outputs = loss == .multinomial ? classes : 1
    }

    /// The constant that fits the rows best: where boosting starts.
    func start(_ data: TreeData, rows: [UInt32]) -> [Double] {
        func weight(_ row: UInt32) -> Double { data.weights.map { Double($0[Int(row)]) } ?? 1 }
        switch loss {
        case .quantile:
            return [weightedQuantile(rows.map { (data.target[Int($0)], Float(weight($0))) })]
        case .squared, .logistic:
            var (sum, total) = (0.0, 0.0)
            for row in rows {
                sum += weight(row) * Double(data.target[Int(row)])
                total += weight(row)
            }
            let mean = sum / total
            if loss == .squared { return [mean] }
            let share = min(max(mean, 1e-6), 1 - 1e-6)
            return [log(share / (1 - share))]
        case .multinomial:
            var sums = [Double](repeating: 0, count: outputs)
            for row in rows { sums[Int(data.target[Int(row)])] += weight(row) }
            let total = sums.reduce(0, +)
            return sums.map { log(max($0 / total, 1e-6)) }
        }
    }

    /// The smallest value below or at which lies the quantile's share of the weight.
    func weightedQuantile(_ values: [(value: Float, weight: Float)]) -> Double {
        let ordered = values.sorted { $0.value < $1.value }
        let total = ordered.reduce(0.0) { $0 + Double($1.weight) }
        var sum = 0.0
        for (value, weight) in ordered {
            sum += Double(weight)
            if sum >= quantile * total { return Double(value) }
        }
        return Double(ordered.last?.value ?? 0)
    }

    /// Derivatives of rows begin ..< end; `pairs` holds those of all rows for one output after another.
    func gradients(
        _ data: TreeData, scores: UnsafePointer<Double>, begin: Int, end: Int, pairs: UnsafeMutablePointer<Float>
    ) {
        let rows = data.rows
        data.target.withUnsafeBufferPointer { target in
            let target = target.baseAddress!
            switch loss {
            case .logistic:
                let out = pairs + 2 * begin
                if let weights = data.weights {
                    weights.withUnsafeBufferPointer {
                        apus_logistic_gradients(
                            scores + begin, target + begin, $0.baseAddress! + begin, Int64(end - begin), out)
                    }
                } else {
                    apus_logistic_gradients(scores + begin, target + begin, nil, Int64(end - begin), out)
                }
            case .squared:
                for row in begin..<end {
                    let weight = data.weights?[row] ?? 1
                    pairs[2 * row] = weight * Float(scores[row] - Double(target[row]))
                    pairs[2 * row + 1] = weight
                }
            case .quantile:
                let low = Float(-quantile), high = Float(1 - quantile)
                for row in begin..<end {
                    let weight = data.weights?[row] ?? 1
                    pairs[2 * row] = weight * (scores[row] > Double(target[row]) ? high : low)
                    pairs[2 * row + 1] = weight
                }
            case .multinomial:
                // The diagonal of the second derivatives understates them; this factor is Friedman's (2001).
                let factor = Float(outputs) / Float(outputs - 1)
                withUnsafeTemporaryAllocation(of: Double.self, capacity: outputs) { shares in
                    for row in begin..<end {
                        let weight = data.weights?[row] ?? 1
                        Self.softmax(scores + row * outputs, outputs, shares.baseAddress!)
                        for output in 0..<outputs {
                            let share = Float(shares[output])
                            let place = 2 * (output * rows + row)
                            pairs[place] = weight * (share - (Int(target[row]) == output ? 1 : 0))
                            pairs[place + 1] = weight * factor * share * (1 - share)
                        }
                    }
                }
            }
        }
    }

    static func softmax(_ scores: UnsafePointer<Double>, _ count: Int, _ shares: UnsafeMutablePointer<Double>) {
        var largest = scores[0]
        for index in 1..<count { largest = max(largest, scores[index]) }
        var sum = 0.0
        for index in 0..<count {
            shares[index] = exp(scores[index] - largest)
            sum += shares[index]
        }
        for index in 0..<count { shares[index] /= sum }
    }

    /// Mean loss of some rows.
    func meanLoss(_ data: TreeData, scores: UnsafePointer<Double>, rows: [UInt32]) -> Double {
        var (sum, total) = (0.0, 0.0)
        for row in rows {
            let row = Int(row)
            let weight = Double(data.weights?[row] ?? 1), target = Double(data.target[row])
            let value: Double
            switch loss {
            case .squared: value = (scores[row] - target) * (scores[row] - target)
            case .quantile:
                let difference = target - scores[row]
                value = difference >= 0 ? quantile * difference : (quantile - 1) * difference
            case .logistic:
                let score = target > 0 ? scores[row] : -scores[row]
                value = score > 0 ? log1p(exp(-score)) : -score + log1p(exp(score))
            case .multinomial:
                let first = row * outputs
                var largest = scores[first]
                for output in 1..<outputs { largest = max(largest, scores[first + output]) }
                var exponentials = 0.0
                for output in 0..<outputs { exponentials += exp(scores[first + output] - largest) }
                value = largest + log(exponentials) - scores[first + Int(target)]
            }
            sum += weight * value
            total += weight
        }
        return sum / max(total, 1e-300)
    }

    /// From scores to predictions: numbers, or the probabilities of all classes.
    func probabilities(_ scores: UnsafePointer<Double>, rows: Int, classes: Int) -> HostMatrix {
        let columns = max(classes, 1)
        let out = HostMatrix(rows: rows, columns: columns)
        for row in 0..<rows {
            switch loss {
            case .squared, .quantile: out[row, 0] = Float(scores[row])
            case .logistic:
                let share = 1 / (1 + exp(-scores[row]))
                out[row, 0] = Float(1 - share)
                out[row, 1] = Float(share)
            case .multinomial:
                withUnsafeTemporaryAllocation(of: Double.self, capacity: outputs) { shares in
                    Self.softmax(scores + row * outputs, outputs, shares.baseAddress!)
                    for output in 0..<outputs { out[row, output] = Float(shares[output]) }
                }
            }
        }
        return out
    }
}
