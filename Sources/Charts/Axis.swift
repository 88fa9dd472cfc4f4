import Core

#if canImport(Glibc)
    import Glibc
#endif

/// How values are laid along an axis.
public enum AxisScale: Sendable, Equatable {
    case linear
    /// Powers of ten; values must be above 0.
    case logarithmic
    /// Seconds since 1970, shown as dates.
    case time
    /// Names at 0, 1, 2, …
    case categories([String])
}

/// An axis: what it measures, in which unit, and how.
public struct Axis: Sendable {
    public var label: String
    /// Shown in brackets after the label; empty for none.
    public var unit: String
    public var scale: AxisScale
    /// Ends of the axis; nil takes what the values need.
    public var range: ClosedRange<Double>?
    /// Whether 0 is to be on the axis.
    public var includesZero: Bool

    public init(
        _ label: String, unit: String = "", scale: AxisScale = .linear, range: ClosedRange<Double>? = nil,
        includesZero: Bool = false
    ) {
        self.label = label
        self.unit = unit
        self.scale = scale
        self.range = range
        self.includesZero = includesZero
    }

    var title: String { unit.isEmpty ? label : label.isEmpty ? unit : "\(label) (\(unit))" }
}

/// An axis with its place on the paper.
struct PlacedAxis {
    let axis: Axis
    let low: Double
    let high: Double
    let start: Double
    let end: Double

    /// - Parameters:
    ///   - values: all that must lie on the axis; those that can't are left aside.
    ///   - padding: share of the span to be left free at both ends.
    init(_ axis: Axis, values: [Double], start: Double, end: Double, padding: Double = 0) {
        self.axis = axis
        self.start = start
        self.end = end
        if case .categories(let names) = axis.scale {
            (low, high) = (-0.5, Double(max(names.count, 1)) - 0.5)
            return
        }
        let usable = values.filter { $0.isFinite && (axis.scale != .logarithmic || $0 > 0) }
        var (least, most) = (usable.min() ?? 0, usable.max() ?? 1)
        if axis.includesZero, axis.scale == .linear { (least, most) = (min(least, 0), max(most, 0)) }
        if let range = axis.range { (least, most) = (range.lowerBound, range.upperBound) }
        if axis.scale == .logarithmic {
            least = max(least, 1e-300)
            if axis.range == nil || least == most {
                (least, most) = (pow(10, floor(log10(least))), pow(10, ceil(log10(max(most, least)))))
                if least == most { most = least * 10 }
            }
        } else if least == most {
            let room = axis.scale == .time ? 86_400 : max(abs(least) * 0.1, 0.5)
            (least, most) = (least - room, most + room)
        } else if axis.range == nil {
            let room = (most - least) * padding
            least -= axis.includesZero && least == 0 ? 0 : room
            most += axis.includesZero && most == 0 ? 0 : room
        }
        (low, high) = (least, most)
    }

    func place(_ value: Double) -> Double {
        let share =
            axis.scale == .logarithmic
            ? (log10(max(value, 1e-300)) - log10(low)) / (log10(high) - log10(low)) : (value - low) / (high - low)
        return start + (end - start) * share
    }

    func contains(_ value: Double) -> Bool { value.isFinite && value >= low && value <= high }

    /// Marks along the axis with their texts.
    var ticks: [(value: Double, text: String)] {
        switch axis.scale {
        case .categories(let names):
            return names.enumerated().map { (Double($0.offset), $0.element) }
        case .logarithmic:
            let (first, last) = (Int(floor(log10(low) + 1e-9)), Int(ceil(log10(high) - 1e-9)))
            let step = max(1, (last - first) / 8)
            return stride(from: first, through: last, by: step).map {
                (pow(10, Double($0)), Markup.number(pow(10, Double($0))))
            }
            .filter { $0.0 >= low * 0.999 && $0.0 <= high * 1.001 }
        case .time: return TimeTicks.ticks(low, high)
        case .linear:
            let step = Self.niceStep((high - low) / 6)
            let first = (low / step - 1e-9).rounded(.up)
            let digits = max(0, Int(-floor(log10(step) + 1e-9)))
            return stride(from: first, through: high / step + 1e-9, by: 1).map { count in
                // A sum with 0 takes the sign off −0.
                let value = count * step + 0
                let large = abs(high) >= 1e6 || abs(low) >= 1e6
                return (value, large ? Self.short(value) : Markup.minus(Markup.fixed(value, digits)))
            }
        }
    }

    /// 1 200 000 as 1.2 M.
    private static func short(_ value: Double) -> String {
        for (unit, name) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] where abs(value) >= unit {
            return Markup.minus(Markup.trimmed(Markup.fixed(value / unit, 2))) + "\u{202F}" + name
        }
        return Markup.number(value)
    }

    /// 1, 2 or 5 times a power of ten, at least `value`.
    static func niceStep(_ value: Double) -> Double {
        guard value > 0, value.isFinite else { return 1 }
        let power = pow(10, floor(log10(value)))
        return power * ([1, 2, 5].first { $0 * power >= value * 0.999 } ?? 10)
    }
}

/// Marks at whole hours, days, months and years.
enum TimeTicks {
    static func ticks(_ low: Double, _ high: Double) -> [(value: Double, text: String)] {
        let span = high - low
        let day = 86_400.0
        if span <= 4 * day {
            let step = [600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400].first { span / $0 <= 7 } ?? 86_400
            return stride(from: (low / step).rounded(.up) * step, through: high, by: step).map {
                let (hour, minute) = (Int($0.truncatingRemainder(dividingBy: day)) / 3600, Int($0) / 60 % 60)
                let clock = (hour < 10 ? "0" : "") + "\(hour):" + (minute < 10 ? "0" : "") + "\(minute)"
                return ($0, clock == "00:00" ? date($0) : clock)
            }
        }
        if span <= 60 * day {
            let step = day * ([1.0, 2, 7, 14].first { span / (day * $0) <= 7 } ?? 14)
            return stride(from: (low / day).rounded(.up) * day, through: high, by: step).map { ($0, date($0)) }
        }
        let months = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600].first { span / (Double($0) * 30.44 * day) <= 7 } ?? 1200
        var result: [(Double, String)] = []
        let (year, month) = civil(low)
        var count = ((year * 12 + month - 1) / months) * months
        while result.count < 20 {
            let value = seconds(count / 12, count % 12 + 1)
            if value > high { break }
            if value >= low {
                let name = count % 12 + 1 < 10 ? "0\(count % 12 + 1)" : "\(count % 12 + 1)"
                result.append((value, months >= 12 ? "\(count / 12)" : "\(count / 12)-\(name)"))
            }
            count += months
        }
        return result
    }

    static func date(_ seconds: Double) -> String {
        var (time, parts) = (time_t(seconds), tm())
        gmtime_r(&time, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    }

    private static func civil(_ seconds: Double) -> (year: Int, month: Int) {
        var (time, parts) = (time_t(seconds), tm())
        gmtime_r(&time, &parts)
        return (Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1)
    }

    private static func seconds(_ year: Int, _ month: Int) -> Double {
        var parts = tm()
        parts.tm_year = Int32(year - 1900)
        parts.tm_mon = Int32(month - 1)
        parts.tm_mday = 1
        return Double(timegm(&parts))
    }
}

extension Markup {
    /// A number's hyphen as the minus sign that it is.
    static func minus(_ text: String) -> String { text.hasPrefix("-") ? "−" + text.dropFirst() : text }
}
