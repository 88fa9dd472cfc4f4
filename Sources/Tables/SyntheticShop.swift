import Core

#if canImport(Glibc)
    import Glibc
#endif

/// One row, made by ``SyntheticShop``.
struct SyntheticRow {
    var item: Int32
    /// A rating 1 … 5, or 1, 2, 3 for view, cart, purchase.
    var value: Int8
    var time: Int64
}

/// The truth behind a synthetic shop: what its items are and what its users like.
struct SyntheticShop: Sendable {
    /// What a user likes: tastes with their shares at the first and at the last moment.
    struct UserTastes {
        var tastes: [Int] = []
        var first: [Double] = []
        var last: [Double] = []
    }

    /// Room for the work on one user, kept between users.
    struct Scratch {
        /// For every item the number of the last user who took it, counted from 1.
        var taken: [Int32] = []
        var times: [Int64] = []
    }

    private enum Stream {
        static let items: UInt64 = 1
        static let permutation: UInt64 = 2
        static let users: UInt64 = 3
        static let activity: UInt64 = 4
        static let rows: UInt64 = 5
        static let tastes: UInt64 = 6
    }

    let options: SyntheticInteractions.Options
    /// First taste of every item, its second one (or the same again), and the share of the first.
    let firstTaste: [Int32]
    let secondTaste: [Int32]
    let firstShare: [Float]
    /// Popularity of every item before trends: a Zipf law over shuffled ranks.
    let popularity: [Float]
    /// Day of the year at which a taste is in season, or −1.
    let season: [Double]
    /// Rows up to and with each user.
    private let rowEnds: [Int64]
    private let calendar: SyntheticCalendar
    private let tasteTable: AliasTable
    private let catalogue: SyntheticCatalogue

    init(_ options: SyntheticInteractions.Options) {
        self.options = options
        let count = options.items
        let tastes = options.tastes
        calendar = SyntheticCalendar(startTime: options.startTime, days: options.days)

        // Tastes differ in size, and a third of them has a season.
        var tasteWeights: [Double] = []
        var season: [Double] = []
        for taste in 0..<tastes {
            var draws = SyntheticDraws(seed: options.seed, stream: Stream.tastes, number: taste)
            tasteWeights.append(0.4 + draws.uniform())
            season.append(draws.uniform() < 0.33 ? 365 * draws.uniform() : -1)
        }
        self.season = season
        let tasteTable = AliasTable(tasteWeights)
        self.tasteTable = tasteTable

        let ranks = Philox(seed: options.seed, stream: 0x5359_4E54_0000_0000 | Stream.permutation)
            .permutation(count: count)
        var first = [Int32](repeating: 0, count: count)
        var second = first
        var share = [Float](repeating: 1, count: count)
        var popularity = share
        var peak = share
        var floor = share
        var quality = share
        var members = [[Int32]](repeating: [], count: tastes)
        var weights = [[Double]](repeating: [], count: tastes)
        for item in 0..<count {
            var draws = SyntheticDraws(seed: options.seed, stream: Stream.items, number: item)
            // The first items make sure that every taste has one.
            let a = item < tastes ? item : tasteTable.draw(&draws)
            let b = draws.uniform() < 0.35 ? tasteTable.draw(&draws) : a
            let portion = a == b ? 1 : 0.6 + 0.3 * draws.uniform()
            let weight = pow(Double(ranks[item]) + 8, -0.85)
            first[item] = Int32(a)
            second[item] = Int32(b)
            share[item] = Float(portion)
            popularity[item] = Float(weight)
            peak[item] = Float(1.4 * draws.uniform() - 0.2)
            floor[item] = Float(0.25 + 0.75 * draws.uniform())
            quality[item] = Float(0.35 * draws.normal())
            members[a].append(Int32(item))
            weights[a].append(weight * portion)
            if a != b {
                members[b].append(Int32(item))
                weights[b].append(weight * (1 - portion))
            }
        }
        firstTaste = first
        secondTaste = second
        firstShare = share
        members.append((0..<count).map { Int32($0) })
        weights.append(popularity.map { Double($0) })
        catalogue = SyntheticCatalogue(
            items: (0..<count).map { item in
                SyntheticCatalogue.Item(
                    firstTaste: first[item], secondTaste: second[item], firstShare: share[item], peak: peak[item],
                    floor: floor[item], quality: quality[item], season: Float(season[Int(first[item])]))
            }, members: members, weights: weights)
        self.popularity = popularity
        rowEnds = Self.rowEnds(options)
    }

