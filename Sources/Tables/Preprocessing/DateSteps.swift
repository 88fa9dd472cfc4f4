import Core
import Glibc

/// Numbers from dates.
enum DateSteps {
    static func columns(_ column: Column, _ parts: [DatePart]) throws -> [Column] {
        guard case .date(let seconds) = column.values else {
            throw DataError("the step needs dates, and this is \(column.type.rawValue)", column: column.name)
        }
        func named(_ part: String, _ value: (Int64) -> Double) -> Column {
            Column(
                "\(column.name) \(part)",
                .number(seconds.map { $0 == Column.missingInteger ? .nan : value($0) }))
        }
        var result: [Column] = []
        for part in parts {
            switch part {
            case .year: result.append(named("year") { Double(CalendarTime($0).year) })
            case .quarter: result.append(named("quarter") { Double(CalendarTime($0).quarter) })
            case .month: result.append(named("month") { Double(CalendarTime($0).month) })
            case .day: result.append(named("day") { Double(CalendarTime($0).day) })
            case .weekday: result.append(named("weekday") { Double(CalendarTime($0).weekday) })
            case .hour: result.append(named("hour") { Double(CalendarTime($0).hour) })
            case .dayOfYear: result.append(named("day of year") { Double(CalendarTime($0).dayOfYear) })
            case .weekend: result.append(named("weekend") { CalendarTime($0).weekday >= 6 ? 1 : 0 })
            case .days: result.append(named("days") { Double($0) / 86_400 })
            case .season:
                result.append(named("season sine") { sin(angle($0)) })
                result.append(named("season cosine") { cos(angle($0)) })
            }
        }
        return result
    }

    private static func angle(_ seconds: Int64) -> Double {
        2 * .pi * Double(CalendarTime(seconds).dayOfYear - 1) / 365.2425
    }
}
