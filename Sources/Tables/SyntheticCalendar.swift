/// When people shop: more before the end of the year, at weekends and in the evening.
struct SyntheticCalendar: Sendable {
    private let startTime: Int64
    private let days: Int
    /// Weight of the days before each day; one more than days.
    private let before: [Double]
    private let hours: AliasTable

    init(startTime: Int64, days: Int) {
        self.startTime = startTime
        self.days = days
        // 1 January 1970 was a Thursday; weekends weigh more.
        let week = [1.0, 1.1, 1.45, 1.35, 0.95, 0.9, 0.9]
        let firstDay = Int(startTime / 86_400)
        var sums = [0.0]
        sums.reserveCapacity(days + 1)
        for day in 0..<days {
            let weekday = ((firstDay + day) % 7 + 7) % 7
            let yearDay = Self.dayOfYear(Double(firstDay + day))
            // A rise from the middle of October, a dip in summer.
            let late = max(0, yearDay - 285) / 80
            let summer = max(0, 1 - abs(yearDay - 205) / 45)
            sums.append(sums[day] + week[weekday] * (1 + 0.8 * late - 0.25 * summer))
        }
        before = sums
        hours = AliasTable([
            0.5, 0.3, 0.2, 0.1, 0.1, 0.2, 0.5, 1, 1.5, 1.8, 2, 2.1, 2.3, 2.1, 1.9, 1.9, 2, 2.2, 2.6, 3.1, 3.5, 3.2, 2.2,
            1.1,
        ])
    }

    /// A time between two moments, given as shares of the span.
    func time(from begin: Double, to end: Double, _ draws: inout SyntheticDraws) -> Int64 {
        let low = weight(at: begin)
        let wanted = low + (weight(at: end) - low) * draws.uniform()
        var first = 0
        var last = days - 1
        while first < last {
            let middle = (first + last + 1) / 2
            if before[middle] <= wanted { first = middle } else { last = middle - 1 }
        }
        return startTime + Int64(first) * 86_400 + Int64(hours.draw(&draws)) * 3600 + Int64(draws.integer(below: 3600))
    }

    /// A time as a share of the span.
    func moment(_ time: Int64) -> Double { Double(time - startTime) / (Double(days) * 86_400) }

    /// Days since the beginning of the year, 0 ..< 365.
    func dayOfYear(_ time: Int64) -> Double { Self.dayOfYear(Double(time) / 86_400) }

    private static func dayOfYear(_ day: Double) -> Double {
        // Good to a day, which a season does not notice.
        let years = day / 365.2425
        return (years - years.rounded(.down)) * 365
    }

    private func weight(at moment: Double) -> Double {
        let position = moment * Double(days)
        let day = min(Int(position), days - 1)
        return before[day] + (before[day + 1] - before[day]) * (position - Double(day))
    }
}
