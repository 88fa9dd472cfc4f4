import ArgumentParser
import Charts
import Core
import Tables

/// `apus plot`: pictures of a table.
struct PlotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plot",
        abstract: "Draw a table (histograms, bars, points, lines, correlations) or a model's attention, as SVG.",
        subcommands: [
            PlotHistogramCommand.self, PlotBarsCommand.self, PlotScatterCommand.self, PlotLineCommand.self,
            PlotCorrelationsCommand.self, PlotAttentionCommand.self,
        ])
}

/// What all pictures have.
struct PlotFlags: ParsableArguments {
    @OptionGroup var data: TableFlags

    @Option(help: "Title of the picture.")
    var title: String?

    @Option(help: ArgumentHelp("Keep rows for which this holds.", valueName: "condition"))
    var filter: String?

    @Option(help: ArgumentHelp("File to write, .svg or .html.", valueName: "file"))
    var output: String

    @OptionGroup var global: GlobalOptions

    func table() throws -> Table {
        try OutputFolder.check(output)
        let table = try data.read(global, ProgressDisplay(quiet: global.quiet))
        let kept = try filter.map { try table.filtered(try TableExpression($0)) } ?? table
        guard kept.rowCount > 0 else { throw DataError("there are no rows to draw", file: data.data) }
        return kept
    }

    func write(_ svg: String, _ title: String) throws {
        let file = try AtomicFile(path: output)
        if output.lowercased().hasSuffix(".html") {
            var page = HTMLPage(title)
            page.picture(svg)
            try file.write(page.rendered())
        } else {
            try file.write(svg)
        }
        try file.commit()
        if global.json {
            Output.json(.object([("output", .string(output))]))
        } else {
            global.remark("wrote \(output)")
        }
    }

    /// Numbers of a column, and the axis that they need.
    func numbers(_ table: Table, _ name: String, unit: String = "", logarithmic: Bool = false) throws -> (
        [Double], Axis
    ) {
        let column = try table.column(name)
        guard let numbers = column.numbers else {
            throw DataError(
                "a number or a date is needed, and this is \(column.type.rawValue); `apus plot bars` counts levels",
                file: data.data, column: name)
        }
        return (
            numbers, Axis(name, unit: unit, scale: column.type == .date ? .time : logarithmic ? .logarithmic : .linear)
        )
    }

    /// Rows by the levels of a column, the most frequent first; one group without a column.
    func groups(_ table: Table, _ by: String?) throws -> [(name: String, rows: [Int])] {
        guard let by else { return [("", Array(0..<table.rowCount))] }
        let column = try table.column(by)
        var rows: [String: [Int]] = [:]
        for row in 0..<table.rowCount { rows[column.text(row) ?? "(missing)", default: []].append(row) }
        let ordered = rows.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
        guard ordered.count <= 50 else {
            throw DataError("\(ordered.count) groups are too many for a picture", file: data.data, column: by)
        }
        if ordered.count > 6 { global.remark("only the 6 most frequent of \(ordered.count) levels of \(by) are drawn") }
        return ordered.prefix(6).map { ("\(by) = \($0.key)", $0.value) }
    }
}