    /// Log-normal activity, scaled to the number of rows; nobody has more than half of the items.
    private static func rowEnds(_ options: SyntheticInteractions.Options) -> [Int64] {
        var activity = [Float](repeating: 0, count: options.users)
        for user in 0..<options.users {
            var draws = SyntheticDraws(seed: options.seed, stream: Stream.activity, number: user)
            activity[user] = Float(exp(1.1 * draws.normal()))
        }
        let most = Double(options.items / 2)
        let least = options.interactions >= options.users ? 1.0 : 0.0
        let wanted = Double(options.interactions)
        func sum(_ scale: Double) -> Double {
            var total = 0.0
            for value in activity { total += min(max(Double(value) * scale, least), most) }
            return total
        }
        var low = 0.0
        var high = 1.0
        while sum(high) < wanted, high < 1e30 { high *= 2 }
        for _ in 0..<60 {
            let middle = (low + high) / 2
            if sum(middle) < wanted { low = middle } else { high = middle }
        }
        var ends = [Int64](repeating: 0, count: options.users)
        var total = 0.0
        var used: Int64 = 0
        for user in 0..<options.users {
            total += min(max(Double(activity[user]) * high, least), most)
            // Rounding the running sum keeps the total exact; what one user can't take goes to the next.
            let end = min(Int64(total.rounded()), used + Int64(most))
            used = user == options.users - 1 ? Int64(options.interactions) : min(end, Int64(options.interactions))
            ends[user] = used
        }
        return ends
    }

    /// The tastes of a user.
    func tastes(ofUser user: Int) -> UserTastes {
        var draws = SyntheticDraws(seed: options.seed, stream: Stream.users, number: user)
        let number = min(options.tastes, 1 + (draws.uniform() < 0.6 ? 1 : 0) + (draws.uniform() < 0.35 ? 1 : 0))
        var result = UserTastes()
        while result.tastes.count < number {
            var taste = tasteTable.draw(&draws)
            while result.tastes.contains(taste) { taste = (taste + 1) % options.tastes }
            result.tastes.append(taste)
            result.first.append(0.2 + draws.uniform())
            result.last.append(0.2 + draws.uniform())
        }
        let totals = (result.first.reduce(0, +), result.last.reduce(0, +))
        result.first = result.first.map { $0 / totals.0 }
        result.last = result.last.map { $0 / totals.1 }
        return result
    }

