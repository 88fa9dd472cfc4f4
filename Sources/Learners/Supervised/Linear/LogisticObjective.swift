import Core
import Tables

/// Σ weight · log loss + l2/2 · ‖coefficients‖², with its gradient and Hessian.
///
/// Two classes have one score each row, the log odds; several have one score for each class, and the softmax of them.
/// Coefficients are (columns + 1) × k; the intercepts, in the last row, are not penalised.
final class LogisticObjective {
    let design: DesignMatrix
    /// Scores per row: 1 for two classes.
    let k: Int
    let target: [Int32]
    let weights: [Double]
    let totalWeight: Double
    let l2: Double
    let hasIntercept: Bool
    /// rows × k: scores, then residuals (probability − truth, times weight).
    private let scores: HostBuffer<Double>
    private let residuals: HostBuffer<Double>
    /// Probabilities where the last value was taken.
    let probabilities: HostBuffer<Double>
    private(set) var evaluations = 0

    var size: Int { (design.columns + 1) * k }

    init(_ training: TrainingSet, design: DesignMatrix, l2: Double, hasIntercept: Bool) {
        self.design = design
        k = training.task.kind == .binary ? 1 : training.task.labels.count
        target = training.target.map { Int32($0) }
        weights = training.effectiveWeights
        totalWeight = weights.reduce(0, +)
        self.l2 = l2
        self.hasIntercept = hasIntercept
        scores = HostBuffer(uninitializedCount: design.rows * k)
        residuals = HostBuffer(uninitializedCount: design.rows * k)
        probabilities = HostBuffer(uninitializedCount: design.rows * k)
    }

    /// The value at `coefficients`, and the gradient unless nil.
    func value(_ coefficients: [Double], gradient: UnsafeMutablePointer<Double>?) -> Double {
        evaluations += 1
        let (k, columns) = (k, design.columns)
        let value = coefficients.withUnsafeBufferPointer { coefficients -> Double in
            design.scores(coefficients.baseAddress!, k: k, into: scores.baseAddress)
            var penalty = 0.0
            for place in 0..<columns * k { penalty += coefficients[place] * coefficients[place] }
            return l2 / 2 * penalty
        }
        let loss = losses(withResiduals: gradient != nil)
        guard let gradient else { return value + loss }
        design.gradient(residuals.baseAddress, k: k, into: gradient)
        for place in 0..<columns * k { gradient[place] += l2 * coefficients[place] }
        if !hasIntercept { for output in 0..<k { gradient[columns * k + output] = 0 } }
        return value + loss
    }

    /// Loss of the scores; probabilities and, on demand, residuals on the way.
    private func losses(withResiduals: Bool) -> Double {
        let (rows, k) = (design.rows, k)
        let chunk = 1024
        let chunks = (rows + chunk - 1) / chunk
        let partial = HostBuffer<Double>(repeating: 0, count: max(chunks, 1))
        let (scores, probabilities, residuals) = (scores, probabilities, residuals)
        Workers.share(tasks: chunks, threads: rows * k > 20_000 ? design.threads : 1) { number in
            var loss = 0.0
            for row in number * chunk..<min((number + 1) * chunk, rows) {
                let (weight, truth) = (weights[row], Int(target[row]))
                if k == 1 {
                    let score = scores[row]
                    let signed = truth == 1 ? score : -score
                    // log(1 + e^−s), without overflow on either side.
                    let tail = exponential(-abs(signed))
                    loss += weight * ((signed < 0 ? -signed : 0) + logarithmOfOnePlus(tail))
                    let likelihood = signed >= 0 ? 1 / (1 + tail) : tail / (1 + tail)
                    let probability = truth == 1 ? likelihood : 1 - likelihood
                    probabilities[row] = probability
                    // 1 − likelihood without cancellation.
                    let miss = signed >= 0 ? tail / (1 + tail) : 1 / (1 + tail)
                    if withResiduals { residuals[row] = weight * (truth == 1 ? -miss : miss) }
                    continue
                }
                let own = scores.baseAddress + row * k
                let mine = probabilities.baseAddress + row * k
                var largest = own[0]
                for output in 1..<k { largest = max(largest, own[output]) }
                var sum = 0.0
                for output in 0..<k {
                    mine[output] = exponential(own[output] - largest)
                    sum += mine[output]
                }
                loss += weight * (logarithm(sum) + largest - own[truth])
                let scale = 1 / sum
                for output in 0..<k { mine[output] *= scale }
                if withResiduals {
                    let theirs = residuals.baseAddress + row * k
                    for output in 0..<k { theirs[output] = weight * mine[output] }
                    theirs[truth] -= weight
                }
            }
            partial[number] = loss
        }
        return partial.elements.reduce(0, +)
    }

    /// `product = H · direction`, H being the Hessian at the last point; reads the features twice.
    func hessianProduct(_ direction: [Double], into product: inout [Double]) {
        let (rows, k, columns) = (design.rows, k, design.columns)
        let (probabilities, residuals) = (probabilities, residuals)
        direction.withUnsafeBufferPointer { design.scores($0.baseAddress!, k: k, into: residuals.baseAddress) }
        let chunk = 1024
        Workers.share(tasks: (rows + chunk - 1) / chunk, threads: rows * k > 200_000 ? design.threads : 1) { number in
            for row in number * chunk..<min((number + 1) * chunk, rows) {
                let weight = weights[row]
                if k == 1 {
                    let probability = probabilities[row]
                    residuals[row] *= weight * probability * (1 - probability)
                    continue
                }
                let own = residuals.baseAddress + row * k
                let mine = probabilities.baseAddress + row * k
                var mean = 0.0
                for output in 0..<k { mean += mine[output] * own[output] }
                for output in 0..<k { own[output] = weight * mine[output] * (own[output] - mean) }
            }
        }
        product.withUnsafeMutableBufferPointer { product in
            design.gradient(residuals.baseAddress, k: k, into: product.baseAddress!)
            for place in 0..<columns * k { product[place] += l2 * direction[place] }
            if !hasIntercept { for output in 0..<k { product[columns * k + output] = 0 } }
        }
    }

    /// The Hessian at the last point, size × size in the order of the coefficients. Only for dense features.
    /// O(rows · columns² · k²).
    func hessian() -> [Double] {
        let (rows, d1, k) = (design.rows, design.columns + 1, k)
        let size = size
        var hessian = [Double](repeating: 0, count: size * size)
        for a in 0..<k {
            for b in a..<k {
                var curvature = [Double](repeating: 0, count: rows)
                for row in 0..<rows {
                    let pa = probabilities[row * k + a]
                    let pb = probabilities[row * k + b]
                    curvature[row] = weights[row] * (a == b ? pa * (1 - pa) : -pa * pb)
                }
                let gram = design.weightedGram(curvature)
                for i in 0..<d1 {
                    for j in 0..<d1 {
                        let value = gram[i * d1 + j]
                        hessian[(i * k + a) * size + j * k + b] = value
                        hessian[(j * k + b) * size + i * k + a] = value
                    }
                }
            }
        }
        let penalised = design.columns * k
        for place in 0..<penalised { hessian[place * size + place] += l2 }
        if !hasIntercept {
            for place in penalised..<size {
                for other in 0..<size { (hessian[place * size + other], hessian[other * size + place]) = (0, 0) }
                hessian[place * size + place] = 1
            }
        }
        return hessian
    }
}
