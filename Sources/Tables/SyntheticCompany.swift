import Core

#if canImport(Glibc)
    import Glibc
#endif

/// A small company that does not exist: customers, products, orders, events, feedback and campaigns, and the truth behind
/// them, for demonstrations and tests.
///
/// Customers, products, events and orders come from ``SyntheticInteractions``. On top of it, customers have properties
/// from which two labels are drawn with planted effects (``churnEffects``, ``purchaseEffects``), write feedback about what
/// they bought in English or Chinese, and take part in randomized campaigns whose effect depends on who they are. All of
/// it is decided by the seed.
public struct SyntheticCompany: Sendable {
    /// Size of the company.
    public struct Options: Sendable {
        /// 1 … 2,000,000
        public var customers = 2_000
        /// 10 … 100,000
        public var products = 200
        /// Rows of events per customer, on average; 2 … 1,000, and at most half of the products.
        public var eventsPerCustomer = 40
        /// Campaigns, 0 … 50.
        public var campaigns = 3
        /// Share of Chinese feedback.
        public var chineseShare = 0.25
        public var seed: UInt64 = 42
        /// Seconds since 1970 of the first day; 1 January 2023 by default.
        public var startTime: Int64 = 1_672_531_200
        public var days = 730

        public init() {}
    }

    /// One term of a planted logistic model.
    public struct Effect: Sendable, Equatable {
        public let feature: String
        /// What a unit of the feature (a year, a call, being so) adds to the log odds.
        public let logOdds: Double
    }

    /// Churn: short tenure, monthly contracts, support calls and low satisfaction drive it; city and gender don't.
    public static let churnEffects = [
        Effect(feature: "intercept", logOdds: -0.1), Effect(feature: "contract=monthly", logOdds: 1.1),
        Effect(feature: "tenure_months", logOdds: -0.045), Effect(feature: "support_calls", logOdds: 0.4),
        Effect(feature: "satisfaction", logOdds: -0.55), Effect(feature: "loyalty_card=yes", logOdds: -0.7),
    ]

    /// A purchase in the next 30 days: visits and basket drive it, days since the last visit work against it, and
    /// people of middle age buy more than young and old ones (so that a straight line is not enough).
    public static let purchaseEffects = [
        Effect(feature: "intercept", logOdds: -1.4), Effect(feature: "visits_30d", logOdds: 0.22),
        Effect(feature: "days_since_visit", logOdds: -0.03), Effect(feature: "average_basket", logOdds: 0.008),
        Effect(feature: "newsletter=true", logOdds: 0.6), Effect(feature: "((age - 45) / 15)^2", logOdds: -0.35),
    ]

    public let options: Options
    let interactions: SyntheticInteractions

    /// - Throws: ``Core/ParameterError`` for a value out of range.
    public init(_ options: Options) throws {
        func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws {
            if !range.contains(value) {
                throw ParameterError(name, "\(value) is not from \(range.lowerBound) to \(range.upperBound)")
            }
        }
        try check("customers", options.customers, 1...2_000_000)
        try check("products", options.products, 10...100_000)
        try check("eventsPerCustomer", options.eventsPerCustomer, 2...1000)
        try check("campaigns", options.campaigns, 0...50)
        try check("days", options.days, 60...36_500)
        guard (0...1).contains(options.chineseShare) else {
            throw ParameterError("chineseShare", "\(options.chineseShare) is not from 0 to 1")
        }
        self.options = options
        var shop = SyntheticInteractions.Options()
        shop.users = options.customers
        shop.items = options.products
        shop.interactions = options.customers * min(options.eventsPerCustomer, options.products / 2)
        shop.seed = options.seed
        shop.values = .events
        shop.startTime = options.startTime
        shop.days = options.days
        interactions = try SyntheticInteractions(shop)
    }

    /// Number of rows of every file that was written.
    public struct Written: Sendable {
        public internal(set) var rows: [(file: String, rows: Int)] = []
    }

