import Core

/// How two vectors are compared.
public enum VectorSimilarity: String, Codable, Sendable, CaseIterable {
    /// a·b / (‖a‖‖b‖); 0 with a vector of zeros.
    case cosine
    /// a·b.
    case dot
    /// ‖a − b‖, the smaller the better.
    case euclidean
    /// Pearson's correlation of the elements; 0 with a vector whose elements are all equal.
    case pearson

    /// Brings a vector into the form in which an inner product compares it; `shift` is subtracted first (Euclidean only).
    func prepare(_ source: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>, count d: Int, shift: [Float]) {
        switch self {
        case .dot: for p in 0..<d { target[p] = source[p] }
        case .euclidean: for p in 0..<d { target[p] = source[p] - shift[p] }
        case .cosine: Self.normalize(source, to: target, d, mean: 0)
        case .pearson:
            var sum = 0.0
            for p in 0..<d { sum += Double(source[p]) }
            Self.normalize(source, to: target, d, mean: sum / Double(max(d, 1)))
        }
    }

    /// Deviations from a mean at length 1; what is only rounding becomes zeros.
    private static func normalize(
        _ source: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>, _ d: Int, mean: Double
    ) {
        var sum = 0.0
        for p in 0..<d {
            let x = Double(source[p]) - mean
            sum += x * x
        }
        let size = sum.squareRoot()
        let scale = size > 1e-12 * abs(mean) * Double(d).squareRoot() && size > 0 ? 1 / size : 0
        for p in 0..<d { target[p] = Float((Double(source[p]) - mean) * scale) }
    }
}
