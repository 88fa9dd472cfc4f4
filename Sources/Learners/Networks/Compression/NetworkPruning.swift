import Core

/// Sets the smallest weights of a network to 0: which ones stay.
public struct NetworkPruning: Sendable {
    /// 1 for a parameter that stays, 0 for one that is gone.
    public let mask: NetworkWeights

    /// Of every dense layer the same share is removed, the smallest magnitudes first; biases, normalizations and tables
    /// stay as they are. Source: Han, Pool, Tran and Dally, "Learning both weights and connections for efficient neural
    /// networks", 2015.
    ///
    /// - Parameter sparsity: the share to remove, at least 0 and below 1.
    public init(_ weights: NetworkWeights, sparsity: Double) throws(ParameterError) {
        guard sparsity >= 0, sparsity < 1 else {
            throw ParameterError("sparsity", "must be at least 0 and below 1, not \(sparsity)")
        }
        mask = NetworkWeights(
            weights.descriptions,
            values: zip(weights.descriptions, weights.values).map { description, values in
                let result = HostBuffer<Float>(repeating: 1, count: values.count)
                guard description.role == .trained, description.shape.count > 1 else { return result }
                let removed = Int((Double(values.count) * sparsity).rounded())
                // By place among equals, so that the share is met.
                let order = (0..<values.count).sorted { (abs(values[$0]), $0) < (abs(values[$1]), $1) }
                for place in order.prefix(removed) { result[place] = 0 }
                return result
            })
    }

    /// The weights that stay, the others 0.
    public func applied(to weights: NetworkWeights) -> NetworkWeights {
        NetworkWeights(
            weights.descriptions,
            values: zip(weights.values, mask.values).map { values, mask in
                HostBuffer((0..<values.count).map { values[$0] * mask[$0] })
            })
    }

    /// The share of the elements of dense layers that are 0.
    public static func sparsity(of weights: NetworkWeights) -> Double {
        var (zeroes, all) = (0, 0)
        for (description, values) in zip(weights.descriptions, weights.values)
        where description.role == .trained && description.shape.count > 1 {
            all += values.count
            zeroes += values.elements.count { $0 == 0 }
        }
        return all > 0 ? Double(zeroes) / Double(all) : 0
    }
}
