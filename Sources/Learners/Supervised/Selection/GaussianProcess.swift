import Compute
import Core

/// A Gaussian process with a Matérn 5/2 kernel on [0, 1]ᵈ, for the next parameters to try.
///
/// Scores are standardised; the length scale (one for all dimensions) and the noise are those of the largest marginal
/// likelihood on a small grid. O(trials³).
struct GaussianProcess {
    private let places: [[Double]]
    private let weights: [Double]
    private let inverse: [Double]
    private let length: Double
    private let mean: Double
    private let deviation: Double
    private let best: Double

    /// - Parameter scores: larger is better.
    init?(places: [[Double]], scores: [Double], solver: any DenseSolver) {
        let n = scores.count
        guard n >= 2 else { return nil }
        let mean = scores.reduce(0, +) / Double(n)
        let variance = scores.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(n)
        let deviation = variance > 0 ? variance.squareRoot() : 1
        let y = scores.map { ($0 - mean) / deviation }
        var chosen: (likelihood: Double, length: Double, noise: Double)?
        for length in [0.1, 0.2, 0.4, 0.8, 1.6] {
            for noise in [1e-4, 1e-2, 1e-1] {
                let matrix = Self.covariance(places, length, noise)
                guard let factor = try? solver.cholesky(matrix, n: n),
                    let solved = try? solver.solvePositiveDefinite(matrix, n: n, rhs: y, columns: 1)
                else { continue }
                var likelihood = 0.0
                for i in 0..<n { likelihood -= 0.5 * y[i] * solved[i] + logarithm(factor[i * n + i]) }
                if chosen.map({ likelihood > $0.likelihood }) ?? true { chosen = (likelihood, length, noise) }
            }
        }
        guard let chosen else { return nil }
        let matrix = Self.covariance(places, chosen.length, chosen.noise)
        var identity = [Double](repeating: 0, count: n * n)
        for i in 0..<n { identity[i * n + i] = 1 }
        guard let inverse = try? solver.solvePositiveDefinite(matrix, n: n, rhs: identity, columns: n) else {
            return nil
        }
        self.places = places
        self.inverse = inverse
        length = chosen.length
        weights = (0..<n).map { i in (0..<n).reduce(0.0) { $0 + inverse[i * n + $1] * y[$1] } }
        self.mean = mean
        self.deviation = deviation
        best = y.max() ?? 0
    }

    private static func covariance(_ places: [[Double]], _ length: Double, _ noise: Double) -> [Double] {
        let n = places.count
        var matrix = [Double](repeating: 0, count: n * n)
        for i in 0..<n {
            for j in 0..<n { matrix[i * n + j] = kernel(places[i], places[j], length) + (i == j ? noise : 0) }
        }
        return matrix
    }

    private static func kernel(_ a: [Double], _ b: [Double], _ length: Double) -> Double {
        var square = 0.0
        for (x, y) in zip(a, b) { square += (x - y) * (x - y) }
        let r = (5 * square).squareRoot() / length
        return (1 + r + r * r / 3) * exponential(-r)
    }

    /// The expected improvement over the best score at a place, in standard deviations of the scores.
    func expectedImprovement(at place: [Double]) -> Double {
        let n = places.count
        let near = places.map { Self.kernel($0, place, length) }
        var (predicted, explained) = (0.0, 0.0)
        for i in 0..<n {
            predicted += near[i] * weights[i]
            for j in 0..<n { explained += near[i] * inverse[i * n + j] * near[j] }
        }
        let deviation = max(1 - explained, 1e-12).squareRoot()
        let z = (predicted - best) / deviation
        let (distribution, density) = normalDistribution(z)
        return deviation * (z * distribution + density)
    }
}