struct PlotHistogramCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "histogram", abstract: "How the values of a column are distributed.")

    @OptionGroup var plot: PlotFlags
    @Option(help: "Column of numbers or dates; of a category, levels are counted.")
    var column: String
    @Option(help: "Number of bins, 0 for what the values call for.")
    var bins = 0
    @Option(help: ArgumentHelp("A histogram for each level of this column, over each other.", valueName: "column"))
    var by: String?
    @Option(help: "Unit of the values, for the axis.")
    var unit = ""

    func run() throws {
        guard (0...10_000).contains(bins) else { throw ValidationError("--bins must be from 0 to 10000") }
        let table = try plot.table()
        let title = plot.title ?? column
        if try table.column(column).numbers == nil {
            try plot.write(PlotBarsCommand.counts(table, column, title), title)
            return
        }
        let (values, axis) = try plot.numbers(table, column, unit: unit)
        let present = values.filter { !$0.isNaN }
        guard !present.isEmpty else {
            throw DataError("there is no value to draw", file: plot.data.data, column: column)
        }
        let (edges, _) = Histogram.counts(present, bins: bins)
        let groups = try plot.groups(table, by)
        let series = groups.map { group -> ChartSeries in
            var counts = [Double](repeating: 0, count: edges.count - 1)
            let width = edges[1] - edges[0]
            for row in group.rows where !values[row].isNaN {
                counts[min(max(Int((values[row] - edges[0]) / width), 0), counts.count - 1)] += 1
            }
            // Groups of unlike size are compared by their shares.
            let total = max(counts.reduce(0, +), 1)
            return ChartSeries(
                group.name, .histogram(edges: edges, heights: by == nil ? counts : counts.map { 100 * $0 / total }))
        }
        let missing = values.count - present.count
        var chart = Chart(
            title + (missing > 0 ? " (\(missing) missing)" : ""), x: axis,
            y: by == nil ? Axis("rows", includesZero: true) : Axis("rows of the group", unit: "%", includesZero: true),
            series: series)
        chart.width = 720
        try plot.write(chart.svg(), title)
    }
}

struct PlotBarsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bars", abstract: "Rows by level of a column, or the mean of another by level.")

    @OptionGroup var plot: PlotFlags
    @Option(help: "Column of categories.")
    var column: String
    @Option(
        help: ArgumentHelp("Draw the mean of this column, with 95 % intervals, instead of counts.", valueName: "column")
    )
    var mean: String?
    @Option(help: "Most levels to draw.")
    var top = 30

    func run() throws {
        let table = try plot.table()
        let title = plot.title ?? (mean.map { "\($0) by \(column)" } ?? column)
        guard let mean else { return try plot.write(Self.counts(table, column, title, top: top), title) }
        let values = try plot.numbers(table, mean).0
        let levelsColumn = try table.column(column)
        var sums: [String: (count: Double, sum: Double, squares: Double)] = [:]
        for row in 0..<table.rowCount where !values[row].isNaN {
            let old = sums[levelsColumn.text(row) ?? "(missing)"] ?? (0, 0, 0)
            sums[levelsColumn.text(row) ?? "(missing)"] = (
                old.count + 1, old.sum + values[row], old.squares + values[row] * values[row]
            )
        }
        let levels = sums.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }.prefix(top)
        let means = levels.map { $0.value.sum / $0.value.count }
        let intervals = levels.map { level -> ClosedRange<Double> in
            let mean = level.value.sum / level.value.count
            let variance = max(level.value.squares / level.value.count - mean * mean, 0)
            let half = 1.96 * (variance / level.value.count).squareRoot()
            return (mean - half)...(mean + half)
        }
        let chart = Chart.bars(
            title, names: levels.map(\.key), values: means, axis: Axis("mean of \(mean)"),
            namesLabel: levelsColumn.name,
            intervals: intervals)
        try plot.write(chart.svg(), title)
    }

    /// Rows by level, the most frequent first.
    static func counts(_ table: Table, _ name: String, _ title: String, top: Int = 30) throws -> String {
        let column = try table.column(name)
        var counts: [String: Int] = [:]
        for row in 0..<table.rowCount { counts[column.text(row) ?? "(missing)", default: 0] += 1 }
        let levels = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        let rest = levels.count > top ? " (\(top) of \(levels.count) levels)" : ""
        return Chart.bars(
            title + rest, names: levels.prefix(top).map(\.key), values: levels.prefix(top).map { Double($0.value) },
            axis: Axis("rows"), namesLabel: name
        ).svg()
    }
}

