import Core

/// Marks of one kind in one colour, with the name that the key shows.
public struct ChartSeries: Sendable {
    public enum Form: Sendable {
        /// Points joined in their order.
        case line([(x: Double, y: Double)])
        /// As `line`, level between the points (an empirical distribution, a ROC curve).
        case steps([(x: Double, y: Double)])
        case points([(x: Double, y: Double)])
        /// A bar at each position of a category axis.
        case bars([Double])
        /// Intervals along the axis and their heights: edges are one more than heights.
        case histogram(edges: [Double], heights: [Double])
        /// An area between two lines, for intervals.
        case band([(x: Double, low: Double, high: Double)])
    }

    public var name: String
    public var form: Form
    /// Drawn with dashes: baselines, references.
    public var dashed: Bool
    /// For `bars`: ends of an interval at each bar.
    public var intervals: [ClosedRange<Double>]

    public init(_ name: String, _ form: Form, dashed: Bool = false, intervals: [ClosedRange<Double>] = []) {
        self.name = name
        self.form = form
        self.dashed = dashed
        self.intervals = intervals
    }
}

/// A picture with two axes: lines, points, bars, histograms, on paper or in a page.
public struct Chart: Sendable {
    public var title: String
    public var x: Axis
    public var y: Axis
    public var series: [ChartSeries]
    /// Bars lie down, with their names on the left: for long names and long lists. The x axis holds the values then.
    public var horizontal = false
    public var width = 720.0
    public var height = 420.0

    public init(_ title: String, x: Axis, y: Axis, series: [ChartSeries]) {
        self.title = title
        self.x = x
        self.y = y
        self.series = series
    }

    /// Colours that stay apart for colour-blind readers and in grey. Source: Okabe and Ito, "Color universal design".
    public static let colors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]

    public static func color(_ place: Int) -> String { colors[place % colors.count] }

    /// Bars by name, upright, or lying when there are many names or long ones.
    public static func bars(
        _ title: String, names: [String], values: [Double], axis: Axis, namesLabel: String = "",
        intervals: [ClosedRange<Double>] = []
    ) -> Chart {
        var axis = axis
        axis.includesZero = true
        let lying = names.count > 12 || names.reduce(0) { $0 + Markup.width($1) } * 11 > 600
        let categories = Axis(namesLabel, scale: .categories(names))
        var chart = Chart(
            title, x: lying ? axis : categories, y: lying ? categories : axis,
            series: [ChartSeries("", .bars(values), intervals: intervals)])
        chart.horizontal = lying
        if lying { chart.height = 110 + 22 * Double(names.count) }
        return chart
    }

    /// Heights of equally wide bins from the smallest to the largest value; values that aren't finite are left out.
    ///
    /// - Parameter bins: 0 for as many as the values call for (Freedman and Diaconis 1981, from 5 to 60; never more
    ///   than there are whole numbers when all values are whole).
    public static func histogram(_ title: String, _ values: [Double], axis: Axis, bins: Int = 0) -> Chart {
        let (edges, counts) = Histogram.counts(values, bins: bins)
        return Chart(
            title, x: axis, y: Axis("rows", includesZero: true),
            series: [ChartSeries("", .histogram(edges: edges, heights: counts.map { Double($0) }))])
    }

    /// The picture as an SVG document.
    public func svg() -> String {
        var drawing = ChartDrawing(self)
        return drawing.draw()
    }
}

/// Equally wide bins.
public enum Histogram {
    public static func counts(_ values: [Double], bins: Int = 0) -> (edges: [Double], counts: [Int]) {
        let sorted = values.filter { $0.isFinite }.sorted()
        guard let first = sorted.first, let last = sorted.last else { return ([0, 1], [0]) }
        guard first < last else { return ([first - 0.5, first + 0.5], [sorted.count]) }
        let whole = sorted.allSatisfy { $0 == $0.rounded() }
        if bins == 0, whole, last - first < 40 {
            // One bar for each whole number, around it.
            var counts = [Int](repeating: 0, count: Int(last - first) + 1)
            for value in sorted { counts[Int(value - first)] += 1 }
            return ((0...counts.count).map { first - 0.5 + Double($0) }, counts)
        }
        var count = bins
        if count == 0 {
            let quarter = sorted[sorted.count * 3 / 4] - sorted[sorted.count / 4]
            let width = 2 * quarter / cubeRoot(Double(sorted.count))
            count = width > 0 ? Int(min(max(((last - first) / width).rounded(.up), 5), 60)) : 20
        }
        var width = (last - first) / Double(count)
        if bins == 0, whole { width = max(1, width.rounded(.up)) }
        if bins == 0, whole { count = Int(((last - first + 1) / width).rounded(.up)) }
        var counts = [Int](repeating: 0, count: count)
        for value in sorted { counts[min(Int((value - first) / width), count - 1)] += 1 }
        return ((0...count).map { first + width * Double($0) }, counts)
    }

    private static func cubeRoot(_ value: Double) -> Double {
        var root = max(value.squareRoot(), 1)
        for _ in 0..<40 { root = (2 * root + value / (root * root)) / 3 }
        return root
    }
}
