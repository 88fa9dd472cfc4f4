import Core
import Learners
import Tables

/// Generated tables with a known truth.
enum SupervisedTables {
    /// Customers who leave by a rule: short contracts, high bills and many calls; with gaps, a useless column and an
    /// identifier.
    static func churn(rows: Int = 2000, seed: UInt64 = 7) throws -> Table {
        let random = Philox(seed: seed, stream: 1)
        var (calls, bill, age): ([Double], [Double], [Double]) = ([], [], [])
        var (contract, city, left, names): ([String?], [String?], [String?], [String]) = ([], [], [], [])
        for row in 0..<rows {
            let start = UInt64(row) * 10
            let long = random.uniform64(start) < 0.4
            let called = Double(random.integer(start + 1, below: 8))
            let paid = 20 + 80 * random.uniform64(start + 2)
            let score = (long ? -1.6 : 0.6) + 0.45 * (called - 3.5) + 0.03 * (paid - 60)
            let leaves = random.uniform64(start + 3) < 1 / (1 + SupervisedMath.exponential(-score))
            contract.append(long ? "two years" : "monthly")
            calls.append(called)
            bill.append(random.uniform64(start + 4) < 0.05 ? .nan : paid)
            age.append(Double(18 + random.integer(start + 5, below: 60)))
            city.append(
                random.uniform64(start + 6) < 0.1 ? nil : ["Köln", "上海", "Oslo"][random.integer(start + 7, below: 3)])
            left.append(leaves ? "yes" : "no")
            names.append("c\(row)")
        }
        return try Table([
            Column("customer", .identifier(PackedText(names))), Column("contract", categories: contract),
            Column("calls", .number(calls)), Column("bill", .number(bill)), Column("age", .number(age)),
            Column("city", categories: city), Column("left", categories: left),
        ])
    }

    /// A target apart.
    static func supervised(_ table: Table, target: String = "left", group: String? = nil) throws -> SupervisedTable {
        try SupervisedTable(
            table, roles: TableRoles(target: target, group: group), kinds: [.binary, .multiclass, .regression])
    }
}