struct PlotScatterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scatter", abstract: "Two columns against each other, a point for each row.")

    @OptionGroup var plot: PlotFlags
    @Option(help: "Column along the horizontal axis.")
    var x: String
    @Option(help: "Column along the vertical axis.")
    var y: String
    @Option(help: ArgumentHelp("A colour for each level of this column.", valueName: "column"))
    var by: String?
    @Flag(name: .customLong("log-x"), help: "Powers of ten along the horizontal axis.")
    var logX = false
    @Flag(name: .customLong("log-y"), help: "Powers of ten along the vertical axis.")
    var logY = false
    @Option(help: "Most points to draw; more are thinned out evenly.")
    var points = 20_000

    func run() throws {
        guard points > 0 else { throw ValidationError("--points must be 1 or more") }
        let table = try plot.table()
        let (xs, xAxis) = try plot.numbers(table, x, logarithmic: logX)
        let (ys, yAxis) = try plot.numbers(table, y, logarithmic: logY)
        let step = max(1, (table.rowCount + points - 1) / points)
        if step > 1 { plot.global.remark("drawing every \(step)th of \(table.rowCount) rows") }
        let series = try plot.groups(table, by).map { group in
            ChartSeries(
                group.name,
                .points(group.rows.filter { $0 % step == 0 && !xs[$0].isNaN && !ys[$0].isNaN }.map { (xs[$0], ys[$0]) })
            )
        }
        let title = plot.title ?? "\(y) against \(x)"
        var chart = Chart(title, x: xAxis, y: yAxis, series: series)
        chart.height = 480
        try plot.write(chart.svg(), title)
    }
}

struct PlotLineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "line", abstract: "A column along another, ordered; the mean where several rows meet.")

    @OptionGroup var plot: PlotFlags
    @Option(help: "Column along the horizontal axis: numbers or dates.")
    var x: String
    @Option(help: ArgumentHelp("Column along the vertical axis (default: rows are counted).", valueName: "column"))
    var y: String?
    @Option(help: ArgumentHelp("A line for each level of this column.", valueName: "column"))
    var by: String?
    @Option(help: "Dates are taken together by: none, day, week, month.")
    var period = "none"

    func run() throws {
        let table = try plot.table()
        let (xs, axis) = try plot.numbers(table, x)
        let ys = try y.map { try plot.numbers(table, $0).0 }
        let place: (Double) -> Double
        switch period {
        case "none": place = { $0 }
        case "day": place = { ($0 / 86_400).rounded(.down) * 86_400 }
        case "week": place = { (($0 / 86_400 - 4) / 7).rounded(.down) * 7 * 86_400 + 4 * 86_400 }
        case "month":
            place = {
                let time = CalendarTime(Int64($0))
                return Double(CalendarTime.seconds(time.year, time.month, 1))
            }
        default: throw ValidationError("--period expects none, day, week or month, not `\(period)`")
        }
        let series = try plot.groups(table, by).map { group -> ChartSeries in
            var sums: [Double: (count: Double, sum: Double)] = [:]
            for row in group.rows where !xs[row].isNaN && ys.map({ !$0[row].isNaN }) ?? true {
                let old = sums[place(xs[row])] ?? (0, 0)
                sums[place(xs[row])] = (old.count + 1, old.sum + (ys?[row] ?? 0))
            }
            let points = sums.sorted { $0.key < $1.key }
                .map { (x: $0.key, y: ys == nil ? $0.value.count : $0.value.sum / $0.value.count) }
            return ChartSeries(group.name, .line(points))
        }
        let title = plot.title ?? "\(y ?? "rows") by \(x)"
        try plot.write(Chart(title, x: axis, y: Axis(y ?? "rows"), series: series).svg(), title)
    }
}

struct PlotCorrelationsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "correlations", abstract: "How the columns of numbers go together.")

    @OptionGroup var plot: PlotFlags

    func run() throws {
        let table = try plot.table()
        let columns = table.columns.filter { $0.type.isNumeric }
        guard columns.count >= 2 else { throw DataError("fewer than two columns of numbers", file: plot.data.data) }
        let matrix = Correlation.matrix(columns.prefix(40).compactMap(\.numbers))
        if columns.count > 40 { plot.global.remark("only the first 40 of \(columns.count) columns are drawn") }
        let names = columns.prefix(40).map(\.name)
        let title = plot.title ?? "Correlations"
        try plot.write(
            HeatMap(title, rows: names, columns: names, values: matrix, range: -1...1, diverging: true).svg(), title)
    }
}
