import Compute
import Core

/// One item of a user's own history that carried a recommendation.
public struct ContributingItem: Sendable {
    /// The item of the history.
    public let item: Int32
    /// What it added to the score.
    public let contribution: Double
    /// Its part of the sum of the absolute contributions, 0 … 1.
    public let share: Double

    /// Contributions with their shares, largest first.
    static func ranked(_ parts: [(item: Int32, contribution: Double)]) -> [ContributingItem] {
        let total = parts.reduce(0) { $0 + abs($1.contribution) }
        return parts.map { part in
            ContributingItem(
                item: part.item, contribution: part.contribution,
                share: total > 0 ? abs(part.contribution) / total : 0)
        }.sorted { (-$0.contribution, $0.item) < (-$1.contribution, $1.item) }
    }
}

extension FactorizationRecommender {
    /// Splits the score of an item into the parts that the person's own items contributed.
    ///
    /// A person's factors solve a linear system, x = A⁻¹ Σ_j c_j t_j v_j, so that the score is Σ_j c_j t_j · vᵀA⁻¹v_j: a
    /// sum over the history (Hu, Koren and Volinsky 2008, section 5). The system is solved in double precision; the
    /// parts add up to the folded-in score. With ratings, the parts are of the rating's deviation from the mean and
    /// the item's own bias.
    ///
    /// - Parameters:
    ///   - item: the recommended item.
    ///   - history: the person's items and their values.
    /// - Returns: one part per item of the history, largest first.
    /// - Throws: ``ParameterError`` for an item that the model doesn't have.
    /// - Complexity: n·d² + d³/3, and once the Gram matrix of the items.
    public func explain(item: Int32, history: [(item: Int32, value: Float)]) throws -> [ContributingItem] {
        try checkIndices([item] + history.map(\.item), below: itemCount, "items")
        let d = factors.options.tableColumns
        var system = [Double](repeating: 0, count: d * d)
        if factors.options.feedback == .implicit && factors.options.unobservedWeight > 0 {
            let gram = try itemGram()
            for k in 0..<d * d { system[k] = Double(factors.options.unobservedWeight) * Double(gram.storage[k]) }
        }
        let vectors = history.map { vector($0.item) }
        let weights = history.map { confidence($0.value) }
        for (vector, weight) in zip(vectors, weights) {
            for i in 0..<d {
                let scaled = weight * vector[i]
                for j in 0..<d { system[i * d + j] += scaled * vector[j] }
            }
        }
        let ridge = factors.options.rowRegularization(entryCount: history.count, otherSideCount: occupiedItems)
        for i in 0..<d { system[i * d + i] += ridge }
        let weighted = try solver.solvePositiveDefinite(system, n: d, rhs: vector(item), columns: 1)
        let contributions = history.indices.map { place in
            weights[place] * target(history[place]) * zip(weighted, vectors[place]).reduce(0) { $0 + $1.0 * $1.1 }
        }
        return ContributingItem.ranked(zip(history, contributions).map { ($0.item, $1) })
    }

    /// The item as the person's system sees it: for ratings the constant of the person's bias stands last.
    private func vector(_ item: Int32) -> [Double] {
        var vector = factors.items.row(Int(item)).map { Double($0) }
        if factors.options.feedback == .explicit { vector[factors.options.factors] = Double(factors.options.biasScale) }
        return vector
    }

    private func confidence(_ value: Float) -> Double {
        guard factors.options.feedback == .implicit else { return 1 }
        switch factors.options.confidence {
        case .constant: return 1
        case .linear: return Double(value)
        case .log: return Double(LogConfidence.value(value))
        }
    }

    private func target(_ entry: (item: Int32, value: Float)) -> Double {
        guard factors.options.feedback == .explicit else { return 1 }
        let bias = factors.options.biasScale * factors.items.row(Int(entry.item))[factors.options.factors]
        return Double(entry.value - factors.mean - bias)
    }
}
