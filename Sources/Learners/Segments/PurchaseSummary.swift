import Core
import Tables

/// Recency, frequency and spending of every customer as of a date: what purchases say of people before any model.
public struct PurchaseSummary: Sendable {
    /// Which columns say what; nil is found by names in common use.
    public struct Columns: Sendable {
        public var customer: String?
        public var time: String?
        /// What groups lines into orders; without, the lines of one day are one order.
        public var order: String?
        /// What a line cost; without, quantity times price.
        public var amount: String?
        public var quantity: String?
        public var price: String?

        public init() {}
    }

    /// One row for each customer: the identifier, `recency` (days since the last order), `frequency` (orders), `spending`
    /// (sum of the amounts, returns taken off).
    public let table: Table
    /// Seconds since 1970: purchases from then on are not counted.
    public let asOf: Int64
    /// Lines that were counted, lines without a customer or a time, and lines from `asOf` on.
    public let lines: Int
    public let incomplete: Int
    public let later: Int
    /// What the columns were taken to be.
    public let columns: [(role: String, name: String)]

    /// What high and low values of the columns are called.
    public static let words: [String: (high: String, low: String)] = [
        "recency": ("not seen for long", "recent"), "frequency": ("frequent", "infrequent"),
        "spending": ("big spenders", "small spenders"),
    ]

    /// Sums up. A line of a negative amount is a return: it takes money off and is no order. Customers with nothing but
    /// returns have no orders and are left out.
    ///
    /// - Parameters:
    ///   - lines: purchases, a line each.
    ///   - asOf: seconds since 1970; nil for the moment after the last line.
    /// - Throws: ``DataError`` when there is no column for a role, or no purchase.
    public init(_ lines: Table, columns: Columns = Columns(), asOf: Int64? = nil) throws {
        func find(_ given: String?, _ names: [String]) throws -> Column? {
            if let given { return try lines.column(given) }
            return lines.columns.first { column in names.contains(column.name.lowercased().filter(\.isLetter)) }
        }
        guard
            let customer = try find(
                columns.customer, ["customer", "customerid", "user", "userid", "client", "clientid"])
        else { throw Self.missing("customers", "--user-column", lines) }
        guard
            let time = try find(
                columns.time, ["time", "date", "timestamp", "invoicedate", "orderdate", "purchasedate", "datetime"])
        else { throw Self.missing("times", "--time-column", lines) }
        let order = try find(
            columns.order,
            [
                "order", "orderid", "invoice", "invoiceno", "invoiceid", "basket", "basketid", "transaction",
                "transactionid",
            ])
        let amount = try find(columns.amount, ["amount", "spending", "revenue", "total", "value", "sales"])
        let quantity = try amount == nil ? find(columns.quantity, ["quantity", "qty", "count", "units"]) : nil
        let price = try amount == nil ? find(columns.price, ["price", "unitprice"]) : nil
        guard amount != nil || price != nil else { throw Self.missing("amounts", "--value-column", lines) }
        let seconds = try Self.seconds(time)
        let (amounts, quantities, prices) = (
            try amount.map(Self.numbers), try quantity.map(Self.numbers), try price.map(Self.numbers)
        )
        let end = asOf ?? ((seconds.filter { $0 != Column.missingInteger }.max() ?? 0) + 1)

        var rows: [String: Int] = [:]
        var (names, last, spending, orders): ([String], [Int64], [Double], [Set<String>]) = ([], [], [], [])
        var (counted, incomplete, later) = (0, 0, 0)
        for line in 0..<lines.rowCount {
            let value = amounts?[line] ?? (prices![line] * (quantities?[line] ?? 1))
            guard let name = customer.text(line), seconds[line] != Column.missingInteger, value.isFinite else {
                incomplete += 1
                continue
            }
            guard seconds[line] < end else {
                later += 1
                continue
            }
            counted += 1
            let row: Int
            if let known = rows[name] {
                row = known
            } else {
                row = names.count
                rows[name] = row
                names.append(name)
                last.append(.min)
                spending.append(0)
                orders.append([])
            }
            spending[row] += value
            guard value >= 0 else { continue }
            last[row] = max(last[row], seconds[line])
            let day = seconds[line] >= 0 ? seconds[line] / 86_400 : (seconds[line] - 86_399) / 86_400
            orders[row].insert(order?.text(line) ?? String(day))
        }
        let buyers = names.indices.filter { !orders[$0].isEmpty }
        guard !buyers.isEmpty else { throw DataError("no purchase of a known customer lies before the date") }
        table = try Table([
            Column(customer.name, .identifier(PackedText(buyers.map { names[$0] }))),
            Column("recency", .number(buyers.map { Double(end - last[$0]) / 86_400 })),
            Column("frequency", .integer(buyers.map { Int64(orders[$0].count) })),
            Column("spending", .number(buyers.map { spending[$0] })),
        ])
        (self.asOf, self.lines, self.incomplete, self.later) = (end, counted, incomplete, later)
        self.columns = [
            ("customer", customer.name), ("time", time.name), ("order", order?.name ?? "the day"),
            ("amount", amount?.name ?? [quantity?.name, price?.name].compactMap { $0 }.joined(separator: " × ")),
        ]
    }

    private static func missing(_ what: String, _ flag: String, _ table: Table) -> DataError {
        DataError(
            "no column for \(what) was found; name it with \(flag). The columns are \(table.columnNames.joined(separator: ", "))"
        )
    }

    private static func seconds(_ column: Column) throws -> [Int64] {
        if case .date(let values) = column.values { return values }
        if case .integer(let values) = column.values { return values }
        guard case .date(let values) = try column.converted(to: .date).values else {
            throw DataError("the values are no times", column: column.name)
        }
        return values
    }

    private static func numbers(_ column: Column) throws -> [Double] {
        guard let numbers = column.numbers else { throw DataError("the values are no numbers", column: column.name) }
        return numbers
    }

    /// How the three are scaled before K-means: spending and orders have long tails, which a logarithm tames.
    public static let recipe = Recipe([
        .log(.named(["recency", "frequency", "spending"])), .impute(.numbers, with: .mean, indicator: true),
        .scale(.numbers, .standard),
    ])
}