    /// Appends the rows of a user, in order of time. O(rows).
    func rows(ofUser user: Int, into rows: inout [SyntheticRow], _ scratch: inout Scratch) {
        let budget = Int(rowEnds[user] - (user == 0 ? 0 : rowEnds[user - 1]))
        guard budget > 0 else { return }
        var draws = SyntheticDraws(seed: options.seed, stream: Stream.rows, number: user)
        let likes = tastes(ofUser: user)
        let begin = 0.7 * draws.uniform()
        let end = begin + (1 - begin) * (0.3 + 0.7 * draws.uniform())
        let mood = 0.4 * draws.normal()
        scratch.times.removeAll(keepingCapacity: true)
        for _ in 0..<budget { scratch.times.append(calendar.time(from: begin, to: end, &draws)) }
        scratch.times.sort()
        if scratch.taken.isEmpty { scratch.taken = [Int32](repeating: 0, count: options.items) }
        let mark = Int32(user + 1)
        let start = rows.count
        for time in scratch.times {
            if rows.count - start == budget { break }
            let moment = calendar.moment(time)
            if options.values == .events, rows.count > start, draws.uniform() < 0.12 {
                // Somebody looks again at what they have seen.
                let seen = rows[start + draws.integer(below: rows.count - start)]
                rows.append(SyntheticRow(item: seen.item, value: 1, time: time))
                continue
            }
            let item = scratch.taken.withUnsafeMutableBufferPointer { taken in
                let item = pick(likes, moment, calendar.dayOfYear(time), &draws, taken, mark)
                taken[Int(item)] = mark
                return item
            }
            let match = affinity(catalogue.items[Int(item)], likes, moment)
            if options.values == .ratings {
                let opinion =
                    2.9 + mood + Double(catalogue.items[Int(item)].quality) + 1.3 * match + 0.6 * draws.normal()
                rows.append(SyntheticRow(item: item, value: Int8(min(max(opinion.rounded(), 1), 5)), time: time))
            } else {
                appendFunnel(item, time, match, limit: start + budget, to: &rows, &draws)
            }
        }
        if options.values == .events {
            // A cart or a purchase comes minutes after its view, which may be after the next view began. Equal times
            // keep the order of the funnel.
            let ordered = rows[start...].enumerated().sorted {
                ($0.element.time, $0.offset) < ($1.element.time, $1.offset)
            }
            rows.replaceSubrange(start..., with: ordered.map(\.element))
        }
    }

    private func appendFunnel(
        _ item: Int32, _ time: Int64, _ match: Double, limit: Int, to rows: inout [SyntheticRow],
        _ draws: inout SyntheticDraws
    ) {
        rows.append(SyntheticRow(item: item, value: 1, time: time))
        guard draws.uniform() < 0.08 + 0.25 * match, rows.count < limit else { return }
        let cart = time + 20 + Int64(draws.integer(below: 600))
        rows.append(SyntheticRow(item: item, value: 2, time: cart))
        guard draws.uniform() < 0.25 + 0.3 * match, rows.count < limit else { return }
        rows.append(SyntheticRow(item: item, value: 3, time: cart + 30 + Int64(draws.integer(below: 1200))))
    }

    /// How much of what a user likes at a moment an item has, 0 … 1.
    private func affinity(_ item: SyntheticCatalogue.Item, _ likes: UserTastes, _ moment: Double) -> Double {
        var result = 0.0
        for place in likes.tastes.indices {
            let liking = likes.first[place] + (likes.last[place] - likes.first[place]) * moment
            if likes.tastes[place] == Int(item.firstTaste) { result += liking * Double(item.firstShare) }
            if likes.tastes[place] == Int(item.secondTaste), item.firstTaste != item.secondTaste {
                result += liking * Double(1 - item.firstShare)
            }
        }
        return result
    }

    private func pick(
        _ likes: UserTastes, _ moment: Double, _ dayOfYear: Double, _ draws: inout SyntheticDraws,
        _ taken: UnsafeMutableBufferPointer<Int32>, _ mark: Int32
    ) -> Int32 {
        var item: Int32 = 0
        for _ in 0..<64 {
            var list = options.tastes
            if draws.uniform() >= 0.15 {
                var rest = draws.uniform()
                list = likes.tastes[likes.tastes.count - 1]
                for place in likes.tastes.indices {
                    rest -= likes.first[place] + (likes.last[place] - likes.first[place]) * moment
                    if rest < 0 {
                        list = likes.tastes[place]
                        break
                    }
                }
            }
            item = catalogue.draw(list, &draws)
            if taken[Int(item)] != mark,
                draws.uniform() < catalogue.items[Int(item)].demand(moment, dayOfYear: dayOfYear)
            {
                return item
            }
        }
        // All that this user likes is taken: the nearest number that is not. There is one, for nobody has more than half.
        while taken[Int(item)] == mark { item = (item + 1) % Int32(options.items) }
        return item
    }
}
