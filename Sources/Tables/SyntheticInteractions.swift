import Core

/// Interactions of a shop that does not exist, but could: for trials, tests and measurements of any size.
///
/// Items carry one or two of K tastes, users hold one to three; a user's tastes drift from a first to a last mix. Item
/// popularity has a Zipf tail, rises and falls over time, and some tastes are in season at one time of the year. User
/// activity is log-normal. Time stamps follow the year, the week and the hour of day. All of it is decided by the seed
/// alone, for any number of threads. Memory is O(users + items); rows are made user by user and streamed.
public struct SyntheticInteractions: Sendable {
    /// What the third column holds.
    public enum Values: String, Sendable, CaseIterable {
        /// `user,item,rating,time`: 1 … 5, higher where tastes meet; a pair of user and item comes once.
        case ratings
        /// `user,item,event,time`: `view`, `cart`, `purchase`, in that order for one pair; views may be repeated.
        case events
    }

    /// Size and kind of the shop.
    public struct Options: Sendable {
        /// Number of users, 1 … 2³¹ − 1.
        public var users = 10_000
        /// Number of items, 2 … 2³¹ − 1.
        public var items = 2_000
        /// Number of rows, exactly; at least one per user while it lasts, and at most half of users × items.
        public var interactions = 500_000
        public var seed: UInt64 = 42
        public var values = Values.ratings
        /// Number of tastes K, 1 … 1,024; 0 for a number that suits the items.
        public var tastes = 0
        /// Seconds since 1970 of the first day; 1 January 2023 by default.
        public var startTime: Int64 = 1_672_531_200
        /// Days that the data spans, 1 … 36,500.
        public var days = 730
        /// Threads that make rows; 0 for all processors.
        public var threads = 0

        public init() {}
    }

    /// The rows of a small shop, in memory.
    public struct Arrays: Sendable {
        /// Users, 0 … users − 1, ascending.
        public internal(set) var users: [Int32] = []
        /// Items, 0 … items − 1.
        public internal(set) var items: [Int32] = []
        /// Ratings 1 … 5, or 1, 2, 3 for view, cart, purchase.
        public internal(set) var values: [Int8] = []
        /// Seconds since 1970, ascending within a user.
        public internal(set) var times: [Int64] = []
    }

    /// The options, with the number of tastes filled in.
    public let options: Options
    let shop: SyntheticShop

    /// Plans the shop: O(users + items).
    /// - Throws: `ParameterError` for a value out of range.
    public init(_ options: Options) throws {
        func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws {
            if !range.contains(value) {
                throw ParameterError(name, "\(value) is not from \(range.lowerBound) to \(range.upperBound)")
            }
        }
        try check("users", options.users, 1...Int(Int32.max))
        try check("items", options.items, 2...Int(Int32.max))
        let most = options.users.multipliedReportingOverflow(by: options.items / 2)
        try check("interactions", options.interactions, 1...(most.overflow ? Int.max : most.partialValue))
        try check("tastes", options.tastes, 0...1024)
        try check("days", options.days, 1...36_500)
        try check("threads", options.threads, 0...1024)
        guard abs(options.startTime) < 1 << 40 else {
            throw ParameterError("startTime", "\(options.startTime) is not a time in seconds since 1970")
        }
        var options = options
        if options.tastes == 0 { options.tastes = min(48, max(2, options.items / 40)) }
        options.tastes = min(options.tastes, options.items)
        self.options = options
        shop = SyntheticShop(options)
    }

    /// All rows in memory: for small shops and tests.
    public func arrays() -> Arrays {
        var result = Arrays()
        var rows: [SyntheticRow] = []
        var scratch = SyntheticShop.Scratch()
        for user in 0..<options.users {
            rows.removeAll(keepingCapacity: true)
            shop.rows(ofUser: user, into: &rows, &scratch)
            for row in rows {
                result.users.append(Int32(user))
                result.items.append(row.item)
                result.values.append(row.value)
                result.times.append(row.time)
            }
        }
        return result
    }

    /// Writes the rows as CSV with a header, users in ascending order, each user's rows in order of time. The file
    /// appears when it is complete. Users and items are numbered from 1.
    /// - Returns: whether it was completed; false when `progress` answered stop, and then there is no file.
    /// - Throws: `SystemError` when the file can't be written.
    @discardableResult
    public func write(to path: String, progress: ProgressHandler? = nil) throws -> Bool {
        let file = try AtomicFile(path: path, bufferSize: 1 << 20)
        try file.write("user,item,\(options.values == .ratings ? "rating" : "event"),time\n")
        let threads = options.threads == 0 ? Workers.processorCount : options.threads
        let began = monotonicSeconds()
        // Groups of users are fixed by the shop; threads only decide how many groups are made at once.
        let usersPerGroup = max(1, min(4096, options.users * 65_536 / max(options.interactions, 1)))
        let groups = (options.users + usersPerGroup - 1) / usersPerGroup
        let parallel = threads * 2
        let texts = SyntheticTexts(count: parallel)
        var done = 0
        for first in stride(from: 0, to: groups, by: parallel) {
            let count = min(parallel, groups - first)
            Workers.share(tasks: count, threads: threads) { task in
                let start = (first + task) * usersPerGroup
                texts.fill(task, shop, users: start..<min(start + usersPerGroup, options.users))
            }
            for task in 0..<count {
                try texts.withText(task) { try file.write($0) }
                done += texts.rowCount(task)
            }
            let report = ProgressReport(
                phase: "generate", completed: done, total: options.interactions, unit: "rows",
                elapsedSeconds: monotonicSeconds() - began)
            if let progress, progress(report) == .stop {
                file.discard()
                return false
            }
        }
        try file.commit()
        return true
    }
}
