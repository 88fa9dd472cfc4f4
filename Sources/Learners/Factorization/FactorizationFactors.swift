import Core

/// What factorization learns: host values, independent of the device that made them.
public struct FactorizationFactors: Sendable {
    /// users × columns. For explicit feedback the last column is the bias divided by `biasScale`.
    public let users: HostMatrix
    /// items × columns, likewise.
    public let items: HostMatrix
    /// μ, the mean rating; 0 for implicit feedback.
    public let mean: Float
    /// The parameters of the training.
    public let options: FactorizationOptions

    public init(users: HostMatrix, items: HostMatrix, mean: Float, options: FactorizationOptions) {
        precondition(users.columns == items.columns && users.columns == options.tableColumns)
        self.users = users
        self.items = items
        self.mean = mean
        self.options = options
    }

    /// The prediction for one pair: the score (implicit) or the rating (explicit), in double precision.
    public func predict(user: Int, item: Int) -> Double {
        score(users.row(user), items.row(item))
    }

    /// The prediction for two rows of factors.
    func score(_ user: UnsafeMutableBufferPointer<Float>, _ item: UnsafeMutableBufferPointer<Float>) -> Double {
        let d = options.factors
        var sum = Double(mean)
        for k in 0..<d { sum += Double(user[k]) * Double(item[k]) }
        if options.feedback == .explicit {
            sum += Double(options.biasScale) * (Double(user[d]) + Double(item[d]))
        }
        return sum
    }

    /// The two tables widened so that their plain product is the prediction less μ: for explicit feedback users become
    /// [x, b, s] and items [y, s, b]. For implicit feedback the tables themselves.
    func productForm() -> (users: HostMatrix, items: HostMatrix) {
        guard options.feedback == .explicit else { return (users, items) }
        return (
            Self.widened(users, scale: options.biasScale, ownBiasFirst: true),
            Self.widened(items, scale: options.biasScale, ownBiasFirst: false)
        )
    }

    static func widened(_ table: HostMatrix, scale: Float, ownBiasFirst: Bool) -> HostMatrix {
        let d = table.columns - 1
        let wide = HostMatrix(
            rows: table.rows, columns: d + 2, storage: HostBuffer(uninitializedCount: table.rows * (d + 2)))
        for index in 0..<table.rows {
            let (source, target) = (table.row(index), wide.row(index))
            for k in 0..<d { target[k] = source[k] }
            target[ownBiasFirst ? d : d + 1] = source[d]
            target[ownBiasFirst ? d + 1 : d] = scale
        }
        return wide
    }
}