    /// Writes the company into a folder, which is made where it is missing: `customers.csv`, `products.csv`,
    /// `orders.csv`, `events.csv`, `feedback.csv`, `campaigns.csv`, and `truth/`, with what a model is to find out.
    /// - Throws: `SystemError` when a file can't be written, `CancellationError` when `progress` answers stop.
    public func write(to folder: String, progress: ProgressHandler? = nil) throws -> Written {
        for path in [folder, folder + "/truth"] where mkdir(path, 0o777) != 0 && errno != EEXIST {
            throw SystemError(operation: "make the folder", object: path, reason: systemMessage(errno))
        }
        var files = CompanyFiles(folder: folder)
        let people = (0..<options.customers).map { SyntheticCustomer(self, $0) }
        let products = (0..<options.products).map { SyntheticProduct(self, $0) }
        let began = monotonicSeconds()
        func report(_ done: Int) throws {
            let report = ProgressReport(
                phase: "generate", completed: done, total: options.customers, unit: "customers",
                elapsedSeconds: monotonicSeconds() - began)
            if let progress, progress(report) == .stop { throw CancellationError() }
        }
        try writeProducts(products, &files)
        let events = try files.open("events.csv", "customer_id,product_id,event,time")
        let orders = try files.open("orders.csv", "order_id,customer_id,product_id,quantity,price,discount,time")
        let feedback = try files.open("feedback.csv", "feedback_id,customer_id,product_id,time,stars,label,feedback")
        let truth = try files.open("truth/feedback.csv", "feedback_id,topic,sentiment,language")
        var orderCount = 0
        var feedbackCount = 0
        var rows: [SyntheticRow] = []
        var scratch = SyntheticShop.Scratch()
        let names = ["", "view", "cart", "purchase"]
        for (number, person) in people.enumerated() {
            rows.removeAll(keepingCapacity: true)
            interactions.shop.rows(ofUser: number, into: &rows, &scratch)
            var draws = SyntheticDraws(seed: options.seed, stream: 0x4F52_4445, number: number)
            for row in rows where person.churned ? row.time < person.leftAt : true {
                let product = products[Int(row.item)]
                try files.write(
                    "\(person.id),\(product.id),\(names[Int(row.value)]),\(CalendarTime.text(row.time))\n", to: events)
                guard row.value == 3 else { continue }
                orderCount += 1
                let quantity = 1 + (draws.uniform() < 0.2 ? 1 + draws.integer(below: 3) : 0)
                let discount = draws.uniform() < 0.25 ? Double(5 * (1 + draws.integer(below: 4))) / 100 : 0
                try files.write(
                    "O\(orderCount),\(person.id),\(product.id),\(quantity),\(product.priceText),\(discount),\(CalendarTime.text(row.time))\n",
                    to: orders)
                guard draws.uniform() < 0.45 else { continue }
                feedbackCount += 1
                let opinion = SyntheticFeedback(
                    person, product, chinese: draws.uniform() < options.chineseShare, &draws)
                let time = row.time + 86_400 * Int64(2 + draws.integer(below: 12))
                let label = opinion.stars >= 4 ? "positive" : opinion.stars <= 2 ? "negative" : "neutral"
                try files.write(
                    "F\(feedbackCount),\(person.id),\(product.id),\(CalendarTime.text(time)),\(opinion.stars),\(label),\(Self.quoted(opinion.text))\n",
                    to: feedback)
                try files.write(
                    "F\(feedbackCount),\(opinion.topic),\(opinion.good ? "good" : "bad"),\(opinion.chinese ? "zh" : "en")\n",
                    to: truth)
            }
            if number % 256 == 0 { try report(number) }
        }
        try writeCustomers(people, &files)
        try writeCampaigns(people, &files)
        try writeEffects(&files)
        try report(options.customers)
        return try files.commit()
    }

    private func writeProducts(_ products: [SyntheticProduct], _ files: inout CompanyFiles) throws {
        let file = try files.open("products.csv", "product_id,title,department,price,cost,stock")
        for product in products {
            try files.write(
                "\(product.id),\(Self.quoted(product.title)),\(Self.quoted(product.department)),\(product.priceText),\(product.costText),\(product.stock)\n",
                to: file)
        }
    }

