/// Days and hours of the proleptic Gregorian calendar in UTC, from seconds since 1970.
public struct CalendarTime: Sendable, Equatable {
    public let year: Int
    /// 1 … 12
    public let month: Int
    /// 1 … 31
    public let day: Int
    public let hour: Int
    public let minute: Int
    public let second: Int
    /// 1 for Monday … 7 for Sunday, as ISO 8601 counts.
    public let weekday: Int

    /// O(1). Source: H. Hinnant, "chrono-compatible low-level date algorithms".
    public init(_ seconds: Int64) {
        let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let rest = Int(seconds - days * 86_400)
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = Int(dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
        month = Int(shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9)
        year = Int(yearOfEra + era * 400) + (month <= 2 ? 1 : 0)
        (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60)
        // 1 January 1970 was a Thursday.
        weekday = Int(((days + 3) % 7 + 7) % 7) + 1
    }

    /// Day of the year, 1 … 366.
    public var dayOfYear: Int {
        Int((CalendarTime.seconds(year, month, day) - CalendarTime.seconds(year, 1, 1)) / 86_400) + 1
    }

    /// 1 … 4
    public var quarter: Int { (month + 2) / 3 }

    /// Seconds since 1970 of midnight on a day.
    public static func seconds(_ year: Int, _ month: Int, _ day: Int) -> Int64 {
        let y = Int64(month <= 2 ? year - 1 : year)
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return (era * 146_097 + dayOfEra - 719_468) * 86_400
    }

    /// `yyyy-MM-dd`, followed by `HH:mm:ss` unless it is midnight.
    public static func text(_ seconds: Int64) -> String {
        let time = CalendarTime(seconds)
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let years = String(abs(time.year))
        let year = (time.year < 0 ? "-" : "") + String(repeating: "0", count: max(0, 4 - years.count)) + years
        let date = "\(year)-\(two(time.month))-\(two(time.day))"
        if time.hour == 0, time.minute == 0, time.second == 0 { return date }
        return "\(date) \(two(time.hour)):\(two(time.minute)):\(two(time.second))"
    }
}
