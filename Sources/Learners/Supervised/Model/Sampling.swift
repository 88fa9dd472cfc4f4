import Core
import Tables

/// How classes of unlike size are brought closer, in training parts only.
public enum Sampling: String, Codable, Sendable, CaseIterable {
    case none
    /// Rows of the smaller classes are drawn again until all are as large as the largest.
    case over
    /// Rows of the larger classes are left out until all are as small as the smallest.
    case under
    /// New rows between rows of the smaller classes and their neighbours (SMOTE-NC, Chawla et al. 2002).
    case smote

    private static let stream: UInt64 = 0x5341_4D50_4C45

    /// The rows after sampling. Deterministic. Throws ``ParameterError`` for targets that are numbers.
    func applied(to data: SupervisedTable, seed: UInt64) throws -> SupervisedTable {
        guard self != .none else { return data }
        guard data.task.isClassification else {
            throw ParameterError("sampling", "is for classes; the target is a number")
        }
        var members = [[Int]](repeating: [], count: data.task.labels.count)
        for row in 0..<data.rows { members[Int(data.target[row])].append(row) }
        let sizes = members.map(\.count).filter { $0 > 0 }
        guard let largest = sizes.max(), let smallest = sizes.min(), largest > smallest else { return data }
        let random = Philox(seed: seed, stream: Self.stream)
        switch self {
        case .none: return data
        case .under:
            var kept: [Int] = []
            for (number, rows) in members.enumerated() {
                let order = Philox(seed: seed, stream: Self.stream + UInt64(number) + 1).permutation(count: rows.count)
                kept += order.prefix(smallest).map { rows[$0] }
            }
            return data.selecting(rows: kept.sorted())
        case .over:
            var (rows, draw) = (Array(0..<data.rows), UInt64(0))
            for own in members where !own.isEmpty {
                for _ in own.count..<largest {
                    rows.append(own[random.integer(draw, below: own.count)])
                    draw += 1
                }
            }
            return data.selecting(rows: rows)
        case .smote:
            return try SyntheticMinority(data: data, members: members, size: largest, random: random).applied()
        }
    }
}
