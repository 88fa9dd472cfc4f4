import ArgumentParser
import Core
import Learners
import Tables

/// Numbers of clusters on the command line: 5, or 2...10.
struct ClusterRange: ExpressibleByArgument {
    let range: ClosedRange<Int>

    init?(argument: String) {
        let parts = argument.split(separator: ".").map { Int($0) ?? 0 }
        guard let first = parts.first, let last = parts.last, parts.count <= 2, first >= 1, last >= first,
            argument == (parts.count == 2 ? "\(first)...\(last)" : "\(first)")
        else { return nil }
        range = first...last
    }

    var defaultValueDescription: String {
        range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)...\(range.upperBound)"
    }
}

/// How rows are divided: the same flags wherever a number of clusters is chosen.
struct DivisionFlags: ParsableArguments {
    @Option(help: "Number of clusters, or a range to compare: 2...10.")
    var clusters = ClusterRange(argument: "2...10")!
    @Option(help: "euclidean, or cosine.")
    var distance = ClusterDistance.euclidean
    @Option(help: "Seed of everything random.")
    var seed: UInt64 = 42
}

/// What is clustered: a table of rows, or purchases summed up to customers.
struct SegmentDataFlags: ParsableArguments {
    @OptionGroup var points: PointsFlags
    @Option(help: "Purchases, a line each, for --rfm.")
    var interactions: String?
    @Flag(help: "Sum purchases up: recency, frequency and spending of each customer.")
    var rfm = false
    @Option(name: .customLong("as-of"), help: "Purchases from this date on are not counted (default: after the last).")
    var asOf: String?
    @OptionGroup var roles: RoleFlags
    @Option(name: .customLong("order-column"), help: "Column that tells orders apart (default: found, else the day).")
    var orderColumn: String?

    func validate() throws {
        guard (points.data == nil) != (interactions == nil) else {
            throw ValidationError("give --data or --interactions")
        }
        guard interactions == nil || rfm else { throw ValidationError("--interactions needs --rfm here") }
        guard interactions != nil || !rfm else { throw ValidationError("--rfm needs --interactions") }
    }

    /// The rows, and the column of the revenue where one is known.
    func read(_ global: GlobalOptions) throws -> (
        input: PointsInput, revenue: String?, path: String
    ) {
        guard let interactions else {
            let path = points.data ?? ""
            return (try points.read(path, global), nil, path)
        }
        let lines = try points.table(interactions, global)
        return try SimilarVectorFlags.about(interactions) {
            var columns = PurchaseSummary.Columns()
            columns.customer = roles.userColumn
            columns.time = roles.timeColumn
            columns.order = orderColumn
            columns.amount = roles.valueColumn
            let summary = try PurchaseSummary(lines, columns: columns, asOf: asOf.map(Self.seconds))
            global.remark(
                summary.columns.map { "\($0.role): \($0.name)" }.joined(separator: ", ")
                    + "; \(summary.lines) lines of \(summary.table.rowCount) customers"
                    + (summary.incomplete > 0
                        ? ", \(summary.incomplete) without customer, time or amount left out" : "")
                    + (summary.later > 0 ? ", \(summary.later) after the date left out" : ""))
            var flags = points
            flags.id = summary.table.columnNames[0]
            let input = try flags.input(summary.table, scaling: PurchaseSummary.recipe)
            return (input, "spending", interactions)
        }
    }

    private static func seconds(_ text: String) throws -> Int64 {
        guard case .date(let values)? = try? Column("as-of", categories: [text]).converted(to: .date).values,
            let first = values.first, first != Column.missingInteger
        else { throw ValidationError("--as-of wants a date such as 2011-12-10, not \(text)") }
        return first
    }
}
