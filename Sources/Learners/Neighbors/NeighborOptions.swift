import Core

/// How two rows (items by their users, or users by their items) are compared.
public enum Similarity: String, Codable, Sendable, CaseIterable {
    /// a·b / (‖a‖‖b‖), what is absent being 0.
    case cosine
    /// The cosine over common features of the deviations from each feature's mean: for items, from the mean of each
    /// user (Sarwar, Karypis, Konstan and Riedl 2001).
    case adjustedCosine = "adjusted-cosine"
    /// Pearson's correlation over the common features, with the means of the common features.
    case pearson
    /// Pearson's correlation over all features: deviations from the row's whole mean, what is absent being no
    /// deviation.
    case pearsonAll = "pearson-all"
    /// Common features over all features of the two.
    case jaccard
    /// The cosine of √value · ln(1 + rows / rows with the feature).
    case tfidf
    /// The inner product of BM25 weights (k₁, b; Robertson and Walker 1994): a long row is no stronger for its length.
    case bm25

    /// Whether the values are ratings, not evidence: they are used as they are.
    var usesRatings: Bool { self == .pearson || self == .pearsonAll || self == .adjustedCosine }
}

/// Parameters of neighborhood models.
public struct NeighborOptions: Codable, Sendable, Equatable {
    /// Whose neighbors are found.
    public var side = RecommenderSide.items
    /// How two rows are compared.
    public var similarity = Similarity.cosine
    /// Neighbors kept for each row, 1 … 10,000.
    public var neighbors = 50
    /// β ≥ 0: similarities are multiplied by n / (n + β), with n common features.
    public var shrinkage = 0.0
    /// γ ≥ 0: similarities of fewer than γ common features are multiplied by n / γ (Herlocker et al. 1999); 0 for none.
    public var significance = 0.0
    /// Rows with fewer common features are no neighbors, at least 1. Correlations need 2.
    public var minimumCommon = 1
    /// k₁ and b of BM25.
    public var bm25Saturation: Float = 1.2
    public var bm25Length: Float = 0.75
    /// What the values are: evidence to rank by, or ratings to predict.
    public var feedback = Feedback.implicit
    /// How values become weights; for similarities of ratings they are used as they are.
    public var confidence = ConfidenceRule.constant

    public init() {}

    /// Throws ``ParameterError`` for the first value outside its range.
    public func validate() throws(ParameterError) {
        guard (1...10_000).contains(neighbors) else {
            throw ParameterError("neighbors", "\(neighbors) is outside 1 … 10000")
        }
        guard shrinkage >= 0, shrinkage.isFinite else {
            throw ParameterError("shrinkage", "\(shrinkage) is not a number from 0 up")
        }
        guard significance >= 0, significance.isFinite else {
            throw ParameterError("significance", "\(significance) is not a number from 0 up")
        }
        guard minimumCommon >= 1 else { throw ParameterError("minimumCommon", "\(minimumCommon) is below 1") }
        guard bm25Saturation > 0, bm25Saturation.isFinite else {
            throw ParameterError("bm25Saturation", "\(bm25Saturation) is not a number above 0")
        }
        guard (0...1).contains(bm25Length) else { throw ParameterError("bm25Length", "\(bm25Length) is outside 0 … 1") }
    }
}