    private func writeCustomers(_ people: [SyntheticCustomer], _ files: inout CompanyFiles) throws {
        let file = try files.open(
            "customers.csv",
            "customer_id,age,gender,city,income,joined,tenure_months,channel,contract,loyalty_card,newsletter,support_calls,satisfaction,visits_30d,days_since_visit,average_basket,churn,purchase"
        )
        let truth = try files.open("truth/customers.csv", "customer_id,churn_probability,purchase_probability,left_at")
        for person in people {
            try files.write(person.row + "\n", to: file)
            let left = person.churned ? CalendarTime.text(person.leftAt / 86_400 * 86_400) : ""
            try files.write(
                "\(person.id),\(Self.rounded(person.churnProbability, 4)),\(Self.rounded(person.purchaseProbability, 4)),\(left)\n",
                to: truth)
        }
    }

    private func writeCampaigns(_ people: [SyntheticCustomer], _ files: inout CompanyFiles) throws {
        let file = try files.open(
            "campaigns.csv", "campaign_id,customer_id,arm,sent,opened,clicked,converted,spend")
        let truth = try files.open(
            "truth/campaigns.csv", "campaign_id,customer_id,baseline,email_uplift,voucher_uplift")
        for campaign in 0..<options.campaigns {
            let day = Int64(options.days * (campaign + 1) / (options.campaigns + 1))
            let sent = options.startTime + day * 86_400 + 9 * 3600
            for (number, person) in people.enumerated() {
                var draws = SyntheticDraws(seed: options.seed, stream: 0x4341_4D50 + UInt64(campaign), number: number)
                // Everybody who is still there is in one arm or another, by the toss of a die: no selection.
                guard !(person.churned && person.leftAt < sent), draws.uniform() < 0.6 else { continue }
                let arm = draws.integer(below: 3)
                let baseline = 0.02 + 0.1 * person.purchaseProbability
                // Subscribers can be persuaded; a voucher works on people with small baskets.
                let email = person.newsletter ? 0.05 : 0.004
                let voucher = person.averageBasket < 60 ? 0.09 : -0.01
                let chance = baseline + (arm == 1 ? email : arm == 2 ? voucher : 0)
                let converted = draws.uniform() < chance
                let opened = arm > 0 && (converted || draws.uniform() < (person.newsletter ? 0.45 : 0.18))
                let clicked = opened && (converted || draws.uniform() < 0.2)
                let spend = converted ? Self.rounded(person.averageBasket * (0.6 + 0.8 * draws.uniform()), 2) : "0"
                try files.write(
                    "K\(campaign + 1),\(person.id),\(["control", "email", "voucher"][arm]),\(arm == 0 ? "" : CalendarTime.text(sent)),\(opened),\(clicked),\(converted),\(spend)\n",
                    to: file)
                try files.write(
                    "K\(campaign + 1),\(person.id),\(Self.rounded(baseline, 4)),\(email),\(voucher)\n", to: truth)
            }
        }
    }

    private func writeEffects(_ files: inout CompanyFiles) throws {
        let file = try files.open("truth/effects.csv", "label,feature,log_odds")
        for (label, effects) in [("churn", Self.churnEffects), ("purchase", Self.purchaseEffects)] {
            for effect in effects {
                try files.write("\(label),\(Self.quoted(effect.feature)),\(effect.logOdds)\n", to: file)
            }
        }
    }

    static func quoted(_ text: String) -> String {
        guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
        return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    static func rounded(_ value: Double, _ digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        return Column.text((value * scale).rounded() / scale)
    }

    static func logistic(_ logOdds: Double) -> Double { 1 / (1 + exp(-logOdds)) }
}

/// The files of a company, written side by side; they appear when all are complete.
struct CompanyFiles {
    private let folder: String
    private var files: [(name: String, file: AtomicFile, rows: Int)] = []

    init(folder: String) { self.folder = folder }

    mutating func open(_ name: String, _ header: String) throws -> Int {
        let file = try AtomicFile(path: folder + "/" + name)
        try file.write(header + "\n")
        files.append((name, file, 0))
        return files.count - 1
    }

    mutating func write(_ row: String, to place: Int) throws {
        try files[place].file.write(row)
        files[place].rows += 1
    }

    func commit() throws -> SyntheticCompany.Written {
        for (_, file, _) in files { try file.commit() }
        return SyntheticCompany.Written(rows: files.map { ($0.name, $0.rows) })
    }
}
